"""Ctrl-C and SIGTERM: the one place that handles them.

Python turns Ctrl-C into a KeyboardInterrupt wherever the main thread happens to be. Four things go wrong with that:

* In the midst of an import it may meet a library's own code that imports further and knows no exception there [a
  segmentation fault or an abort in jaxlib, one in eight Ctrl-C in that half second]. Under `heeding` it waits for the
  end of the import.

* In a callback of a library (of the garbage collector, of a destructor) the exception is printed and lost, and the
  program goes on: `heeding` sends such a signal anew. Where a library makes another exception of it, it is made good.
* XLA compiles in threads of its own, which outlive the call that was interrupted. When the interpreter then takes down
  what they refer to, they crash [a segmentation fault in the sharding of an executable of a client that was gone]. An
  interrupted program therefore leaves by `leave`; what it has to clean up lies in `with` and `finally`, and has run.
* A terminal sends it to worker processes too. What is started while signals are `withheld` never hears of them.
"""

import collections
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)
# What asks a training process to stop, if it is handled; a terminal and a launcher may both send one within a moment.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
SAME_S = 1.0
_AGAIN_AFTER_S = 0.05
_sent_again = collections.Counter[int]()  # by this module, and not yet told of


class Stopped(KeyboardInterrupt):
    """A signal that asks the process to end.

    Args:
      number: of the signal.
      second: whether the process was asked before, see `noting`.

    Attributes:
      code: what it ends with; as a shell has it, 130 for Ctrl-C and 143 for SIGTERM, where nobody sets another.
    """

    def __init__(self, number: int = signal.SIGINT, second: bool = False):
        super().__init__(number)
        self.number, self.second, self.code = number, second, 128 + number


def exit_code(stop: KeyboardInterrupt) -> int:
    """What the process ends with; 130 for a KeyboardInterrupt of Python's own."""
    return getattr(stop, "code", 128 + signal.SIGINT)


@contextlib.contextmanager
def heeding() -> Iterator[None]:
    """While it lasts Ctrl-C and SIGTERM raise Stopped in the main thread, and nothing else can come of them."""
    heard: list[int] = []
    waiting: list[int] = []
    timers: list[threading.Timer] = []
    outside = _imports(sys._getframe())
    _sent_again.clear()

    def stop(number: int, frame: FrameType | None) -> None:
        if _imports(frame) > outside:
            waiting.append(number)
            timers.append(_send_again(number))
            return
        waiting.clear()
        heard.append(number)
        raise Stopped(number)

    before = sys.unraisablehook

    def caught(lost: Any) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            return before(lost)
        timers.append(_send_again(getattr(lost.exc_value, "number", signal.SIGINT)))

    with _handled_by(stop):
        sys.unraisablehook = caught
        try:
            yield
            if waiting:  # it all went quicker than the signal comes again
                raise Stopped(waiting[0])
        except Exception as error:
            if not (heard or waiting):
                raise
            raise Stopped((heard or waiting)[0]) from error
        finally:
            sys.unraisablehook = before
            for timer in timers:
                timer.cancel()


def _imports(frame: FrameType | None) -> int:
    """How many calls of the import system a frame lies in."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return found


def _send_again(number: int) -> threading.Timer:
    """Sends the main thread a signal, a moment later, unless it is cancelled."""

    def send() -> None:
        _sent_again[number] += 1
        signal.pthread_kill(threading.main_thread().ident, number)  # type: ignore[arg-type]

    again = threading.Timer(_AGAIN_AFTER_S, send)
    again.daemon = True
    again.start()
    return again


def comes_again(number: int) -> bool:
    """Whether a signal that came is an earlier one, sent anew; for whoever hears of every signal, once for each."""
    if _sent_again[number] < 1:
        return False
    _sent_again[number] -= 1
    return True


@contextlib.contextmanager
def noting(said: str) -> Iterator[list[int]]:
    """While it lasts the first signal is only noted in the list that it gives, and `said`; a second raises Stopped.

    What comes within SAME_S of the first is no second one.
    """
    noted: list[int] = []
    came = time.monotonic()

    def note(number: int, _: Any) -> None:
        nonlocal came
        if noted and time.monotonic() - came < SAME_S:
            return
        noted.append(number)
        if len(noted) > 1:
            raise Stopped(number, second=True)
        came = time.monotonic()
        os.write(2, f"{said}\n".encode())  # a handler may have interrupted a print

    with _handled_by(note, STOPPING):
        yield noted


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """While it lasts Ctrl-C waits; processes started meanwhile do not hear of it as long as they live."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave(code: int) -> None:
    """Ends the process at once, after what was printed is out: no thread is waited for, no atexit is run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, Any], None], numbers: tuple[int, ...] = ENDING) -> Iterator[None]:
    """Nothing where signals cannot be handled, in another thread; what the process was told to ignore stays ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
