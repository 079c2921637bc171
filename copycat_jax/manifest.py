"""Manifests of many transfers: text files with one line source|text|voice|out for each.

Paths are relative to the manifest's own folder. Empty lines are skipped. A first line that names these columns may name
them in any order, and others among them. What separates fields, which file a name means and where a text stands that
no line gives is as in the tables of corpora.
"""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax.corpus.readers import text_beside
from copycat_jax.corpus.table import fields_by_style
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError
from copycat_jax.files import check_file

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
    rows = list(fields_by_style(read_text(path), str(path)))
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
    path, fault = _path_of(folder, source), ""
    if source and not text:
        text, fault = text_beside(path)
    if fault:
        return UserError(fault, where)
    if len(fields) != len(columns) or not (source and text and voice and out):
        return UserError(f"not a line {'|'.join(columns)}", where)
    try:
        check_file(folder / out, ".wav", (path,))
    except UserError as error:
        return UserError(str(error), where)
    except OSError as error:  # as of a name that is too long
        return UserError(f"{out[:80]!r} cannot be the name of a file ({error.strerror})", where, "Choose another.")
    return TransferLine(where, path, text, voice, folder / out)


def _path_of(folder: Path, name: str) -> Path:
    """The file of this name, in whichever of Unicode's forms it is there."""
    forms = [folder / name, *(folder / unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    return next(filter(os.path.exists, forms), forms[0])
