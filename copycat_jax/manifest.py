"""Manifests of many transfers: text files with one line source|text|voice|out for each.

Paths are relative to the manifest's own folder. Empty lines are skipped. A first line that names these columns may name
them in any order, and others among them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax.errors import UserError
from copycat_jax.files import check_file, read_text

HEADER = "source|text|voice|out"


class TransferLine(NamedTuple):
    """One line of a manifest: where it stands and what it asks for."""

    where: str  # "manifest:line number"
    source: Path
    text: str
    voice: str
    out: Path


def read_manifest(path: str | Path) -> list[TransferLine | UserError]:
    """The lines of a manifest, in order; a line that is wrong in itself is the UserError that says so.

    Raises:
      UserError: the file cannot be read, or holds no lines.
    """
    rows = [(n, [field.strip() for field in row.split("|")]) for n, row in enumerate(read_text(path).split("\n"), 1)]
    rows = [(number, fields) for number, fields in rows if any(fields)]
    columns: Sequence[str] = HEADER.split("|")
    if rows and set(columns) <= set(map(str.lower, rows[0][1])):
        columns = [name.lower() for name in rows.pop(0)[1]]
    if not rows:
        raise UserError("holds no lines", str(path), f"Write lines {HEADER}.")
    lines = [_line(f"{path}:{number}", Path(path).parent, columns, fields) for number, fields in rows]
    sources = {os.path.realpath(line.source) for line in lines if isinstance(line, TransferLine)}
    seen: set[str] = set()
    for place, line in enumerate(lines):
        if isinstance(line, TransferLine):
            out = os.path.realpath(line.out)
            if out in seen or out in sources:
                what = "another line writes the same file" if out in seen else "is the source of a line"
                lines[place] = UserError(f"{line.out}: {what}", line.where)
            seen.add(out)
    return lines


def _line(where: str, folder: Path, columns: Sequence[str], fields: Sequence[str]) -> TransferLine | UserError:
    named = dict(zip(columns, fields, strict=False))
    source, text, voice, out = (named.get(name, "") for name in HEADER.split("|"))
    if len(fields) != len(columns) or not (source and text and voice and out):
        return UserError(f"not a line {'|'.join(columns)}", where)
    try:
        check_file(folder / out, ".wav", (folder / source,))
    except UserError as error:
        return UserError(str(error), where)
    except OSError as error:  # as of a name that is too long
        return UserError(f"{out[:80]!r} cannot be the name of a file ({error.strerror})", where, "Choose another.")
    return TransferLine(where, folder / source, text, voice, folder / out)
