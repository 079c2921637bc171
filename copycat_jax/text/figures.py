"""Bare numbers: telephone numbers, codes, versions, ordinals, fractions, ratios, ranges, sums and what is left."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import AMOUNT, DASH, END, NUMBER, SERIES, SIGN, amount, amounts, kind, series

_EMERGENCY = "|".join(f"(?<={verb} )" for verb in ("call", "Call", "called", "dial", "Dial", "dialed", "calling"))
_PHONE = (
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}"  # +44 20 7946 0958
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # (555) 123-4567
    r"|0\d{2,4}(?:[ -]\d{3,4}){1,2}"  # 020 7946 0958
    rf"|(?:{_EMERGENCY})(?:911|999|112|411)"
)
_SCALES = {"M": "million", "mn": "million", "bn": "billion", "tn": "trillion"}
_SECTIONS = {"§": ("section", "sections"), "¶": ("paragraph", "paragraphs"), "#": ("number", "numbers")}


def _digits(match: re.Match) -> str:
    return n.digits(match[0])


def _toll_free(match: re.Match) -> str:
    return f"one {n.cardinal(int(match['code']))} {match['word'].lower()}"


def _is_local(match: re.Match) -> bool:
    """555-1234 is a telephone number, 500-1000 a range."""
    low, high = int(match[0][:3]), int(match[0][4:])
    return not (low % 10 == high % 10 == 0 and low < high)


def _code(match: re.Match) -> str:
    """Digits after a letter, as in C2766: four as a year is read, others one by one."""
    return n.year(int(match[0])) if len(match[0]) == 4 else n.digits(match[0])


def _version(match: re.Match) -> str:
    pieces = match[0].split(".")
    return (" dot " if len(pieces) == 4 else " point ").join(map(n.decimal, pieces))


def _power(match: re.Match) -> str:
    powers = {"2": "squared", "3": "cubed"}
    exponent = match["exponent"].lower()
    if exponent in powers:
        return powers[exponent]
    return f"to the power of {exponent.upper() if exponent.isalpha() else n.decimal(exponent)}"


def _scientific(match: re.Match) -> str:
    return f"{amount(match['mantissa'])} times ten to the power of {n.decimal(match['exponent'])}"


def _ordinal(match: re.Match) -> str:
    return n.ordinal(int(re.sub("[, ]", "", match["value"]))) + (match["own"] or "")


def _pair(match: re.Match) -> str:
    """24/7 and 9/11, as they are known; 50/50; but ten out of ten."""
    between = " out of " if match["full"] not in (None, "20", "50") else " "
    return between.join(map(n.decimal, match[0].split("/")))


def _ratio(match: re.Match) -> str:
    return " to ".join(map(n.decimal, match[0].split(":")))


def _sections(match: re.Match) -> str:
    many = len(match["mark"]) > 1 or len(amounts(match)) > 1
    return f"{_SECTIONS[match['mark'][0]][many]} {series(match)}"


def _as_written(text: str) -> str:
    """A number of a series: a year where it looks like one."""
    return n.year(int(text)) if re.fullmatch(r"1[1-9]\d\d|20\d\d", text) else amount(text)


def _own(match: re.Match) -> str:
    return amount(match["amount"]) + (match["own"] or "")


KINDS = (
    kind("telephone", rf"(?:{_PHONE})(?![\w-]|[.,]\d)", _digits),
    kind("telephone", r"1-(?P<code>8\d\d)-(?P<word>[A-Z]{3,8})\b", _toll_free),
    kind("telephone", r"\d{3}-\d{4}(?![\w-]|[.,]\d)", _digits, holds=_is_local),
    kind("digits", r"\d+(?:-\d+){2,}(?:-[\dX])?(?!\w)", _digits),
    kind("code", r"(?<=[A-Za-z])\d{3,}\b", _code),
    kind("version", r"\d+(?:\.\d+){2,}(?![\w])", _version),
    kind("power", r"\^(?P<exponent>[+-]?\d+|[A-Za-z]\b)", _power),
    kind("scientific", rf"(?P<mantissa>{SIGN}?{NUMBER})(?:[eE]| ?[x×] ?10\^)(?P<exponent>[+-]?\d+)(?!\w)", _scientific),
    kind(
        "ordinal",
        rf"(?P<value>{NUMBER})(?i:st|nd|rd|th)(?P<own>'s)?\b",
        _ordinal,
        holds=lambda m: "." not in m[0] and len(m[0]) < 21,
    ),
    kind("section", rf"(?P<mark>§§?|¶¶?|#) ?(?P<amounts>{SERIES})(?!\w)", _sections),
    kind("plural", rf"(?P<amount>{NUMBER})s\b", lambda match: n.plural(amount(match["amount"]))),
    kind("scaled", rf"(?P<amount>{AMOUNT})(?P<scale>M|mn|bn|tn)\b", lambda m: f"{amount(m[1])} {_SCALES[m[2]]}"),
    kind("times", rf"(?P<amount>{NUMBER})x\b(?! ?\d)", lambda match: f"{amount(match['amount'])} times"),
    kind("pair", r"(?:24/7|9/11|(?P<full>\d{1,3})/(?P=full))(?![\w/])", _pair),
    kind("ratio", r"\d+(?:\.\d+)?(?::\d+(?:\.\d+)?)+(?!\w)", _ratio),
    kind("digits", r"0\d+(?!\w|[.,/:]\d)", _digits),
    kind(
        "difference",
        rf"(?P<low>{AMOUNT}) ?- ?(?P<high>{AMOUNT})(?= ?=)",
        lambda match: f"{amount(match['low'])} minus {amount(match['high'])}",
    ),
    kind("range", rf"(?P<amounts>{AMOUNT}(?:{DASH}| ?x ?){SERIES})(?!\w|-\d)", lambda m: series(m, speak=_as_written)),
    kind("amount", rf"(?P<amount>{AMOUNT})(?P<own>'s)?{END}", _own),
    kind("number", rf"(?P<amount>{SIGN}?{NUMBER})(?P<own>)", _own),
)
