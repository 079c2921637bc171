"""A folder that leaves for another runtime: its files, and export.json, which names it and holds their hashes."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from copycat_jax import __version__
from copycat_jax.errors import UserError
from copycat_jax.files import check_replaceable_folder, hashed_content, json_text, replacing_folder

FORMAT = 1
MANIFEST = "export.json"


class Export(NamedTuple):
    """What a folder says of itself: its kind, the fingerprints of the bundles it was made of, and where it lies."""

    kind: str
    bundles: Mapping[str, str]
    folder: Path


def check_export_folder(path: str | Path) -> None:
    """Raises UserError unless `path` is free, an empty folder, or an export that may be replaced."""
    check_replaceable_folder(path, (MANIFEST,), "folder of `export`")


def write_export(path: str | Path, kind: str, files: Mapping[str, bytes], bundles: Mapping[str, str]) -> Path:
    """Writes a folder, whole or not at all; raises UserError where something else lies there."""
    check_export_folder(path)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    about = {"format": FORMAT, "kind": kind, "made_by": f"copycat_jax {__version__}", "bundles": dict(bundles)}
    with replacing_folder(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_text(json_text(about | {"files": hashes}), encoding="utf-8")
    return Path(path)


def read_export(path: str | Path) -> Export:
    """Reads what a folder says of itself, and all its files once to compare their hashes.

    Raises:
      UserError: it is none, of a later format, or a file is missing or differs.
    """
    path, again = Path(path), "Export it again."
    try:
        about = json.loads((path / MANIFEST).read_bytes())
        kind, number, bundles, hashes = (about[name] for name in ("kind", "format", "bundles", "files"))
        if not (isinstance(kind, str) and isinstance(bundles, dict) and isinstance(hashes, dict)):
            raise ValueError
    except OSError:
        raise UserError(f"not an export (it has no {MANIFEST})", str(path), "Give a folder of `export`.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"corrupt export: {MANIFEST} is not readable", str(path), again) from None
    if number != FORMAT:
        raise UserError(f"format {number}, this version reads {FORMAT}", str(path), "Use the version that made it.")
    for name, digest in hashes.items():
        hashed_content(path, name, digest, "export", again)
    return Export(kind, bundles, path)


def need(module: str, extra: str) -> ModuleType:
    """Imports a runtime that is not everyone's; raises UserError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"{module} is not installed", remedy=f"Run `pip install 'copycat-jax[{extra}]'`.") from None
