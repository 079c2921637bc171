"""Written English to spoken words: our own rules, in full, before any dictionary sees a word.

The rules run in one order over text whose inline `{phonemes}` have been cut out: addresses, abbreviations, initials,
times, dates, money, measures, then bare numbers, symbols and capitals. Usage is American ("one hundred twenty one",
3/5 is March fifth). What cannot be spoken (emoji, brackets, quotes, bullets) is dropped.
"""

import re
import unicodedata
from collections.abc import Callable, Container
from typing import NamedTuple

from copycat_jax.text import numbers as n
from copycat_jax.text import verbalize
from copycat_jax.text.pronunciation import LETTERS, fold_accents, is_known, possessive


class Given(NamedTuple):
    """Phonemes written by the user in place of a word, as in `{HH AH0 L OW1}`."""

    text: str
    symbols: tuple[str, ...]


_LETTER = "\ue000"  # precedes a letter that is spoken by its name
_INLINE = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(rf"{_LETTER}([A-Z])('s\b)?|[a-z]+(?:'[a-z]+)*|'(?:em|tis|twas|cause|til|bout|n)\b", re.IGNORECASE)

_TITLES = {
    "drs": "doctors",
    "mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messrs", "dr": "doctor", "prof": "professor",
    "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant", "maj": "major",
    "cpl": "corporal", "rev": "reverend", "hon": "honorable", "gov": "governor", "sen": "senator",
    "rep": "representative", "pres": "president", "mt": "mount", "ft": "fort", "st": "saint",
}  # fmt: skip
_ABBREVIATIONS = {
    "etc": "et cetera", "vs": "versus", "jr": "junior", "sr": "senior", "co": "company", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "dept": "department", "approx": "approximately", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "hwy": "highway", "assn": "association", "bros": "brothers", "esq": "esquire",
    "govt": "government", "viz": "namely", "cf": "compare", "ca": "circa",
    "dr": "drive", "st": "street",
    "mt": "mount", "ft": "fort", "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december", "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday",
    "thurs": "thursday", "fri": "friday",
}  # fmt: skip
_BEFORE_NUMBER = {
    "no": "number", "nos": "numbers", "vol": "volume", "fig": "figure", "figs": "figures", "p": "page", "pp": "pages",
    "ch": "chapter", "sec": "section", "art": "article", "eq": "equation", "ex": "example",
}  # fmt: skip
_SENTENCE_WORDS = frozenset(("mar", "mon", "wed", "fri", "dec", "jun", "jan", "ca"))
_SPOKEN_CAPITALS = {"OK": "okay", "AIDS": "aids", "NASA": "nasa", "NATO": "nato"}
_SPELLED = frozenset((
    *("US", "UK", "EU", "UN", "TV", "PC", "ID", "AI", "AM", "PM", "BC", "AD", "CD", "DVD", "GPS", "USA", "FBI", "CIA"),
    *("BBC", "CEO", "IBM", "MIT", "UAE", "IRS", "ATM", "IQ", "HIV", "PR", "HR", "VR", "AR", "NAACP", "HTML", "HTTP"),
    *("HTTPS", "NCAA", "USB", "USSR", "UEFA"),
))  # fmt: skip
_ROYAL = frozenset((
    *("henry", "louis", "george", "edward", "charles", "james", "richard", "william", "elizabeth", "philip", "ivan"),
    *("john", "paul", "pius", "benedict", "gregory", "leo", "innocent", "clement", "alexander", "frederick", "peter"),
    *("catherine", "nicholas", "napoleon", "ferdinand", "francis", "alfonso", "otto", "leopold", "ptolemy", "ramesses"),
    *("gustav", "christian", "carl", "umberto", "albert", "urban", "boniface", "julius", "sixtus"),
))  # fmt: skip
_SYMBOLS = {
    "&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent ", "°": " degrees ", "×": " times ",
}  # fmt: skip
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "«": '"', "»": '"'})
_DASHES = re.compile(r"[‐‑‒–—―−]")
_TLDS = "com|org|net|edu|gov|mil|int|io|co|ai|dev|app|info|uk|us|de|fr|ca|eu"


def spoken_words(text: str, keep: Container[str] = ()) -> list[str | Given]:
    """The words of `text` as they are spoken, in order.

    Args:
      text: written English, any case; inline phonemes in braces.
      keep: lower-case words that are never spelled out (a custom lexicon's).

    Returns:
      Lower-case words of letters and apostrophes; a capital alone is a letter spoken by its name; `Given` for inline
      phonemes. Empty where nothing can be spoken.
    """
    spoken: list[str | Given] = []
    for i, part in enumerate(_INLINE.split(text)):
        if i % 2:
            spoken.append(Given(" ".join(part.split()), tuple(part.split())))
        else:
            spoken += _plain_words(part, keep)
    return spoken


def _plain_words(text: str, keep: Container[str]) -> list[str | Given]:
    text = _clean(text)
    shouted = not any(c.islower() for c in text)  # capitals throughout mean nothing
    for rule in _RULES:
        text = rule(text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    words: list[str | Given] = []
    for match in _WORD.finditer(text):
        if match[1]:
            words += _spelled(match[1].upper(), bool(match[2]))
        else:
            words += _word(match[0], shouted, keep)
    return words


def _clean(text: str) -> str:
    """Plain letters, straight quotes; emoji, controls and foreign letters to spaces."""
    text = re.sub(r"(\d)?([¼½¾⅓⅔])", lambda m: f"{m[1] or ''} {unicodedata.normalize('NFKC', m[2])} ", text)
    text = re.sub("²|³", lambda m: {"²": "^2", "³": "^3"}[m[0]], text.replace("º", "°").replace("…", " "))
    text = fold_accents(_DASHES.sub("-", text.translate(_QUOTES).replace("—", " - "))).replace("\u2044", "/")
    return "".join(c if c.isascii() or c in "£€¥¢°×" else " " for c in text)


def _word(word: str, shouted: bool, keep: Container[str]) -> list[str] | list[str | Given]:
    """One run of letters: a word, or the letters of an acronym."""
    lower = word.lower()
    if lower in keep:
        return [lower]
    stem, suffix = (word[:-2], "'s") if lower.endswith("'s") else (word, "")
    plural = bool(re.fullmatch(r"[A-Z]{2,}s", stem))
    stem = stem[:-1] if plural else stem
    if stem.isupper() and len(stem) > 1 and (not shouted or not is_known(stem.lower())):
        if stem in _SPOKEN_CAPITALS:
            return [_SPOKEN_CAPITALS[stem] + suffix]
        vowels = sum(c in "AEIOUY" for c in stem)
        if stem in _SPELLED or not (is_known(stem.lower()) or (vowels and len(stem) > 3)):
            return _spelled(stem, plural or bool(suffix))
    if not re.search("[aeiouy]", lower) and not is_known(lower):
        return [c for c in word.upper() if c.isalpha()]
    return [lower.strip("'") if lower not in ("'em", "'tis", "'twas", "'cause", "'til", "'bout", "'n") else lower]


def _spelled(letters: str, ending: bool = False) -> list[str | Given]:
    """Letters by their names; `ending` adds a plural's or possessive's sound to the last."""
    letters = letters.replace("'", "")
    if not ending:
        return list(letters)
    return [*letters[:-1], Given(f"{letters[-1]}'s", possessive(LETTERS[letters[-1]]))]


def _letters(text: str) -> str:
    return " " + " ".join(_LETTER + c for c in text.upper() if c.isalpha()) + " "


def _addresses(text: str) -> str:
    """URLs and e-mail addresses, read as people read them aloud."""

    def read(match: re.Match) -> str:
        address = re.sub(r"^https?://|/$", "", match[0].rstrip(".,;:!?"), flags=re.I)
        address = re.sub(r"^www\.", _letters("www") + "dot ", address, flags=re.I)
        names = {".": " dot ", "/": " slash ", "-": " dash ", "_": " underscore ", "@": " at ", ":": " colon "}
        names |= {
            "?": " question mark ",
            "=": " equals ",
            "&": " and ",
            "#": " hash ",
            "~": " tilde ",
            "%": " percent ",
        }
        spelled = re.sub(r"(?<![\ue000A-Za-z])[A-Za-z](?![A-Za-z])", lambda m: _letters(m[0]), address)
        spelled = re.sub(r"\d+", lambda m: f" {n.digits(m[0])} ", spelled)
        tail = match[0][len(match[0].rstrip(".,;:!?")) :]
        return f" {''.join(names.get(c, c) for c in spelled)} {tail}"

    url = rf"\b(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b(?:[\w-]+\.)+(?:{_TLDS})\b(?:/\S*)?(?![.\w])"
    return re.sub(url, lambda m: read(m) if re.search(r"[a-z]{2}", m[0]) else m[0], text)


def _latin(text: str) -> str:
    text = re.sub(r"\be\.\s?g\.,?", " for example ", text, flags=re.I)
    text = re.sub(r"\bi\.\s?e\.,?", " that is ", text, flags=re.I)
    return re.sub(r"&c\b\.?", " et cetera ", text)


def _titles(text: str) -> str:
    """Titles before a name, abbreviations with their full stop, and "No." and the like before a number."""
    titles, others, numbered = (_alternatives(table) for table in (_TITLES, _ABBREVIATIONS, _BEFORE_NUMBER))
    text = re.sub(rf"(?<![\w.'-])(?i:({titles}))\.(?=[\s-]+[A-Z])", _title, text)
    text = re.sub(r"(?<![\w.'-])(Mrs?|Ms|Dr|Messrs)(?=\s+[A-Z])", _title, text)
    text = re.sub(rf"(?<![\w.'-])(?i:({numbered}))\.\s*(?=\d)", lambda m: f" {_BEFORE_NUMBER[m[1].lower()]} ", text)
    return re.sub(rf"(?<![\w.'-])(?i:({others}))\.", _abbreviation, text)


def _alternatives(table: dict[str, str]) -> str:
    return "|".join(sorted(table, key=len, reverse=True))


def _title(match: re.Match) -> str:
    name = match[1].lower()
    before = match.string[: match.start()]
    if name in _ABBREVIATIONS and re.search(r"\d\w*\s+(?:[A-Z][a-z]+\s+)*\Z", before):  # 12 Elm St. Boston
        return f" {_ABBREVIATIONS[name]} "
    return f" {_TITLES[name]} "


def _abbreviation(match: re.Match) -> str:
    """The long form, unless the abbreviation is itself a word that ends a sentence."""
    name, after = match[1].lower(), match.string[match.end() :].lstrip()
    ends = not after or not (after[0].islower() or after[0].isdigit())
    if name in _SENTENCE_WORDS and (ends or not match[1][0].isupper()):
        return match[0]
    return f" {_ABBREVIATIONS[name]} "


def _initials(text: str) -> str:
    """U.S., J. R. R. Tolkien, Ph.D., AT&T: letters with full stops between them are spoken by name."""
    text = re.sub(r"\bA(?=\d)", _letters("A"), text)
    text = re.sub(r"\bPh\.\s?D\b\.?", _letters("phd"), text)
    text = re.sub(r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", lambda m: f"{_letters(m[1])} and {_letters(m[2])}", text)
    text = re.sub(r"(?<![\w.'])((?:[A-Za-z]\.){2,}|[A-Za-z](?:\.[A-Za-z])+\b)", lambda m: _letters(m[0]), text)
    text = re.sub(r"(?<![\w.'])([A-HJ-Z])\.(?=[\s,-])", lambda m: _letters(m[1]), text)
    return re.sub(r"(?<![\w.'])(I)\.(?=\s+[A-Z\ue000])", lambda m: _letters(m[1]), text)


def _single_letters(text: str) -> str:
    """A capital alone is a letter, but for I, and for A where it can be an article."""
    article = r"A(?=\s*[.,;:!?)]|\s*\Z|'s\b|\s+(?:\ue000|[B-HJ-Z]\b))"
    return re.sub(rf"(?<![\w'\ue000])([B-HJ-Z]|{article})(?!\w|'[^s])", lambda m: f" {_LETTER}{m[1]}", text)


def _romans(text: str) -> str:
    """Roman numerals up to 39: "Henry VIII" is the eighth, "Chapter IV" four; a single I, V or X stays a letter."""

    def read(match: re.Match) -> str:
        value = n.roman(match[2])
        if value is None:
            return match[0]
        royal = match[1] and match[1].strip().lower() in _ROYAL
        return f"{match[1] or ''} {f'the {n.ordinal(value)}' if royal else n.cardinal(value)} "

    return re.sub(r"([A-Za-z]+\s+)?\b([IVX]{2,})\b(?!['-])", read, text)


_RULES: tuple[Callable[[str], str], ...] = (
    _addresses,
    _latin,
    verbalize.read_times,
    verbalize.read_dates,
    _titles,
    _initials,
    _romans,
    verbalize.read_money,
    verbalize.read_measures,
    verbalize.read_numbers,
    _single_letters,
)
