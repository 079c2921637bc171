"""Bare numbers: telephone numbers, codes, versions, ordinals, fractions, ratios, ranges, sums and what is left."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import (
    AMOUNT,
    DASH,
    END,
    NUMBER,
    SCIENTIFIC,
    SERIES,
    SIGN,
    amount,
    amounts,
    before,
    kind,
    scientific,
    series,
)

_EMERGENCY = "|".join(f"(?<={verb} )" for verb in ("call", "Call", "called", "dial", "Dial", "dialed", "calling"))
_PHONE = (
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}"  # +44 20 7946 0958
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # (555) 123-4567
    r"|0\d{2,4}(?:[ -]\d{3,4}){1,2}|0\d{4} \d{6}"  # 020 7946 0958, 07700 900123
    rf"|(?:{_EMERGENCY})(?:911|999|112|411)"
)
_OWN_NUMBER = re.compile(
    r"\b(?i:zip(?: code)?|(?:post|postal |pass|area )code|code|pin|account(?: number)?|serial number|"
    r"post office box|p\.? ?o\.? box|(?:ending|ends?|ended) (?:in|with)|text \S+ to)(?: is| was| number)?:? $"
)
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|"
    "PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)
_SCALES = {"M": "million", "mn": "million", "bn": "billion", "tn": "trillion"}
_SECTIONS = {"§": ("section", "sections"), "¶": ("paragraph", "paragraphs"), "#": ("number", "numbers")}


def _digits(match: re.Match) -> str:
    return n.digits(match[0])


def _telephone(match: re.Match) -> str:
    return f"plus {_digits(match)}" if match[0][0] == "+" else _digits(match)


def _toll_free(match: re.Match) -> str:
    return f"one {n.cardinal(int(match['code']))} {match['word'].lower()}"


def _is_local(match: re.Match) -> bool:
    """555-1234 is a telephone number, 500-1000 a range."""
    low, high = int(match[0][:3]), int(match[0][4:])
    return not (low % 10 == high % 10 == 0 and low < high)


def _is_own_number(match: re.Match) -> bool:
    """Whether the words before say that the digits are no quantity."""
    return bool(_OWN_NUMBER.search(before(match)))


def _designation(match: re.Match) -> str:
    """Three digits as the number of a machine or road: a Boeing 747, the A380."""
    hundreds, rest = divmod(int(match["number"]), 100)
    said = f"{n.cardinal(hundreds)} {n.short_year(rest) if rest else 'hundred'}"
    return n.plural(said) if match["many"] else said


def _is_designation(match: re.Match) -> bool:
    return bool(
        re.search(r"\b(?:(?:Boeing|Airbus|[Ff]light|[Rr]oute|[Hh]ighway|[Ii]nterstate) |[A-Z]-?)$", before(match))
    )


def _caliber(match: re.Match) -> str:
    """A .22 rifle is a twenty two, a .357 a three fifty seven."""
    hundreds, rest = divmod(int(match["caliber"]), 100)
    return f"{n.cardinal(hundreds)} {n.short_year(rest)}" if hundreds else n.short_year(rest)


def _code(match: re.Match) -> str:
    """Digits after letters, as in C2766: four as a year is read, others one by one."""
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


def _is_score(match: re.Match) -> bool:
    """Whether so many points of so many are meant: rated 7/10, 4.5/5."""
    return "." in match["above"] or bool(
        re.search(r"\b(?i:rated|scored?|scores|scoring|rating|got|grade|marks?)(?: (?:it|of|a|an))* $", before(match))
    )


NAMES = (  # numbers that are names: no years, no quantities
    kind("state", rf"\b(?:{_STATES})(?= \d{{5}}(?:-\d{{4}})?(?!\w|[,.]\d))", lambda match: " ".join(match[0])),
    kind("postcode", rf"(?<=\b(?:{_STATES}) )\d{{5}}(?:-\d{{4}})?(?![\w-]|[.,]\d)", _digits),
    kind("number of its own", r"\d{4,}(?![\w-]|[.,]\d)", _digits, holds=_is_own_number),
    kind("designation", r"(?P<number>[1-9]\d\d)(?P<many>s?)(?![\w-]|[.,]\d)", _designation, holds=_is_designation),
    kind(
        "caliber",
        r"(?<![\w,.])\.(?P<caliber>[1-9]\d[1-9]?)"
        r"(?=[ -](?:[Ss]pecial |[Mm]agnum )?(?:[Cc]alib|[Rr]evol|[Pp]istol|[Rr]ifle))",
        _caliber,
    ),
)
KINDS = (
    kind("to", r"(?<=\d)–(?=[A-Z]-?\d)", lambda match: "to"),
    kind("telephone", rf"(?:{_PHONE})(?![\w-]|[.,]\d)", _telephone),
    kind("telephone", r"1-(?P<code>8\d\d)-(?P<word>[A-Z]{3,8})\b", _toll_free),
    kind("telephone", r"\d{3}-\d{4}(?![\w-]|[.,]\d)", _digits, holds=_is_local),
    kind("digits", r"\d+(?:-\d+){2,}(?:-[\dX])?(?!\w)", _digits),
    kind("ordinal", r"(?<=\b[Tt]he )(?P<value>\d*[23])d(?P<own>)(?= [A-Z])", _ordinal),
    kind("code", r"(?<=[A-Za-z])\d{3,}\b", _code),
    kind("version", r"\d+(?:\.\d+){2,}(?![\w])", _version),
    kind("power", r"\^(?P<exponent>[+-]?\d+|[A-Za-z]\b)", _power),
    kind("scientific", rf"{SCIENTIFIC}(?!\w)", scientific),
    kind(
        "ordinal",
        rf"(?P<value>{NUMBER})(?i:st|nd|rd|th)(?P<own>'s)?\b",
        _ordinal,
        holds=lambda m: "." not in m[0] and len(m[0]) < 21,
    ),
    kind("section", rf"(?P<mark>§§?|¶¶?|#) ?(?P<amounts>{SERIES})(?!\w)", _sections),
    kind("plural", rf"(?P<amount>{NUMBER})s\b", lambda match: n.plural(amount(match["amount"]))),
    kind("scaled", rf"(?P<amount>{AMOUNT})(?P<scale>M|mn|bn|tn)\b", lambda m: f"{amount(m[1])} {_SCALES[m[2]]}"),
    kind("times", rf"(?P<amount>{NUMBER})x\b(?! ?[\d+=-])", lambda match: f"{amount(match['amount'])} times"),
    kind(
        "score",
        r"(?P<above>\d+(?:\.\d)?)/(?P<below>5|\d+0)(?![\w/])",
        lambda match: f"{n.decimal(match['above'])} out of {n.cardinal(int(match['below']))}",
        holds=_is_score,
    ),
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
