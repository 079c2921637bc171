"""The blocks of plain text: which lines are headings, paragraphs, items of a list, and which are not read.

A blank line ends a paragraph, single newlines join. A heading is a paragraph of one to three short lines that starts
with "CHAPTER IV", "Part 2", "Prologue" or the like; a numeral that stands alone or before a short name and counts on
("II", "III. The Storm"); a line "# Title". A short line without a full stop at the very start is the title of the
whole. Numbers that stand alone within sentences are those of pages.
"""

import html
import re
from collections.abc import Sequence

from prosody_vae.linguistics.apparatus import gutenberg_matter, is_contents, is_leaders, roman_value, without_asides
from prosody_vae.linguistics.blocks import GUTENBERG, Block, Items, Unread, is_table, unread

HEADING = re.compile(r"^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
_ITEM = re.compile(r"(?:[-*+•‣–]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+")
_TAG = re.compile(
    r"</?(?:(?P<block>blockquote|body|center|details|div|h[1-6]|hr|html|li|ol|p|pre|summary|table|tbody|td|th|tr|ul)"
    r"|(?P<line>br)|a|abbr|b|big|cite|code|em|font|i|img|q|s|small|span|strong|sub|sup|tt|u)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_GUTENBERG = re.compile(
    r"^(.*\*{3} ?(?:START|END) OF TH(?:E|IS) PROJECT GUTENBERG(?:[^*\n]|\n(?!\n))*\**)", re.MULTILINE
)
_ORDINALS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last"
_CARDINALS = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif)ty(?:[- ]\w+)?"
)
_NUMBER = rf"(?:[ivxlcdm]+|\d+|the\s+\w+|{_ORDINALS}|{_CARDINALS})"
_OUTER = (  # headings of what stands beside the chapters
    r"(?:(?:table of )?contents|list of illustrations)\.?$"
    r"|(?:prologue|epilogue|preface|foreword|introduction|afterword|conclusion|appendix|interlude)\b"
)
_CHAPTER = re.compile(
    rf"^(?:(?:chapter|chap\.|part|book|section|volume|vol\.|act|scene|canto|letter|stave|lecture)\s+{_NUMBER}\b"
    rf"|the\s+(?:{_ORDINALS})\s+(?:chapter|part|book)\b|(?:chapter|part|book|volume)[.:]?$|{_OUTER})",
    re.IGNORECASE,
)
_KIND, _NUMBER_ALONE = (re.compile(text, re.IGNORECASE) for text in ("chapter|part|book|volume", rf"{_NUMBER}\.?"))
_EMPHASIS = re.compile(r"(?<!\w)([_*]{1,2}|=|~)(?=\S)([^_*=~]+)(?<=\S)\1(?!\w)")
_LINE_NUMBER = re.compile(r"(?<=\S) {3,}(\d{0,3}[05])$")  # of a poem, every five lines
_COUNT = re.compile(r"^([IVXLC]+|\d{1,3})(?:[.:]?|[.:—-]+\s*([^\s.:—-].*))$")
_UNSTOPPED = re.compile(r"[.!?,;:…\"”'’)](?:\[\w+\]|[*†‡§¶⁰-⁹])*$")
_UNDERLINE = re.compile(r"([=\-~^*#+])\1{2,}")


def blocks_of_text(text: str) -> Items:
    """The headings and paragraphs of a plain text, and what is not read."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    text = re.sub(r"&(?:[a-zA-Z]+|#\d+|#x[0-9a-fA-F]+);", lambda m: html.unescape(m[0]), without_tags(text))
    text = _GUTENBERG.sub(r"\n\n\1\n\n", text)
    items: Items = []
    left_out: list[Unread] = []
    paragraphs = [part for part in re.split(r"\n\s*\n", without_asides(text, left_out)) if part.strip()]
    theirs = gutenberg_matter(paragraphs)
    items += [unread(GUTENBERG, paragraphs[i]) for i in sorted(theirs)]
    lines = [_lines(part) for i, part in enumerate(paragraphs) if i not in theirs]
    pages = _page_numbers(lines)
    last_count = 0
    awaits_name = False  # a heading that only counts ("CHAPTER IV") may be followed by the chapter's name
    for at, part in enumerate(lines):
        if len(part) >= 2 and _UNDERLINE.fullmatch(part[1]) and len(part[0].split()) <= 12:
            items.append(Block(1 if part[1][0] in "=*#" else 2, part[0]))
            part = part[2:]
        while part and (heading := HEADING.match(part[0])):
            items.append(Block(len(heading[1]), heading[2] or ""))
            part = part[1:]
        if not part:
            continue
        if at in pages:
            items.append(unread("page mark", part[0]))
            continue
        short = len(part) <= 3 and all(len(line.split()) <= 12 for line in part)
        unstopped = not _UNSTOPPED.search(part[-1])
        first = not any(isinstance(item, Block) for item in items)
        last = items[-1] if awaits_name else None
        if isinstance(last, Block) and _KIND.fullmatch(last.text) and _NUMBER_ALONE.fullmatch(" ".join(part)):
            items[-1] = last._replace(text=f"{last.text} {part[0].rstrip('.')}")
        elif (count := _count(part, last_count)) is not None:
            last_count, name = count
            items.append(Block(2, f"{last_count}: {name}" if name else str(last_count)))
            awaits_name = not name
        elif short and _is_chapter(part) and (unstopped or len(part[0].split()) <= 3):
            items.append(Block(1, ": ".join(line.rstrip(".:") for line in part)))
            is_bare = len(part) == 1 and len(part[0].split()) <= 2
            awaits_name, last_count = is_bare and not is_contents(part[0]), 0
        elif isinstance(last, Block) and len(part) == 1 and short and unstopped:
            items[-1] = last._replace(text=f"{last.text}: {part[0]}")
            awaits_name = False
        elif first and short and unstopped and len(lines) > 1 and not is_leaders(part):
            items.append(Block(0, " ".join(part)))
        else:
            items += _body(part)
            awaits_name = False
    tops = [item.text for item in items if isinstance(item, Block) and item.level == 1]
    if all(re.match(_OUTER, text, re.IGNORECASE) for text in tops):  # the chapters are those that only count
        items = [item._replace(level=1) if isinstance(item, Block) and item.level == 2 else item for item in items]
    for i, page in sorted(((i, page) for i, page in enumerate(items) if isinstance(page, Unread)), reverse=True):
        if page.kind == "page mark":
            _mend(items, i)
    return [*items, *left_out]


def without_tags(text: str) -> str:
    """A text without the tags of HTML in it; those of blocks and lines leave breaks."""
    return _TAG.sub(lambda match: "\n\n" if match["block"] else "\n" if match["line"] else "", text)


def _is_chapter(lines: Sequence[str]) -> bool:
    """Whether lines are the heading of one chapter ("ACT I", "SCENE I"); several chapters are a list."""
    kinds = [line.split()[0].lower() for line in lines if _CHAPTER.match(line)]
    return _CHAPTER.match(lines[0]) is not None and len(set(kinds)) == len(kinds)


def _lines(paragraph: str) -> list[str]:
    """The lines of a paragraph, without the marks of a quotation."""
    lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
    if all(line.startswith(">") for line in lines):
        lines = [stripped for line in lines if (stripped := line.lstrip("> "))]
    return lines


def _body(lines: Sequence[str]) -> Items:
    """A paragraph's blocks: itself, or the items of its list; a table is not read."""
    if is_table(lines):
        return [unread("table", " ".join(lines))]
    numbers: Items = [unread("line number", match[1]) for line in lines if (match := _LINE_NUMBER.search(line))]
    return [
        *_texts(_EMPHASIS.sub(r"\2", "\n".join(_LINE_NUMBER.sub("", line) for line in lines)).split("\n")),
        *numbers,
    ]


def _texts(lines: Sequence[str]) -> Items:
    """A paragraph, or the items of a list."""
    starts = [i for i, line in enumerate(lines) if _ITEM.match(line)]
    if starts and starts[0] == 0 and (len(starts) > 1 or re.match(r"[-+•‣–]\s", lines[0])):
        ends = [*starts[1:], len(lines)]
        items = ["\n".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
        return [Block(None, re.sub(r"^[-*+•‣–]\s+", "", item)) for item in items]
    return [Block(None, "\n".join(lines))]


def _count(lines: Sequence[str], last: int) -> tuple[int, str] | None:
    """The number and the name of a heading that only counts, where it counts on from `last` or begins anew."""
    match = _COUNT.match(lines[0]) if len(lines) == 1 else None
    if match is None:
        return None
    value, name = roman_value(match[1]) or (int(match[1]) if match[1].isdecimal() else 0), match[2] or ""
    is_name = len(name.split()) <= 10 and not _UNSTOPPED.search(name.rstrip(".")) and not re.match(r"[A-Z]\.", name)
    counts_on = value in (1, last + 1, last + 2)
    return (value, name.rstrip(".")) if counts_on and is_name and (not name or not match[1].isdecimal()) else None


def _page_numbers(paragraphs: Sequence[Sequence[str]]) -> set[int]:
    """Which paragraphs are the numbers of pages: all that are only digits, if one of them parts a sentence."""
    numbers = [
        i
        for i, lines in enumerate(paragraphs)
        if len(lines) == 1 and re.fullmatch(r"[-–—\s]*\d{1,4}[-–—\s]*", lines[0])
    ]
    parting = any(0 < i < len(paragraphs) - 1 and paragraphs[i + 1][0][:1].islower() for i in numbers)
    return set(numbers) if parting else set()


def _mend(items: Items, at: int) -> None:
    """Joins the two halves of a sentence around the page mark at `at`."""
    if not 0 < at < len(items) - 1:
        return
    before, after = items[at - 1], items[at + 1]
    if not (isinstance(before, Block) and isinstance(after, Block) and before.level is after.level is None):
        return
    if after.text[:1].islower() and not re.search(r"[.!?:…][\"'”’)]*$", before.text):
        items[at - 1 : at + 2] = [before._replace(text=f"{before.text}\n{after.text}"), items[at]]
