"""Files and folders that appear whole or not at all, checks that they can be written, and values as JSON."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from copycat_jax.errors import UserError

_BLOCK_BYTES = 1 << 16


# Of object stores, where one stands alone or behind what a flag puts before it: plain:gs://..., train.init_from=s3://...
_ADDRESS = re.compile(
    r"(?:\S*[=:,])?(?:gs|gcs|s3[an]?|r2|az|abfss?|adl|wasbs?|oss|hdfs|cns|bigstore)://\S*", re.IGNORECASE
)


def names_store(value: Any) -> bool:
    """Whether what was typed is an address in an object store, or a list with one; not a text that speaks of one."""
    if isinstance(value, list | tuple):
        return any(map(names_store, value))
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value))


def check_local(path: str | Path) -> Path:
    """`path`, unless it is an address in an object store, as which it must be seen before Path shortens it.

    Raises:
      UserError: it begins with gs://, s3:// or the like, and would become a folder of that name.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE):  # no drive, which is one letter
        raise not_local(str(path))
    return Path(path)


def not_local(address: str) -> UserError:
    """What to say of an address in an object store."""
    remedy = "Mount the bucket as a folder (gcsfuse, mountpoint-s3), or copy it here."
    return UserError("is not in a file system of this machine", address, remedy)


def check_file(path: str | Path, suffix: str, inputs: tuple[str | Path, ...] = ()) -> Path:
    """The path of a file that is to be written; leaves nothing behind.

    Args:
      path: where it shall be.
      suffix: what its name must end in, such as ".wav".
      inputs: files that it must not replace.

    Raises:
      UserError: wrong ending, a folder, one of `inputs`, no such parent folder, no permission, or an object store.
    """
    path = check_local(path)
    if path.suffix.lower() != suffix:
        better = f"{path.stem.strip('.') or 'result'}{suffix}"  # "." and ".." have no stem
        raise UserError(f"the name does not end in {suffix}", str(path), f"Name it {better}.")
    if path.is_dir():
        raise UserError("is a folder", str(path), "Give a file in it.")
    if any(Path(other).exists() and path.exists() and path.samefile(other) for other in inputs):
        raise UserError("would replace what it is made from", str(path), "Choose another name.")
    with refusals_of(path):
        target = followed(path)
    check_folder(target.absolute().parent)
    return path


def followed(path: Path) -> Path:
    """Where a link leads, whether or not anything is there, and all else as it is; OSError for one that goes round."""
    if not path.is_symlink():
        return path
    with contextlib.suppress(FileNotFoundError):
        path.stat()
    return Path(os.path.realpath(path))


def check_folder(folder: str | Path, make: bool = False) -> Path:
    """The path of a folder that files are to be written into; leaves nothing behind.

    Args:
      folder: the folder.
      make: whether it may be absent as long as it could be made.

    Raises:
      UserError: it is no folder, there is none, no permission, or it is in an object store.
    """
    folder = check_local(folder)
    probe = folder.absolute()
    while make and not probe.exists():
        probe = probe.parent
    try:
        with tempfile.TemporaryFile(dir=probe):
            pass
    except NotADirectoryError:
        raise UserError("is not a folder", str(probe), "Choose another place.") from None
    except FileNotFoundError:
        raise UserError("there is no such folder", str(probe), "Make it first, or choose another place.") from None
    except OSError as error:
        raise UserError(f"cannot be written into: {error.strerror}", str(probe), "Choose another place.") from None
    return folder


class Refused(UserError):
    """The file system takes nothing there, whatever it was that should be written."""


class NoRoom(Refused):
    """The disk is full, or what a user may have of it: nothing more can be written there."""


@contextlib.contextmanager
def refusals_of(path: str | Path, *others: type[Exception]) -> Iterator[None]:
    """Raises Refused about `path` where the file system, or a library by an error of `others`, refuses the block."""
    try:
        yield
    except (OSError, *others) as error:
        refusal = error if getattr(error, "strerror", None) else refusal_in(Path(path).absolute().parent) or error
        reason = getattr(refusal, "strerror", None) or str(refusal)
        other = str(getattr(error, "filename", None) or "")
        reason += f": {other}" * (Path(path).name not in other and other != "")
        remedy = "Choose a folder that exists, is writable and has room."
        kind = NoRoom if getattr(refusal, "errno", None) in (errno.ENOSPC, errno.EDQUOT) else Refused
        raise kind(f"cannot be written ({reason})", str(path), remedy) from error


def refusal_in(folder: str | Path) -> OSError | None:
    """Why the file system takes no block of data in `folder` now; nothing if it does. Libraries only say "error"."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_BLOCK_BYTES))
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def replacing_file(path: str | Path, *others: type[Exception]) -> Iterator[Path]:
    """A temporary name beside `path`: what the block writes there takes the place of `path` if the block ends well.

    However it ends, nothing is left under the temporary name. A link stays, and what it leads to is replaced.

    Raises:
      UserError: the file system refuses, or a library by an error of `others`.
    """
    path = Path(path)
    with refusals_of(path, *others):
        target = followed(path)
        # No longer than 255 bytes, whatever the letters.
        temporary = target.with_name(f".{target.name[:50]}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked_file(path: str | Path, wait: bool = True) -> Iterator[IO[str]]:
    """The file `path`, made if absent and open for reading and writing, while no other process is inside.

    The lock is the system's: it ends with the process, however that ends. Where the system has no such locks, or the
    file system that holds `path` has none, there is no waiting.

    Raises:
      BlockingIOError: another process is inside, and `wait` is not set.
      OSError: the file cannot be opened for writing.
    """
    with Path(path).open("a+", encoding="utf-8") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except (ImportError, OSError):
            pass
        yield file


def write_text(path: str | Path, text: str) -> None:
    """Writes a file of UTF-8 text whole or not at all; raises UserError where it cannot be written."""
    with replacing_file(path) as temporary:
        # A name that is no text, from a file system of another encoding, is written as JSON and Python escape it.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value`, which must be `plain`, as `write_text` writes a text."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """`value` as the lines of a JSON file; ValueError for NaN and infinities, which JSON does not have."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """`value` as JSON would give it back.

    Tuples become lists, keys strings, NumPy's numbers and arrays Python's; what is not finite becomes None, and what
    JSON has no word for the text that `str` makes of it.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def check_replaceable_folder(path: str | Path, marks: tuple[str, ...], noun: str) -> None:
    """Raises UserError unless `path` is free, an empty folder, or a folder that holds all the files `marks`."""
    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.absolute().parent}", str(path), "Make it first.")
    if not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and not all((path / mark).is_file() for mark in marks)):
        raise UserError(f"exists and is not a {noun}", str(path), "Choose another place.")


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and is gone otherwise.

    A link stays, and what it leads to is replaced.

    Raises:
      UserError: nothing can be written there.
    """
    path = Path(path)
    with refusals_of(path):
        path = followed(path)
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
        try:
            yield folder
            folder.chmod(0o755)
            if path.exists():
                path.rename(replaced := Path(f"{folder}.replaced"))
                folder.rename(path)
                shutil.rmtree(replaced)
            else:
                folder.rename(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def user_cache_folder() -> Path:
    """Where this user's programs keep what they can make again; it need not exist, nor be writable."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(named or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as containers run them
        return private_temporary_folder()


def private_temporary_folder() -> Path:
    """A folder among the temporary files that only this user can read and write, the same for every process.

    Raises:
      OSError: there is no place to write to, or another user took the name.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"copycat_jax_{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != user or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode)):
        raise PermissionError(errno.EPERM, "is another user's, or open to others", str(folder))
    return folder


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file of any size, as hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashed_content(folder: Path, name: str, digest: object, what: str, remedy: str) -> bytes:
    """The content of a file of `folder`, which is `what`, after its SHA-256 was compared.

    Raises:
      UserError: there is no such file, its name leaves the folder, or it is another one than `digest` says.
    """
    try:
        content = (folder / name).read_bytes() if Path(name).name == name else b""
    except OSError:
        raise UserError(f"corrupt {what}: {name} is missing", str(folder), remedy) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"corrupt {what}: {name} differs from the manifest", str(folder), remedy)
    return content
