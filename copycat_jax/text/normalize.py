"""Written English to spoken words: our own grammar, in full, before any dictionary sees a word.

A text is made plain (`characters`), cut into tokens that are each of one kind (`grammar`), and every token is said.
Kinds of dates, measures, numbers and numerals stand in modules of their own, kinds of words here; `KINDS` gives
their order. Usage is American ("one hundred twenty one", 3/5 is March fifth). Marks such as brackets, quotes and
bullets are silent.
"""

import re
import unicodedata
from collections.abc import Container
from typing import NamedTuple

from copycat_jax.text import abbreviations, addresses, dates, figures, measures, romans, scripture
from copycat_jax.text.characters import plain, unspeakable
from copycat_jax.text.grammar import Token, classify, kind
from copycat_jax.text.pronunciation import LETTERS, is_known, possessive


class Given(NamedTuple):
    """Phonemes written by the user in place of a word, as in `{HH AH0 L OW1}`."""

    text: str
    symbols: tuple[str, ...]


class Spoken(NamedTuple):
    """What is said for one token of a plain text, and where that stands."""

    words: list[str | Given]
    start: int
    stop: int
    closes: bool  # whether a full stop at its end may end a sentence


_SPOKEN_CAPITALS = {"OK": "okay", "AIDS": "aids", "NASA": "nasa", "NATO": "nato", "JPEG": "jpeg"}
_SPELLED = frozenset((
    *("US", "UK", "EU", "UN", "TV", "PC", "ID", "AI", "AM", "PM", "BC", "AD", "CD", "DVD", "GPS", "USA", "FBI", "CIA"),
    *("BBC", "CEO", "IBM", "MIT", "UAE", "IRS", "ATM", "IQ", "HIV", "PR", "HR", "VR", "AR", "NAACP", "HTML", "HTTP"),
    *("EST", "EDT", "PST", "CST", "HTTPS", "NCAA", "USB", "USSR", "UEFA", "ET", "PT", "IP", "AU", "PO", "LA"),
    *("FYI", "APR", "AKA", "ILO", "UPS", "USPS", "NGO", "GDP", "LED", "OS", "COO", "CT", "ER", "EEG", "EV"),
    *("GED", "IRA", "RAF", "USAF", "ACLU", "UCLA", "ALS", "DOB", "KO", "OT", "SOS", "MA", "PA", "MI", "MS"),
    *("MC", "LOL", "SEC", "VAT", "IMO", "IDE", "JFK", "TEFL", "IOU", "DIY", "FAQ", "EIN"),
))  # fmt: skip
_SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "‰": "per mille",
    "°": "degrees", "×": "times", "÷": "divided by",
    "±": "plus or minus", "≈": "approximately", "≠": "is not equal to", "≤": "less than or equal to",
    "≥": "greater than or equal to", "√": "the square root of", "∞": "infinity", "§": "section", "¶": "paragraph",
    "$": "dollar", "£": "pound", "€": "euro", "¥": "yen", "¢": "cent", "₹": "rupee", "₩": "won", "₽": "ruble",
    "₿": "bitcoin",
}  # fmt: skip
_CLIPPED = ("'em", "'tis", "'twas", "'cause", "'til", "'bout", "'n")
_MIXED = re.compile(r"([a-z]{1,5})([A-Z]{2,3})")  # iOS, macOS, mRNA
_JOINED = re.compile(r"([A-Z][a-z]+)([A-Z][a-z]+|[A-Z]{2,3})")  # OpenAI, PageRank
# What may begin and end a syllable, in letters.
_ONSETS = frozenset((
    *("", "bl", "br", "ch", "cl", "cr", "dr", "dw", "fl", "fr", "gl", "gr", "kl", "kn", "kr", "ph", "pl", "pr", "qu"),
    *("rh", "sc", "sch", "scr", "sh", "shr", "sk", "sl", "sm", "sn", "sp", "spl", "spr", "squ", "st", "str", "sw"),
    *("th", "thr", "tr", "ts", "tw", "wh", "wr"),
))  # fmt: skip
_CODAS = frozenset((
    *("", "ch", "ck", "ct", "ff", "ft", "gh", "ld", "lf", "lk", "ll", "lm", "lp", "lt", "mp", "nc", "nch", "nd", "ng"),
    *("nk", "nn", "ns", "nt", "ph", "pt", "rb", "rc", "rch", "rd", "rf", "rg", "rk", "rl", "rm", "rn", "rp", "rs"),
    *("rt", "sh", "sk", "sm", "sp", "ss", "st", "tch", "th", "tt", "tz", "wn", "xt"),
))  # fmt: skip
_AN_A = (  # no article, nor the speaker
    r"A(?= ?[.,;:!?)]| ?$|'s\b| [B-HJ-Z]\b|\d|-[a-z]|[+-](?!\w))|(?<=[a-z] )A(?= [a-z])|I(?=-\d)"
)


def spoken_words(text: str, keep: Container[str] = ()) -> list[str | Given]:
    """The words of `text` as they are spoken, in order.

    Args:
      text: written English, any case; inline phonemes in braces.
      keep: lower-case words that are never spelled out (a custom lexicon's).

    Returns:
      Lower-case words of letters and apostrophes; a capital alone is a letter spoken by its name; `Given` for inline
      phonemes. Empty where nothing can be spoken.
    """
    return [word for token in spoken_tokens(plain(text), keep) for word in token.words]


def spoken_tokens(text: str, keep: Container[str] = ()) -> list[Spoken]:
    """What is said for each token of a plain `text`, in order; see `spoken_words`."""
    shouted = not any(c.islower() for c in _INLINE.sub("", text))  # capitals throughout mean nothing
    return [
        Spoken(_said(token, shouted, keep), *token.match.span(), token.kind.closes) for token in classify(text, KINDS)
    ]


def unspoken(text: str) -> list[str]:
    """What of `text` is lost: letters, digits and symbols, in runs, for which nothing is said."""
    silent, at = "", 0
    composed = plain(text)
    for token in classify(composed, KINDS):
        silent, at = silent + composed[at : token.match.start()], token.match.end()
    symbols = [c for c in silent + composed[at:] if unicodedata.category(c)[0] in "LNS"]
    return list(dict.fromkeys([*unspeakable(text), *symbols]))


def _said(token: Token, shouted: bool, keep: Container[str]) -> list[str | Given]:
    written = token.match[0]
    if token.kind.name == "inline":
        symbols = tuple(token.match[1].split())
        return [Given(" ".join(symbols), symbols)]
    if token.kind.name == "word":
        return _word(written, shouted, keep)
    return [_with_ending(word) for word in token.kind.speak(token.match).split()]


def _word(word: str, shouted: bool, keep: Container[str]) -> list[str | Given]:
    """One run of letters: a word, or the letters of an acronym."""
    lower = word.lower()
    if lower in keep:
        return [lower]
    stem, ending = (word[:-2], "'s") if lower.endswith("'s") else (word, "")
    if re.fullmatch("[A-Z][A-Za-z]*[A-Z]s", stem):  # CEOs, PhDs
        stem, ending = stem[:-1], "'s"
    known = is_known(stem.lower())
    if stem.isupper() and len(stem) > 1 and not (shouted and known):
        if stem in _SPOKEN_CAPITALS:
            return [_SPOKEN_CAPITALS[stem] + ending]
        if stem in _SPELLED or not (known or _is_pronounceable(stem)):
            return _spelled(stem, bool(ending))
    parts = _MIXED.fullmatch(stem) or (None if known or is_known(lower) else _JOINED.fullmatch(stem))
    if parts and (len(parts[1]) == 1 or re.search("[aeiouy]", parts[1].lower())):
        first = _spelled(parts[1].upper()) if len(parts[1]) == 1 else [parts[1].lower()]
        return first + _word(parts[2] + ending, shouted, keep)
    if not re.search("[aeiouy]", lower) and not known:
        return _spelled(stem.upper(), bool(ending))
    spoken = lower if is_known(lower) or not ending else stem.lower() + ending
    return [spoken if lower in _CLIPPED else spoken.strip("'")]


def _is_pronounceable(capitals: str) -> bool:
    """Whether an acronym is spoken as a word: UNESCO, not USPS."""
    first, *runs = re.split("[aeiou]|(?<=.)y", capitals.lower())
    if len(capitals) < 4 or not runs or max(map(len, runs)) > 3:
        return False
    return (len(first) == 1 or first in _ONSETS) and (len(runs[-1]) == 1 or runs[-1] in _CODAS)


def _spelled(letters: str, ending: bool = False) -> list[str | Given]:
    """Letters by their names; `ending` adds a plural's or possessive's sound to the last."""
    *head, last = letters.replace("'", "")
    return [*head, _with_ending(f"{last}'s") if ending else last]


def _with_ending(word: str) -> str | Given:
    """A word as it is; "O's" as the phonemes of the letter and its ending."""
    if re.fullmatch("[A-Z]'s", word):
        return Given(word, possessive(LETTERS[word[0]]))
    return word


def _letter(match: re.Match) -> str:
    return match[0]


def _greek(match: re.Match) -> str:
    return unicodedata.name(match[0]).split(" LETTER ")[-1].split(" WITH ")[0].lower().replace("lamda", "lambda")


_INLINE = re.compile(r"\{([^{}]*)\}")
KINDS = (
    kind("inline", _INLINE.pattern, _letter),
    *addresses.KINDS,
    *scripture.KINDS,
    *figures.NAMES,
    *measures.KINDS,
    *dates.KINDS,
    *romans.KINDS,
    *abbreviations.KINDS,
    *figures.KINDS,
    kind("letter", rf"(?<![A-Za-z'])(?:[B-HJ-Z]|{_AN_A})(?:'s)?(?![A-Za-z]|'[A-Za-z])", _letter),
    kind("sharp", r"(?<=\b[A-G])#", lambda match: "sharp"),
    kind("grade", r"(?<=\b[A-F])-(?=[ .,;:!?)]|$)(?! -)", lambda match: "minus"),
    kind("hashtag", r"#(?=[A-Za-z])", lambda match: "hashtag"),
    kind("word", r"[A-Za-z]+(?:'[A-Za-z]+)*|(?i:'(?:em|tis|twas|cause|til|bout|n))\b", _letter),
    kind("comparison", r"<(?= ?[\d.-])|(?<= )<(?= )", lambda match: "less than"),
    kind("comparison", r"(?<=\w)>(?=\d)|(?<= )>(?= ?\d| )", lambda match: "greater than"),
    kind("times", r"(?<=\d) ?\* ?(?=\d)", lambda match: "times"),
    kind("greek", r"[Ͱ-Ͽ]", _greek, holds=lambda match: " LETTER " in unicodedata.name(match[0], "")),
    kind("sign", f"[{re.escape(''.join(_SIGNS))}]", lambda match: _SIGNS[match[0]]),
)
