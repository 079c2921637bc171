"""Ids of utterances: what their files are called below a folder, whoever wrote the names.

An id is a relative path without suffix, in Unicode's form NFC, "/" between its parts and no spaces around them.
Files that systems leave behind (names with a leading ".", such as "._x.wav", and the folder __MACOSX) have none.
"""

import functools
import os
import stat
import unicodedata
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError

# The first goes first where an id has several files; those of the last line are read where ffmpeg is.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".opus", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".sph"),
    *(".oga", ".mp2", ".aifc", ".snd", ".voc"),
    *(".m4a", ".aac", ".webm", ".wma", ".mka", ".amr", ".wv"),
)
_LONGEST_NAME = 255 - len(".TextGrid")  # bytes


def as_id(name: str) -> str:
    """`name` in the one form in which ids are compared; empty where nothing is left."""
    parts = [_bare(part) for part in unicodedata.normalize("NFC", _bare(name)).split("/")]
    root = "/" if len(parts) > 1 and not parts[0] else ""
    return root + "/".join(part for part in parts if part not in ("", "."))


def files_by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """{id: path} of the files anywhere below `folder` that end in one of `suffixes`, in any case.

    Of an id with several files the one whose suffix comes first in `suffixes` wins. No such folder holds no files, and
    pipes, sockets and devices are none. Links to folders elsewhere are followed, and folders that cannot be read are
    warned of.

    Raises:
      UserError: two files whose names differ only in case, spaces or Unicode's form.
    """
    found: dict[tuple[int, str], Path] = {}
    for here, folders, names in os.walk(folder, followlinks=True, onerror=_tell_of):
        folders[:] = [name for name in folders if not _is_left_behind(name) and not _leads_back(folder, here, name)]
        for name in names:
            order = next((i for i, suffix in enumerate(suffixes) if name.lower().endswith(suffix)), None)
            path = Path(here, name)
            if order is not None and not _is_left_behind(name) and not is_irregular(path):
                key = (order, as_id(path.relative_to(folder).as_posix()[: -len(suffixes[order])]))
                if key in found:
                    raise UserError(f"'{found[key].name}' and '{name}' are one id", here, "Keep one of the files.")
                found[key] = path
    return {name: found[order, name] for order, name in sorted(found, reverse=True)}


def _leads_back(root: Path, here: str, name: str) -> bool:
    """Whether a folder in `here` is a link into `root`, which is walked anyway, or to a folder on the way here."""
    path, way = os.path.join(here, name), Path(os.path.abspath(here))
    if not os.path.islink(path):
        return False
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(root)) or real in map(Path, map(os.path.realpath, (way, *way.parents)))


def _tell_of(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # where there is no folder, nothing is missed
        _warn_once(f"{error.filename}: cannot be read ({error.strerror}); what is in it is left out")


@functools.cache
def _warn_once(what: str) -> None:
    console.warn(what)


def is_irregular(path: Path) -> bool:
    """Whether `path` is a pipe, a socket or a device: what reads it may wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # not there, or no name of a file
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def fault_of_id(name: str) -> str:
    """Why `name` cannot name files below a folder, or an empty string."""
    if not name:
        return "the id names no file"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "the id holds control characters, or letters that are not Unicode"
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
        return f"the id '{name}' leaves the folder"
    if any(len(part.encode()) > _LONGEST_NAME for part in name.split("/")):
        return f"the id is too long to name a TextGrid (at most {_LONGEST_NAME} bytes between two '/')"
    return ""


def printable(name: str) -> str:
    """`name` with what no terminal or table could show as escapes."""
    bare = (f"\\x{ord(c):02x}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in name)
    return "".join(bare)


def _bare(part: str) -> str:
    """Without spaces around it, nor what spreadsheets and web pages put there unseen."""
    while part != (bare := part.strip().strip("\u200b\u200c\u200d\u2060\ufeff")):
        part = bare
    return part


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
