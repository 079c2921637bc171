"""What a person at a terminal sees: progress bars, and the one place where what ends a program becomes an exit code."""

import contextlib
import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sized
from pathlib import Path
from typing import IO, TypeVar

from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of
from copycat_jax.signals import exit_code, heeding, leave

T = TypeVar("T")
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
SILENCE_S = 30.0  # where there is no progress bar, nobody waits longer for a line


def run_command(program: str, command: Callable[[], int | None], ours: bool = False) -> int:
    """Runs `command` and returns the exit code: its own, 2 for a UserError, 130 for Ctrl-C, 143 for SIGTERM.

    A UserError is printed to standard error as one line, `program: message`; so is a disk that is full or refuses.
    Where the process is `ours`, an interrupt ends it, see `signals.leave`.
    """
    try:
        with heeding():
            return command() or 0
    except (Exception, KeyboardInterrupt) as error:
        code = _explain(program, error)
        if code is None:
            raise
        if ours and isinstance(error, KeyboardInterrupt):
            leave(code)
        return code


def explain(program: str, error: BaseException) -> int:
    """Prints what ended the program, as `run_command` does or with its traceback, and returns the exit code."""
    code = _explain(program, error)
    if code is None:
        traceback.print_exception(error)
    return EXIT_FAILED if code is None else code


def _explain(program: str, error: BaseException) -> int | None:
    if isinstance(error, UserError):
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        place = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {place}{error.strerror}. Make room, or write elsewhere.", file=sys.stderr)
        return EXIT_USER_ERROR
    if isinstance(error, KeyboardInterrupt):
        print(f"{program}: interrupted", file=sys.stderr)
        return exit_code(error)
    return None


def progress(items: Iterable[T], label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Iterates over `items` behind a progress bar on standard error; elsewhere with a line at times."""
    if not sys.stderr.isatty():
        yield from _told(items, label, len(items) if total is None and isinstance(items, Sized) else total, unit)
        return
    from tqdm import tqdm

    yield from tqdm(items, desc=label, total=total, unit=unit, file=sys.stderr, dynamic_ncols=True)


def _told(items: Iterable[T], label: str, total: int | None, unit: str) -> Iterator[T]:
    """The items, with a line about how far they are whenever nothing was said for long."""
    began = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said > SILENCE_S:
            left = f" of {total}, {duration((total - done) * (now - began) / done)} left" if total else ""
            print(noted(f"{label}: {done} {unit}s done{left}"), file=sys.stderr, flush=True)
            said = now
        yield item


def progress_bar(label: str, total: int | None = None, initial: int = 0, unit: str = "it"):
    """An open tqdm bar for loops that advance by hand; a context manager with `update` and `set_postfix_str`."""
    from tqdm import tqdm

    return tqdm(desc=label, total=total, initial=initial, unit=unit, file=sys.stderr, disable=None, dynamic_ncols=True)


def duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "12 min", "34 h", "3.5 days"."""
    for size, unit in ((172_800, "days"), (7200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.0f} s"


def say(message: str) -> None:
    """Prints one line to standard output at once."""
    print(noted(message), flush=True)


def warn(message: str) -> None:
    """Prints one warning line to standard error at once."""
    print(noted(f"warning: {message}"), file=sys.stderr, flush=True)


_logs: list[tuple[IO[str], str]] = []  # the open log and its mark; at most one


@contextlib.contextmanager
def logged(path: Path, mark: str = "") -> Iterator[None]:
    """While it lasts, lines bear the time and `mark`, and stand in the file too; what ends the block is its last entry.

    Raises:
      UserError: the file cannot be written.
    """
    with refusals_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
    _logs.append((file, mark))
    try:
        yield
    except UserError as error:
        noted(f"error: {error}")
        raise
    except BaseException:
        noted(traceback.format_exc().rstrip())
        raise
    finally:
        _logs.pop()
        with contextlib.suppress(OSError):
            file.close()


def noted(line: str) -> str:
    """The line as it is to be printed: stamped, and in the log, where one is open."""
    if not _logs:
        return line
    file, mark = _logs[-1]
    stamped = f"{time.strftime('%Y-%m-%d %H:%M:%S')}{mark} {line}"
    with contextlib.suppress(OSError):  # a full disk is told by what must be written
        file.write(stamped + "\n")
    return stamped
