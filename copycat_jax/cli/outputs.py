"""Checks, before any work starts, that what a verb is asked to write can be written."""

import tempfile
from pathlib import Path

from copycat_jax.errors import UserError


def check_file(path: str | Path, suffix: str, inputs: tuple[str | Path, ...] = ()) -> Path:
    """The path of a file that is to be written; leaves nothing behind.

    Args:
      path: where it shall be.
      suffix: what its name must end in, such as ".wav".
      inputs: files that it must not replace.

    Raises:
      UserError: wrong ending, a folder, one of `inputs`, no such parent folder, or no permission.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise UserError(f"the name does not end in {suffix}", str(path), f"Name it {path.with_suffix(suffix).name}.")
    if path.is_dir():
        raise UserError("is a folder", str(path), "Give a file in it.")
    if any(Path(other).exists() and path.exists() and path.samefile(other) for other in inputs):
        raise UserError("would replace what it is made from", str(path), "Choose another name.")
    check_folder(path.absolute().parent)
    return path


def check_folder(folder: str | Path, make: bool = False) -> Path:
    """The path of a folder that files are to be written into; leaves nothing behind.

    Args:
      folder: the folder.
      make: whether it may be absent as long as it could be made.

    Raises:
      UserError: it is no folder, there is none, or no permission.
    """
    folder = Path(folder)
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
