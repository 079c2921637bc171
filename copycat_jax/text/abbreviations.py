"""Titles, abbreviations with their full stop, initials and addresses: how they are written and what is said."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import after, alternatives, before, kind

_TITLES = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messrs", "dr": "doctor", "drs": "doctors",
    "prof": "professor", "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant",
    "maj": "major", "cpl": "corporal", "rev": "reverend", "hon": "honorable", "gov": "governor", "sen": "senator",
    "rep": "representative", "pres": "president", "mt": "mount", "ft": "fort", "st": "saint",
}  # fmt: skip
_ABBREVIATIONS = {
    "etc": "et cetera", "vs": "versus", "jr": "junior", "sr": "senior", "co": "company", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "dept": "department", "approx": "approximately", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "hwy": "highway", "assn": "association", "bros": "brothers", "esq": "esquire",
    "govt": "government", "viz": "namely", "cf": "compare", "ca": "circa", "dr": "drive", "st": "street",
    "mt": "mount", "ft": "fort", "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december", "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday",
    "thurs": "thursday", "fri": "friday",
}  # fmt: skip
_BEFORE_NUMBER = {
    "no": "number", "nos": "numbers", "vol": "volume", "vols": "volumes", "fig": "figure", "figs": "figures",
    "p": "page", "pp": "pages", "ch": "chapter", "sec": "section", "art": "article", "eq": "equation", "ex": "example",
    "ext": "extension",
}  # fmt: skip
_SENTENCE_WORDS = frozenset(("mar", "mon", "wed", "fri", "dec", "jun", "jan", "ca"))
_START = r"(?<![\w.'-])"
_STREET_BEFORE = re.compile(r"\d\w* (?:[A-Z][a-z]+ )+\Z")
_TLDS = "com|org|net|edu|gov|mil|int|io|co|ai|dev|app|info|uk|us|de|fr|ca|eu"
_ADDRESS = (
    r"(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|"
    rf"\b(?:[\w-]+\.)+(?:{_TLDS})\b(?:/\S*)?(?![.\w])"
)
_ADDRESS_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "~": "tilde", "%": "percent", "+": "plus",
}  # fmt: skip


def letters(text: str) -> str:
    """The letters of `text` by their names."""
    return " ".join(c for c in text.upper() if c.isalpha())


def _address(match: re.Match) -> str:
    """A URL or e-mail address, as people read it aloud."""
    address = re.sub(r"^https?://|/$", "", match[0], flags=re.I)
    said = []
    for piece in re.findall(r"[A-Za-z]+|\d+|.", address):
        if piece.isdigit():
            said.append(n.digits(piece))
        elif piece.isalpha():
            said.append(letters(piece) if len(piece) == 1 or piece.lower() == "www" else piece.lower())
        else:
            said.append(_ADDRESS_SIGNS.get(piece, ""))
    return " ".join(said)


def _title(match: re.Match) -> str:
    name = match["name"].lower()
    if name in _ABBREVIATIONS and _is_street(match):
        return _ABBREVIATIONS[name]
    return _TITLES[name]


def _is_street(match: re.Match) -> bool:
    """Whether a house and a name precede: 12 Elm St. Boston."""
    return bool(_STREET_BEFORE.search(before(match)))


def _long_form(match: re.Match) -> str:
    return _ABBREVIATIONS[match["name"].lower()]


def _is_long_form(match: re.Match) -> bool:
    """Not where the abbreviation is itself a word that ends a sentence."""
    name, rest = match["name"], after(match).lstrip()
    ends = not rest or not (rest[0].islower() or rest[0].isdigit())
    return not (name.lower() in _SENTENCE_WORDS and (ends or not name[0].isupper()))


def _ampersand(match: re.Match) -> str:
    return f"{letters(match[1])} and {letters(match[2])}"


def _letters(match: re.Match) -> str:
    return letters(match[1])


ADDRESS = kind(
    "address", rf"(?:{_ADDRESS})(?<![.,;:!?])", _address, holds=lambda match: bool(re.search("[a-z]{2}", match[0]))
)
KINDS = (
    kind("latin", r"(?i:\be\. ?g\.,?)", lambda match: "for example"),
    kind("latin", r"(?i:\bi\. ?e\.,?)", lambda match: "that is"),
    kind("latin", r"&c\b\.?", lambda match: "et cetera"),
    kind(
        "title",
        rf"{_START}(?P<name>(?i:{alternatives(_TITLES)}))\.(?=[ -]+[A-Z]| (?:&|and) [A-Z])",
        _title,
        closes=False,
    ),
    kind("title", rf"{_START}(?P<name>Mrs?|Ms|Dr|Messrs|St)(?= [A-Z])", _title),
    kind("street", r"(?<=[a-z] )(?P<name>Ave|Blvd|Rd|Hwy)(?![\w'.])", _long_form),
    kind("street", r"(?<=[a-z] )(?P<name>St|Dr)(?![\w'.])", _long_form, holds=_is_street),
    kind(
        "before a number",
        rf"{_START}(?P<name>(?i:{alternatives(_BEFORE_NUMBER)}))\.(?= ?\d)",
        lambda match: _BEFORE_NUMBER[match["name"].lower()],
        closes=False,
    ),
    kind("abbreviation", rf"{_START}c\.(?= ?1\d\d\d\b)", lambda match: "circa", closes=False),
    kind(
        "abbreviation",
        rf"{_START}(?P<name>(?i:{alternatives(_ABBREVIATIONS)}))\.",
        _long_form,
        holds=_is_long_form,
    ),
    kind("initials", r"\b(Ph\. ?D)\b\.?", _letters),
    kind("initials", r"\b([A-Z]{2})(?=-?\d)", _letters),
    kind("initials", r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", _ampersand),
    kind("initials", r"(?<![\w.'])((?:[A-Za-z]\.){2,}|[A-Za-z](?:\.[A-Za-z])+\b)", _letters),
    kind("initials", r"(?<![\w.'])([A-HJ-Z])\.(?=[ ,-])", _letters),
    kind("initials", r"(?<![\w.'])(I)\.(?= [A-Z])", _letters),
)
