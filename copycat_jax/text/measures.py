"""Money, quantities with a unit, feet and inches: how they are written and what is said."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import (
    AMOUNT,
    DASH,
    SCALE,
    SCIENTIFIC,
    SERIES,
    SIGN,
    after,
    alternatives,
    amount,
    amounts,
    is_adjective,
    is_one,
    kind,
    names_thing,
    scientific,
    series,
)

_PREFIXES = {
    "G": "giga", "M": "mega", "k": "kilo", "c": "centi", "m": "milli", "μ": "micro", "n": "nano", "": "",
}  # fmt: skip
_BASES = {
    "m": "meter", "g": "gram", "s": "second", "L": "liter", "l": "liter", "Hz": "hertz", "W": "watt", "V": "volt",
    "Wh": "watt hour", "A": "ampere", "Ω": "ohm", "J": "joule", "Pa": "pascal", "F": "farad", "B": "byte",
    "eV": "electron volt", "mol": "mole", "cal": "calorie",
}  # fmt: skip
_LONE_LETTERS = frozenset("AJFB")  # after a number more often a name than a unit
_UNITS = {
    **{p + b: prefix + base for p, prefix in _PREFIXES.items() for b, base in _BASES.items()
       if p + b not in _LONE_LETTERS},
    "kgs": "kilogram", "Kg": "kilogram", "KG": "kilogram", "kms": "kilometer", "KM": "kilometer", "wk": "week",
    "wks": "week", "mo": "month", "mos": "month", "yr": "year", "yrs": "year", "bps": "bit per second",
    "mbps": "megabit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "kbps": "kilobit per second",
    "TB": "terabyte", "PB": "petabyte", "KB": "kilobyte", "TW": "terawatt", "THz": "terahertz", "pF": "picofarad",
    "dB": "decibel", "hPa": "hectopascal", "dL": "deciliter", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "mph": "mile per hour", "kph": "kilometer per hour",
    "gal": "gallon", "qt": "quart", "pt": "pint", "tsp": "teaspoon", "tbsp": "tablespoon", "sec": "second",
    "secs": "second", "min": "minute", "mins": "minute", "hr": "hour", "hrs": "hour", "h": "hour", "ha": "hectare",
    "°C": "degree celsius", "°F": "degree fahrenheit", "° C": "degree celsius", "° F": "degree fahrenheit",
    "°": "degree", "sq ft": "square foot", "sq. ft.": "square foot", "sq mi": "square mile", "cu ft": "cubic foot",
    "sq m": "square meter", "sq km": "square kilometer", "rpm": "revolution per minute", "hp": "horsepower",
    "psi": "pound per square inch", "mpg": "mile per gallon", "dpi": "dot per inch", "fps": "frame per second",
    "ppm": "part per million", "bpm": "beat per minute", "mmHg": "millimeter of mercury", "%": "percent",
    "‰": "per mille", "m/s^2": "meter per second squared", "kn": "knot", "kts": "knot", "in.": "inch",
    "mA": "milliamp", "pts": "point", "Tbsp": "tablespoon", "tbs": "tablespoon", "Tbs": "tablespoon",
    "c.": "cup", "C.": "cup", "T.": "tablespoon", "t.": "teaspoon",
}  # fmt: skip
_OF_RECIPES = frozenset(("c.", "C.", "T.", "t."))  # measures only before what is measured
_POWERED = ("km", "cm", "mm", "ft", "mi", "yd", "in", "m")
_UNCHANGED_UNITS = ("hertz", "horsepower", "percent", "mille")
_POWER = rf"(?:{'|'.join(_POWERED)})\^?[23]"
_UNIT = rf"(?:{_POWER}|{alternatives(_UNITS)})"

_SYMBOLS = {
    "$": "dollar", "US$": "U S dollar", "A$": "australian dollar", "C$": "canadian dollar", "£": "pound", "€": "euro",
    "¥": "yen", "₹": "rupee", "₩": "won", "₽": "ruble", "₺": "lira", "₴": "hryvnia", "₪": "shekel", "₦": "naira",
    "₱": "peso", "₫": "dong", "฿": "baht", "₿": "bitcoin",
}  # fmt: skip
_CODES = {
    "USD": "U S dollar", "EUR": "euro", "GBP": "pound", "JPY": "yen", "INR": "rupee", "CHF": "swiss franc",
    "AUD": "australian dollar", "CAD": "canadian dollar",
}  # fmt: skip
_CURRENCIES = {**_SYMBOLS, **_CODES, "Rs. ": "rupee", "Rs ": "rupee"}
_UNCHANGED_MONEY = frozenset(("yen", "won", "lira", "naira", "dong", "baht"))
_HUNDREDTHS = {
    "dollar": ("cent", "cents"), "euro": ("cent", "cents"), "pound": ("penny", "pence"), "rupee": ("paisa", "paise"),
    "ruble": ("kopek", "kopeks"), "franc": ("centime", "centimes"), "peso": ("centavo", "centavos"),
}  # fmt: skip
_SCALE_LETTERS = {"k": "thousand", "m": "million", "b": "billion", "mn": "million", "bn": "billion", "tn": "trillion"}
_COMMA = r"\d{1,3}(?:\.\d{3})*,\d{1,2}(?![\d,])"  # a number with a decimal comma
_SCALED = rf"(?:[ -]?(?P<scale>{SCALE}|[kKmMbB]|mn|[bBt]n)\b)?"


def _money(match: re.Match) -> str:
    name = _CURRENCIES[match["currency"]]
    many = name if name in _UNCHANGED_MONEY else f"{name}s"
    pieces = amounts(match)
    if match["scale"]:
        scale = match["scale"].lower()
        return f"{series(match)} {_SCALE_LETTERS.get(scale, scale)} {name if is_adjective(match) else many}"
    if any(re.search(r"\.\d\d$", piece) for _, piece in pieces) and name.split()[-1] in _HUNDREDTHS:
        return " ".join(f"{join} {_with_hundredths(piece, name, many)}" for join, piece in pieces)
    one = is_adjective(match) or (len(pieces) == 1 and is_one(pieces[0][1]))
    return f"{series(match)} {name if one else many}"


def _with_hundredths(text: str, name: str, many: str) -> str:
    """Dollars and cents of one amount."""
    whole, _, small = text.partition(".")
    if len(small) not in (0, 2):
        return f"{amount(text)} {many}"
    units = [f"{amount(whole)} {name if is_one(whole) else many}"] if whole.strip("0-+") or not int(small or 0) else []
    if int(small or 0):
        units.append(f"{n.cardinal(int(small))} {_HUNDREDTHS[name.split()[-1]][int(small) != 1]}")
    return " and ".join(units)


def _continental(match: re.Match) -> str:
    """Money with a decimal comma: 1.234,56 €."""
    name = _CURRENCIES[match["currency"]]
    text = match["amount"].replace(".", "").replace(",", ".")
    return _with_hundredths(text, name, name if name in _UNCHANGED_MONEY else f"{name}s")


def _cents(match: re.Match) -> str:
    return f"{series(match)} {'cent' if is_one(match['amounts']) or is_adjective(match) else 'cents'}"


def unit(written: str, one: bool) -> str:
    """The words for a unit, in the singular if `one`."""
    first, *others = written.split("/") if written not in _UNITS else [written]
    name, *per = " per ".join([_unit_name(first), *map(_unit_name, others)]).split(" per ")
    words = name.split()
    if not one and not name.endswith(_UNCHANGED_UNITS):
        at = 0 if words[0] in ("degree", "millimeter") else -1  # degrees celsius, millimeters of mercury
        words[at] = {"foot": "feet", "inch": "inches"}.get(words[at], f"{words[at]}s")
    return " per ".join([" ".join(words), *per])


def _unit_name(written: str) -> str:
    if written in _UNITS:
        return _UNITS[written]
    base, power = re.fullmatch(r"(.*?)\^?([23]?)", written).groups()
    return {"": "", "2": "square ", "3": "cubic "}[power] + ("inch" if base == "in" else _UNITS.get(base, base))


def _quantity(match: re.Match) -> str:
    pieces = amounts(match)
    one = is_adjective(match, match["gap"] == "-") or (len(pieces) == 1 and is_one(pieces[0][1]))
    said = f"{series(match)} {match['scale'] or ''} {unit(match['unit'], one and not match['scale'])}"
    return (
        f"{amount(match['from'])} {unit(match['fromunit'], is_one(match['from']))} to {said}" if match["from"] else said
    )


def _power_of_ten(match: re.Match) -> str:
    return f"{scientific(match)} {unit(match['unit'], one=False)}"


def _is_quantity(match: re.Match) -> bool:
    """Not "747s", nor the initial in "1944 W. Smith", nor the end of a sentence."""
    if match["unit"] in ("V", "W", "L") and re.fullmatch(r"1\d{3}|20\d\d", match["amounts"]):
        return not re.match(r"\.? [A-Z]", after(match))
    if match["unit"] == "in.":
        return bool(re.match(" [a-z]", after(match)))
    if match["unit"] in _OF_RECIPES:
        rest = after(match)
        return rest.startswith(" of ") or (names_thing(match) and not rest.startswith(" rex"))
    return match["unit"] != "s" or bool(match["gap"]) or "." in match["amounts"]


def _feet_inches(match: re.Match) -> str:
    feet = f"{amount(match['feet'])} {'foot' if is_one(match['feet']) else 'feet'}"
    return f"{feet} {amount(match['inches'])} {'inch' if is_one(match['inches']) else 'inches'}"


def _marked(match: re.Match) -> str:
    """Feet or inches by their mark."""
    one = is_adjective(match) or is_one(match["amounts"])
    names = ("foot", "feet") if match["mark"] == "'" else ("inch", "inches")
    return f"{series(match)} {names[not one]}"


def _is_no_quote(match: re.Match) -> bool:
    """Whether no quotation is open that the mark would close."""
    if match["mark"] == "'":
        return not re.search(r"(?<!\w)'(?=\w)", match.string[: match.start() + 1])
    return len(re.findall(r'(?<!\d)"', match.string[: match.start()])) % 2 == 0


def _angle(match: re.Match) -> str:
    """Degrees, minutes and seconds of arc."""
    parts = [(match["degrees"], "degree"), (match["minutes"], "minute"), (match["seconds"], "second")]
    return " ".join(f"{n.decimal(value)} {name}{'' if value == '1' else 's'}" for value, name in parts if value)


def _per(match: re.Match) -> str:
    return f"per {_UNITS.get(match[1], match[1])}"


KINDS = (
    kind("money", rf"(?P<currency>€) ?(?P<amount>{_COMMA})", _continental),
    kind("money", rf"(?P<amount>{_COMMA}) ?(?P<currency>{alternatives(_SYMBOLS)}|EUR\b)", _continental),
    kind("money", rf"(?P<currency>{alternatives(_CURRENCIES)}) ?(?P<amounts>{SERIES}){_SCALED}(?!\d)", _money),
    kind(
        "money",
        rf"(?P<sign>{SIGN})(?P<currency>{alternatives(_CURRENCIES)}) ?(?P<amounts>{SERIES}){_SCALED}(?!\d)",
        lambda match: f"{amount(match['sign'] + '1').removesuffix(' one')} {_money(match)}",
    ),
    kind(
        "money",
        rf"(?P<amounts>{SERIES}){_SCALED} ?(?P<currency>{alternatives(_SYMBOLS)}|(?:{alternatives(_CODES)})\b)(?!\w)",
        _money,
    ),
    kind("cents", rf"(?P<amounts>{SERIES}) ?¢", _cents),
    kind(
        "feet and inches",
        rf"(?P<feet>\d+)(?:'|(?: |-)?ft\.?) ?"
        rf"(?P<inches>{AMOUNT})(?:\"|''|[ -]?(?:in\b\.?|inch\b|inches\b)|(?<='\d)(?!\w)|(?<='\d\d)(?!\w))",
        _feet_inches,
    ),
    kind("angle", r"(?P<degrees>\d+)° ?(?P<minutes>\d+)'(?: ?(?P<seconds>\d+(?:\.\d+)?)(?:\"|''))?(?!\w)", _angle),
    kind("feet or inches", rf"(?P<amounts>{SERIES})(?P<mark>[\"'])(?![\w'])", _marked, holds=_is_no_quote),
    kind("quantity", rf"{SCIENTIFIC} ?(?P<unit>{_UNIT}(?:/{_UNIT})?)(?![\w/^'])", _power_of_ten),
    kind(
        "quantity",
        rf"(?:(?P<from>{AMOUNT}) ?(?P<fromunit>{_UNIT}){DASH})?"
        rf"(?P<amounts>{SERIES})(?: (?P<scale>{SCALE}))?(?P<gap>[ -]?)(?P<unit>{_UNIT}(?:/{_UNIT})?)(?![\w/^']|-\d)",
        _quantity,
        holds=_is_quantity,
    ),
    kind(
        "to", r"(?:(?<=illion)|(?<=\d[kKmMbB])|(?<=\d(?:st|nd|rd|th)))(?:[-–]| [-–] )(?=[$£€¥₹\d])", lambda match: "to"
    ),
    kind("per", r"(?:(?<=\d)|(?<=\dx))/([A-Za-z]+)\b", _per),
)
