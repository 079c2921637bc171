"""Checksums of the files of a checkpoint: written before it gets its name, compared before it is trusted.

A disk that loses the end of a file, or turns a bit, says nothing; arrays that are read back wrong still have the right
shapes. So process 0 hashes what all processes wrote, while the checkpoint still has its temporary name, and whoever
restores hashes it again.
"""

import concurrent.futures
import json
import os
from pathlib import Path

from copycat_jax.files import file_hash

SEAL = "checksums.json"
_OUTSIDE = {SEAL, "_CHECKPOINT_METADATA", "commit_success.txt"}  # written later, by Orbax; no values in them


def write_seal(folder: str | Path) -> None:
    """Writes sizes and SHA-256 of all files of a checkpoint into it; raises OSError."""
    folder = Path(folder)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    names = [name for name in names if name not in _OUTSIDE]
    facts = {name: [(folder / name).stat().st_size, found] for name, found in _hashes(folder, names).items()}
    (folder / SEAL).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def is_sealed(folder: str | Path) -> bool:
    """Whether it carries checksums; those of before there were any do not."""
    return (Path(folder) / SEAL).is_file()


def damage(folder: str | Path) -> str:
    """What is wrong with a sealed checkpoint, in a few words; empty if it is what was written."""
    folder = Path(folder)
    try:
        facts = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        for name, (size, _) in facts.items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if (found := (folder / name).stat().st_size) != size:
                return f"{name} has {found} bytes of {size}"
        hashes = _hashes(folder, list(facts))
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    except (ValueError, TypeError, AttributeError):
        return f"{SEAL} is damaged"
    return next((f"{name} is not what was written" for name, (_, kept) in facts.items() if hashes[name] != kept), "")


def _hashes(folder: Path, names: list[str]) -> dict[str, str]:
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing needs no Python
        return dict(zip(names, pool.map(lambda name: file_hash(folder / name), names), strict=True))
