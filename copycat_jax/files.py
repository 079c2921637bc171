"""Files and folders that appear whole or not at all."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from copycat_jax.errors import UserError


@contextlib.contextmanager
def replacing_file(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`: what the block writes there takes the place of `path` if the block ends well.

    However it ends, nothing is left under the temporary name. What the file system refuses is raised as OSError.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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

    Raises:
      UserError: nothing can be written there.
    """
    path = Path(path)
    try:
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", str(path), "Choose another place.") from None
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


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file of any size, as hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
