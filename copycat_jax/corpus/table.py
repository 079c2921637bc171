"""Tables of utterances: lines of fields separated by "|", in which quotes have no meaning.

A table whose first line names its columns may also separate them by tabs, commas or semicolons. Then, and where the
names themselves are in quotes, quotes are those of spreadsheets: what is between them is one field.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError

HEADER = "id|speaker|text"
_SEPARATORS, _QUOTING = "|\t,;", ",;"  # the first that the first line holds
# What the columns of public corpora are called; the first of them that a row fills is taken.
_NAMES = {
    "id": ("id", "utterance_id", "file_name", "filename", "file", "audio_file", "audio", "path"),
    "speaker": ("speaker", "speaker_id", "speaker_name"),
    "text": (
        *("normalized_text", "normalised_text", "text_normalized", "text_normalised"),
        *("normalized_transcription", "text", "transcription", "transcript", "sentence"),
    ),
}


class Row(NamedTuple):
    """A line of a table with a header; `fault` says why it cannot be used, or nothing."""

    id: str
    speaker: str
    text: str | None
    fault: str


def is_header(fields: Sequence[str]) -> bool:
    """Whether the fields of a first line are names of columns, the first of them an id's."""
    return bool(fields) and _column(fields[0]) in _NAMES["id"]


def read_rows(path: Path, speaker: str = "") -> Iterator[Row]:
    """The rows of a table whose first line names its columns, in any order; columns of other names are left alone.

    Args:
      path: the table.
      speaker: of a table that needs not name one.

    Raises:
      UserError: it cannot be read, lacks one of the columns of HEADER or names one twice, or a row has no id or no
        speaker.
    """
    lines = fields_by_style(_text(path), str(path))
    header = [_column(name) for name in next(lines, (0, []))[1]]
    for role, names in _NAMES.items():
        if not set(names) & set(header) and not (role == "speaker" and speaker):
            what = f"its first line names no column '{role}': {'|'.join(header)[:80]!r}"
            raise UserError(
                what, str(path), f"Expected {HEADER}, and further columns if you like, separated by | or tabs."
            )
        if repeated := [name for name in names if header.count(name) > 1]:
            raise UserError(f"two columns are named '{repeated[0]}'", str(path), "Give each its own name.")
    for number, fields in lines:
        named = dict(zip(header, fields, strict=False))
        name, whose, text = (next(filter(None, map(named.get, names)), "") for names in _NAMES.values())
        whose = whose or speaker
        if not name or not whose:
            raise UserError(f"line {number} has no id or no speaker", str(path), "Fill them in.")
        whole = len(fields) >= len(header) and not any(fields[len(header) :])
        fault = "" if whole else f"{path}:{number}: {len(fields)} fields where the first line names {len(header)}"
        yield Row(name, whose, text or None, fault)


def _column(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def fields_of_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields without spaces around) of the lines that hold something; UserError if it cannot be read."""
    return _bare((number, line.split("|")) for number, line in enumerate(_text(path).split("\n"), 1))


def fields_by_style(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """`fields_of_lines` of a table whose first line shows what separates fields, and whether quotes hold them.

    Raises:
      UserError: quotes do not end, or end within a field; `where` names the table.
    """
    first = text.lstrip().partition("\n")[0]
    separator = next((known for known in _SEPARATORS if known in first), _SEPARATORS[0])
    if separator in _QUOTING or first.startswith('"'):
        return _bare(_spreadsheet(text, separator, where))
    return _bare((number, line.split(separator)) for number, line in enumerate(text.split("\n"), 1))


def _spreadsheet(text: str, separator: str, where: str) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for fields in lines:
            yield lines.line_num, fields
    except csv.Error as error:
        raise UserError(f"line {lines.line_num}: {error}", where, "Mend its quotes.") from error


def _bare(lines: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold something, their fields without spaces around."""
    for number, fields in lines:
        bare = [field.strip() for field in fields]
        if any(bare):
            yield number, bare


def _text(path: Path) -> str:
    return unicodedata.normalize("NFC", read_text(path))
