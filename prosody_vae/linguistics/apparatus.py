"""What surrounds a text and is not read: notes and their marks, page marks, pictures, contents, Gutenberg's own words.

Everything here is a function from items (`blocks`) to items; what is taken out stays among them as `Unread`.
"""

import re
from collections.abc import Sequence

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import parse_phones
from prosody_vae.linguistics.blocks import CONTENTS, GUTENBERG, Block, Items, Unread, unread

_ASIDE = re.compile(
    r"\[\s*(?:(?P<illustration>illustrations?|image|decoration|music|frontispiece)|(?P<footnote>footnotes?|endnote)"
    r"|(?P<sidenote>side-?note)|(?P<transcriber>transcriber|blank page)|(?P<page>(?:pg|page|p)\b\.?\s*\w+\s*\]))",
    re.IGNORECASE,
)
_KINDS = {
    "illustration": "picture",
    "footnote": "footnote",
    "sidenote": "side note",
    "transcriber": "transcriber's note",
    "page": "page mark",
}
_LONGEST_ASIDE = 20_000
_PAGE = re.compile(r"\s*\{\s*(?:pg|page|pp?)?\.?\s*(?:\d{1,4}|[ivxlc]+)\s*\}", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*)\}")
_SIGNS = r"[*†‡§¶]{1,3}"
_BRACKET_MARK = re.compile(
    rf"(?:\s|(?<=[^\W_]{{2}})|(?<=[.,;:!?\"'”’)\]])|^)\[(?:\d{{1,3}}|{_SIGNS}|note \d+)\]"
    r"|(?:(?<=[^\W_]{3})|(?<=[.,;:!?\"'”’)]))\[[a-z]\]",
    re.IGNORECASE,
)
_SIGN_MARK = re.compile(rf"(?<=[^\W_]|[.,;:!?\"'”’)]){_SIGNS}(?=[\s.,;:!?\"'”’)\]—-]|$)")
_RAISED_MARK = re.compile(r"(?:(?<=[^\W\d_]{3})|(?<=[.,;:!?\"'”’)]))[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_NUMBER_MARK = re.compile(
    r"(?:(?<=[^\W\d_]{2}[.!?,;])|(?<=[^\W\d_][.!?,;][\"'”’)])|(?<=[^\W\d_][\"”)]))(\d{1,3})(?=\s+[\"'“‘(]?[A-Z]|\s*$)"
)
_NUMBERED = re.compile(r"\b(?:nos?|vols?|figs?|pp?|chap|ch|secs?|arts?|eqs?|ps|st)\.$", re.IGNORECASE)
_BODY = re.compile(rf"(\[(?:\w{{1,3}}|note \d+|{_SIGNS})\]|{_SIGNS}|\d{{1,3}}|[⁰¹²³⁴⁵⁶⁷⁸⁹]+)(?!\w)", re.IGNORECASE)
_NOTES = re.compile(r"(?:foot|end)?notes?:?", re.IGNORECASE)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

_GUTENBERG = re.compile(
    r"\*{3} ?(?P<start>START) OF (?:THE|THIS) PROJECT GUTENBERG|\*{3} ?(?P<end>END) OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|^\s*(?P<old_start>\*END ?\*? ?THE SMALL PRINT)|^\s*(?P<old_end>END OF (?:THE |THIS )?PROJECT GUTENBERG)",
    re.IGNORECASE,
)
_CREDITS = re.compile(
    r"(?:produced|prepared|transcribed|scanned|digitized|proofed) (?:by|from)\b|(?:this )?e-?(?:text|book) (?:was )?"
    r"(?:prepared|produced|created)|html version by\b|credits:",
    re.IGNORECASE,
)
_NEAR = 30  # paragraphs between a sign and its note
_FIRST_PARAGRAPHS = 10  # among which credits stand

_CONTENTS = re.compile(
    r"(?:table of )?contents\.?|list of (?:illustrations|figures|tables|plates|maps)\.?", re.IGNORECASE
)
_COUNTED = re.compile(
    r"(?:(chapter|chap|part|book|section|volume|vol|act|scene|canto|letter|stave)\.?\s+)?([ivxlc]+|\d+)\b[.:)—-]*",
    re.IGNORECASE,
)
_RUN_TOGETHER = re.compile(r"\b(?:chapter|part|book|section|letter|stave)\.? +(?:[ivxlc]+|\d+)\b", re.IGNORECASE)
_LEADER = re.compile(r"(?:\s*\.){4,}\s*(?:\d+|[ivxlc]+)?\s*$|(?:\s{2,}|\t)(?:\d+|[ivxlc]+)\s*$")
_LAST_HEADINGS = 4  # before the first chapter's prose: part, chapter, its name


def gutenberg_matter(paragraphs: Sequence[str]) -> set[int]:
    """Which paragraphs, if any, are Project Gutenberg's: its header and licence, the credits of a text's makers."""
    marks = [(i, m.lastgroup or "") for i, text in enumerate(paragraphs) for m in _GUTENBERG.finditer(text)]
    begin = next((i + 1 for i, name in reversed(marks) if name.endswith("start")), 0)
    end = next((i for i, name in marks if name.endswith("end") and i >= begin), len(paragraphs))
    if not marks:
        return set()
    credits = {i for i in range(begin, min(begin + _FIRST_PARAGRAPHS, end)) if _CREDITS.match(paragraphs[i].strip())}
    return {*range(begin), *range(end, len(paragraphs)), *credits}


def without_gutenberg(items: Items) -> Items:
    """Items without what `gutenberg_matter` finds."""
    texts = [item.text if isinstance(item, Block) else "" for item in items]
    theirs = gutenberg_matter(texts)
    return [unread(GUTENBERG, item.text) if i in theirs else item for i, item in enumerate(items)]


def without_asides(text: str, left_out: list[Unread]) -> str:
    """A text without remarks in brackets such as "[Illustration: A ship]", which may hold brackets and blank lines."""
    kept, at = [], 0
    for match in _ASIDE.finditer(text):
        if match.start() < at:
            continue
        depth = 0
        for end in range(match.start(), min(len(text), match.start() + _LONGEST_ASIDE)):
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            if depth == 0:
                kept.append(text[at : match.start()])
                left_out.append(unread(_KINDS[match.lastgroup or ""], text[match.start() : end + 1]))
                at = end + 1
                break
    return "".join([*kept, text[at:]])


def without_contents(items: Items, sure: bool = True) -> Items:
    """Items without the lists under headings such as "Contents".

    Such a list ends where a heading of no lower level stands. Where headings are guesses (`sure` is false) it goes on
    until prose begins; the headings directly before that are the text's own: those that the list named, or else all of
    them.
    """
    result: Items = []
    at = 0
    while at < len(items):
        item = items[at]
        at += 1
        if not isinstance(item, Block) or not is_contents(item.text):
            if not (isinstance(item, Block) and item.level is None and is_leaders(item.text.splitlines())):
                result.append(item)
            else:
                result.append(unread(CONTENTS, item.text))
            continue
        run = at
        while run < len(items) and _is_entry(items[run]) and not (sure and _ends_list(items[run], item)):
            run += 1
        last = run if sure else _list_end(items[at:run], run == len(items)) + at
        if sum(map(_entries, items[at:last])) < 2:
            result.append(item)
            continue
        result += [
            unread(CONTENTS, entry.text) if isinstance(entry, Block) else entry for entry in items[at - 1 : last]
        ]
        at = last
    return result


def is_contents(heading: str) -> bool:
    """Whether a heading is that of a contents list."""
    return _CONTENTS.fullmatch(heading.strip()) is not None


def _ends_list(item: Block | Unread, heading: Block) -> bool:
    level = item.level if isinstance(item, Block) else None
    return level is not None and (heading.level is None or level <= heading.level)


def is_leaders(lines: Sequence[str]) -> bool:
    """Whether lines are entries of a contents list, with dots before the numbers of pages."""
    return len(lines) >= 2 and all(re.search(r"(?:\s*\.){4,}\s*\w+\s*$", line) for line in lines)


def _is_entry(item: Block | Unread) -> bool:
    """Whether an item may be a part of a contents list: it counts, or its lines are short names and not prose.

    Prose goes on in small letters on its next line, or some of its lines end with a mark and some do not.
    """
    if isinstance(item, Unread) or item.level is not None:
        return True
    lines = [_LEADER.sub("", line.strip()) for line in item.text.splitlines()]
    if _counts(lines[0]) or sum(_counts(line) is not None for line in lines) > 1:
        return True
    ended = [re.search(r"[.!?:;,—–-][\"'”’)]*(?:\[\w+\]|[*†‡§¶⁰-⁹\d])*$", line) is not None for line in lines]
    short = all(len(line.split()) <= 14 and not line[:1].islower() for line in lines)
    return short and (not any(ended) or (all(ended) and len(lines) > 2) or item.text.isupper())


def _entries(item: Block | Unread) -> int:
    """How many entries of a contents list an item may hold: its lines, or those that are run together in one."""
    return max(len(item.text.splitlines()), len(_RUN_TOGETHER.findall(item.text)))


def _counts(line: str) -> tuple[str, str] | None:
    """The kind and the number of a line such as "CHAPTER II. The Pool" or "II. The Pool"."""
    match = _COUNTED.match(line.strip())
    if match is None or not (
        match[1] or line.strip()[match.end(2) :][:1] in (".", ":", ")", "") or match[2].isdecimal()
    ):
        return None
    kind = (match[1] or "chapter").lower()
    return {"chap": "chapter", "vol": "volume"}.get(kind, kind), _arabic(match[2])


def _list_end(run: Sequence[Block | Unread], is_last: bool) -> int:
    """How many items of a run of entries and headings before prose belong to the contents list."""
    if is_last:
        return len(run)
    keys = [[_counts(line) or _plain(line) for line in _parts(item)] for item in run]
    for at in range(max(1, len(run) - _LAST_HEADINGS), len(run)):
        named = {key for entry in keys[:at] for key in entry} | {_name(line) for e in run[:at] for line in _parts(e)}
        tail = [entry[0] for entry in keys[at:] if entry]
        kinds = [key[0] if isinstance(key, tuple) else key for key in tail]
        if tail and all(key in named for key in tail) and len(set(kinds)) == len(kinds):
            return at
    at = len(run)
    while at > 1 and len(run) - at < _LAST_HEADINGS and getattr(run[at - 1], "level", None) is not None:
        at -= 1
    return at


def _parts(item: Block | Unread) -> list[str]:
    """The lines of an item; of a heading, its count and its name."""
    is_heading = isinstance(item, Block) and item.level is not None
    return re.split(r"\n|: ", item.text) if is_heading else item.text.splitlines()


def _name(line: str) -> str:
    """The name of a counted entry, without its count and page."""
    match = _COUNTED.match(line.strip())
    return _plain(line.strip()[match.end() :] if match else line)


def _plain(line: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", _LEADER.sub("", line).lower()))


def _arabic(number: str) -> str:
    return str(roman_value(number) or number)


def roman_value(numeral: str) -> int | None:
    """The value of a roman numeral up to 399; None where it is none."""
    if not re.fullmatch(r"C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})", numeral.upper()) or not numeral:
        return None
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[letter] for letter in numeral.upper()]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def without_marks(items: Items) -> Items:
    """Items without marks of notes and pages, and without the notes whose marks stood before them.

    A brace that holds no phonemes is text. A note begins with a mark that was seen ("[2] See ...", "* See ..."); one
    that begins with a sign stands near its mark.
    """
    result: Items = []
    seen: dict[str, int] = {}
    for at, item in enumerate(items):
        if isinstance(item, Unread):
            result.append(item)
            continue
        body = _BODY.match(item.text)
        mark = body[1].translate(_RAISED) if body else ""
        is_near = at - seen.get(mark, at) <= (_NEAR if re.fullmatch(_SIGNS, mark) else len(items))
        if body and mark in seen and is_near and item.level is None and re.search(r"[^\W\d_]", item.text[body.end() :]):
            del seen[mark]
            result.append(unread("footnote", item.text))
            continue
        left_out: list[Unread] = []
        text = _without_pages(without_asides(item.text, left_out), left_out)
        for pattern in (_BRACKET_MARK, _SIGN_MARK, _RAISED_MARK, _NUMBER_MARK):
            text = _without(pattern, text, left_out)
        seen |= {part.text.translate(_RAISED): at for part in left_out if part.kind == "footnote mark"}
        result += [item._replace(text=_braces_to_text(text)), *left_out]
    return _without_note_headings(result)


def _without(pattern: re.Pattern[str], text: str, left_out: list[Unread]) -> str:
    def cut(match: re.Match[str]) -> str:
        if pattern is _NUMBER_MARK and _NUMBERED.search(text[: match.start()]):
            return match[0]
        left_out.append(unread("footnote mark", match[0]))
        return ""

    return pattern.sub(cut, text)


def _without_pages(text: str, left_out: list[Unread]) -> str:
    def cut(match: re.Match[str]) -> str:
        left_out.append(unread("page mark", match[0]))
        return ""

    return _PAGE.sub(cut, text)


def _braces_to_text(text: str) -> str:
    """Braces that hold no phonemes, taken off what they hold."""

    def bare(match: re.Match[str]) -> str:
        try:
            parse_phones(match[1].split(), "")
        except UserError:
            return match[1]
        return match[0]

    before = None
    while before != text:
        before, text = text, _BRACES.sub(bare, text)
    return text


def _without_note_headings(items: Items) -> Items:
    """Items without a heading such as "Notes" under which every note was left out."""
    result: Items = []
    for i, item in enumerate(items):
        if isinstance(item, Block) and _NOTES.fullmatch(item.text.strip()):
            after = next((j for j in range(i + 1, len(items)) if isinstance(items[j], Block)), len(items))
            following = items[after] if after < len(items) else Block(0, "")
            notes = any(isinstance(other, Unread) and other.kind == "footnote" for other in items[i + 1 : after])
            if notes and isinstance(following, Block) and following.level is not None:
                item = unread("footnote", item.text)
        result.append(item)
    return result
