"""Tokens: a plain text is cut, from left to right, into pieces that are each of one kind.

A kind is a pattern and what is said for it. At each place the first kind whose pattern matches there takes the token;
characters that no kind wants separate tokens. Nothing is read twice, so no kind can undo another. What several kinds
are made of stands below.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from copycat_jax.text import numbers as n

# A number: thousands by commas, apostrophes or spaces, Indian lakhs, a decimal fraction. "12 345 6" and "020 7946" have
# no such thousands.
_SPACED = r"(?<![\d.,/])(?<!\d )[1-9]\d{0,2}(?: \d{3})+(?!\d| \d|-\d)"
_GROUPED = r"\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:'\d{3})+(?![\d'])|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
NUMBER = rf"(?:(?:{_GROUPED}|{_SPACED}|\d+)(?:\.\d+)?|(?<!\d)\.\d+)"
SIGN = r"(?:\+/-|(?<![\w.)%-])[+-]|[±~≈])"
_FRACTION = r"(?:\d+[ -])?\d{1,3}/(?:\d{1,3}|1000)(?![\d/])"
AMOUNT = rf"(?:{SIGN}?(?:{_FRACTION}|{NUMBER}))"
DASH = r"(?:[-–—]| [-–] )"
SERIES = rf"{AMOUNT}(?:[%°]?{DASH}[$£€¥₹]?{AMOUNT}|[\"']? ?[x×] ?{AMOUNT})*"
SCIENTIFIC = rf"(?P<mantissa>{SIGN}?{NUMBER})(?:[eE]| ?[x×] ?10\^)(?P<exponent>[+-]?\d+)"
END = r"(?!\w|[.,:/]\d)"  # a full stop may follow a number, its digits may not go on
SCALE = "hundred|thousand|million|billion|trillion"
_SIGNS = {"-": "minus", "+": "plus", "±": "plus or minus", "+/-": "plus or minus", "~": "about", "≈": "about"}
_NEAR = 60  # characters
_AMOUNT = re.compile(AMOUNT)
_CONTENT_FOLLOWS = re.compile(
    r"-[a-z]|(?: |-)(?!(?:in|on|at|of|to|for|from|by|with|as|per|is|was|are|were|and|or|but|if|when|that|than|"
    r"more|less|each|every|a|an|the|it|he|she|they|we|you)\b)[a-z]{2}"
)


class Kind(NamedTuple):
    """One kind of token: its name, how it is written, what is said, and what the pattern alone cannot tell."""

    name: str
    pattern: re.Pattern
    speak: Callable[[re.Match], str]  # words; a capital is a letter by its name, "O's" one with an ending
    holds: Callable[[re.Match], bool] = lambda match: True
    closes: bool = True  # whether a full stop at its end may end a sentence


class Token(NamedTuple):
    """A piece of a plain text and its kind."""

    kind: Kind
    match: re.Match


def kind(name: str, pattern: str, speak: Callable[[re.Match], str], **options) -> Kind:
    """A kind of token whose pattern is given as text."""
    return Kind(name, re.compile(pattern), speak, **options)


def classify(text: str, kinds: Sequence[Kind]) -> Iterator[Token]:
    """The tokens of a plain `text`, in order; of the kinds that match at a place the first takes it."""
    at = 0
    while at < len(text):
        token = text[at] != " " and _token_at(text, at, kinds)
        if token:
            yield token
        at = token.match.end() if token else at + 1


def _token_at(text: str, at: int, kinds: Sequence[Kind]) -> Token | None:
    for kind in kinds:
        match = kind.pattern.match(text, at)
        if match and match.end() > at and kind.holds(match):
            return Token(kind, match)
    return None


def alternatives(words: Iterable[str]) -> str:
    """A pattern of any of `words`, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def amount(text: str) -> str:
    """What is said for an `AMOUNT`: "-2 1/2" is "minus two and a half"."""
    sign = re.match(SIGN, text)
    sign = sign[0] if sign else ""
    bare = text[len(sign) :]
    mixed = re.fullmatch(r"(?:(\d+)[ -])?(\d+)/(\d+)", bare)
    if mixed is None:
        words = n.decimal(bare)
    else:
        whole, above, below = mixed[1], int(mixed[2]), int(mixed[3])
        words = n.fraction(above, below)
        if whole:
            words = f"{n.decimal(whole)} and {'a' if above == 1 else n.cardinal(above)} {n.part(above, below)}"
    return f"{_SIGNS[sign]} {words}" if sign else words


def amounts(match: re.Match, group: str = "amounts") -> list[tuple[str, str]]:
    """The amounts of a `SERIES`, each after the word for what joins it to the one before: "to", "by" or nothing."""
    found = _AMOUNT.finditer(match.string, *match.span(group))
    pieces, end = [], match.start(group)
    for piece in found:
        between = match.string[end : piece.start()]
        pieces.append(("" if not pieces else "by" if re.search("[x×]", between) else "to", piece[0]))
        end = piece.end()
    return pieces


def series(match: re.Match, group: str = "amounts", speak: Callable[[str], str] = amount) -> str:
    """What is said for a `SERIES`: "10-15" is "ten to fifteen", "3 x 4" "three by four"."""
    return " ".join(f"{join} {speak(piece)}" for join, piece in amounts(match, group))


def scientific(match: re.Match) -> str:
    """What is said for a `SCIENTIFIC`: 1e-5 is "one times ten to the power of minus five"."""
    return f"{amount(match['mantissa'])} times ten to the power of {n.decimal(match['exponent'])}"


def before(match: re.Match) -> str:
    """A little of the text before a token, for what its neighbours tell."""
    return match.string[max(0, match.start() - _NEAR) : match.start()]


def after(match: re.Match) -> str:
    """A little of the text after a token."""
    return match.string[match.end() : match.end() + _NEAR]


def is_one(text: str) -> bool:
    """Whether what is counted by this `AMOUNT` stays singular: one, or a fraction below it."""
    return text.lstrip("+-") == "1" or re.fullmatch(r"(\d+)/\d+", text) is not None


def is_adjective(match: re.Match, hyphened: bool = False) -> bool:
    """Whether a measure belongs to a noun ("a $100 bill", "a 5 km run", "the 5-km run") and so has no plural."""
    article = re.search(r"(?:^|[ (\"'])an? $", before(match), re.IGNORECASE)
    return bool((article or hyphened) and names_thing(match))


def names_thing(match: re.Match) -> bool:
    """Whether a word in small letters follows that may be a thing or its quality: no preposition, no verb "to be"."""
    return bool(_CONTENT_FOLLOWS.match(match.string, match.end()))
