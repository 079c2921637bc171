"""Manifests of many transfers: text files with one line source|text|voice|out for each.

Paths are relative to the manifest's own folder. Empty lines and lines that only name the columns are skipped.
"""

from pathlib import Path
from typing import NamedTuple

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
    try:
        content = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", str(path), f"Give a text file with lines {HEADER}.") from None
    folder, seen, lines = Path(path).parent, set(), []
    for number, row in enumerate(content.splitlines(), start=1):
        if not row.strip() or row.strip() == HEADER:
            continue
        where, fields = f"{path}:{number}", [field.strip() for field in row.split("|")]
        if len(fields) != 4 or not all(fields):
            lines.append(UserError(f"not a line {HEADER}", where))
            continue
        out = folder / fields[3]
        try:
            check_file(out, ".wav", (folder / fields[0],))
            if out in seen:
                raise UserError("another line writes the same file", str(out))
            seen.add(out)
            lines.append(TransferLine(where, folder / fields[0], fields[1], fields[2], out))
        except UserError as error:
            lines.append(UserError(str(error), where))
    if not lines:
        raise UserError("holds no lines", str(path), f"Write lines {HEADER}.")
    return lines
