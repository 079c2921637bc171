"""What the readers of text, Markdown, HTML and EPUB make of a document: headings, paragraphs, and what is no text."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from copycat_jax.text.characters import rejoined

CONTENTS, GUTENBERG = "contents", "Project Gutenberg's matter"
SHOWN = 80  # characters of what is not read that are kept


class Block(NamedTuple):
    """A heading or a paragraph of running text.

    Attributes:
      level: of a heading, 0 for the title of the whole, 1 for the largest; None for a paragraph.
      text: without marks; line breaks are those of the source.
    """

    level: int | None
    text: str


class Unread(NamedTuple):
    """Something that stood in a document and will not be read: of what kind ("footnote", "table"), its beginning."""

    kind: str
    text: str


Items: TypeAlias = list[Block | Unread]


def unread(kind: str, text: str) -> Unread:
    """An `Unread` of any text."""
    shown = " ".join(text.split())
    return Unread(kind, shown if len(shown) <= SHOWN else shown[: SHOWN - 1].rstrip() + "…")


def merge_unread(parts: Iterable[Unread]) -> tuple[Unread, ...]:
    """Contents lists and what Project Gutenberg added, each as the first of its paragraphs and their number."""
    merged: list[Unread] = []
    for kind, run in itertools.groupby(parts, key=lambda part: part.kind):
        first, *others = run
        if others and kind in (CONTENTS, GUTENBERG):
            merged.append(first._replace(text=f"{first.text} (and {len(others)} more)"))
        else:
            merged += [first, *others]
    return tuple(merged)


def join_lines(lines: Iterable[str]) -> str:
    """Lines to running text.

    A word divided at a line's end is put together as in any text (`characters.rejoined`).
    """
    joined = ""
    for line in (line.strip() for line in lines):
        first, last = re.search(r"([^\W\d_]+)-$", joined), re.match(r"[a-z]+", line)
        if first and last:
            joined = joined[: first.start()] + rejoined(first[1], last[0]) + line[last.end() :]
        else:
            joined = f"{joined} {line}" if joined and line else joined or line
    return joined


def is_table(lines: Sequence[str]) -> bool:
    """Whether lines of plain text or Markdown are the rows of a table: with bars, tabs, or spaces in columns."""
    if len(lines) >= 2 and any(re.fullmatch(r"[-=]{2,}(?:\s+[-=]{2,})+", line) for line in lines):
        return True
    tabs, gaps = ([len(re.findall(rf"\S{gap}(?=\S)", line)) for line in lines] for gap in ("\\t+", "(?: {2,}|\\t+)"))
    for columns, rows in ((tabs, 2), (gaps, 3)):
        if len(lines) >= rows and min(columns) >= 2 and len(set(columns)) == 1:
            return True
    rows = [line for line in lines if not re.fullmatch(r"[\s|+:=-]+", line)]
    bars = [line.count("|") for line in rows]
    ruled = len(rows) < len(lines) and any("-" in line and re.search(r"[|+]", line) for line in lines)
    return bool(bars) and min(bars) >= 1 and (ruled or (len(rows) >= 2 and len({*map(_columns, rows)}) == 1))


def _columns(row: str) -> int:
    return row.strip().strip("|").count("|")
