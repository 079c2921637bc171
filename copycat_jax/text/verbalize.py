"""Times, dates, money, measures and bare numbers in running text, rewritten as words."""

import re

from copycat_jax.text import numbers as n

_LETTER = "\ue000"  # as in normalize: precedes a letter that is spoken by its name
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = "|".join([*_MONTHS, *(f"{m[:3]}\\.?" for m in _MONTHS), "sept\\.?"])
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_SCALE_WORDS = "hundred|thousand|million|billion|trillion"
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "", ""),
}  # fmt: skip
_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "kg": "kilogram",
    "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce", "ft": "foot", "yd": "yard",
    "yds": "yard", "mi": "mile", "mph": "mile per hour", "kph": "kilometer per hour", "km/h": "kilometer per hour",
    "m/s": "meter per second", "ml": "milliliter", "mL": "milliliter", "L": "liter", "l": "liter", "gal": "gallon",
    "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "Hz": "hertz",
    "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "MW": "megawatt",
    "kWh": "kilowatt hour", "V": "volt", "dB": "decibel", "ms": "millisecond", "s": "second", "sec": "second",
    "secs": "second", "min": "minute", "mins": "minute", "hr": "hour", "hrs": "hour", "h": "hour", "ha": "hectare",
    "°C": "degree celsius", "°F": "degree fahrenheit", "°": "degree", "km^2": "square kilometer", "m^2": "square meter",
    "sq ft": "square foot", "m^3": "cubic meter", "cm^3": "cubic centimeter", "rpm": "revolution per minute",
    "kcal": "kilocalorie", "cal": "calorie", "hp": "horsepower", "psi": "pound per square inch",
    "mpg": "mile per gallon",
    "Mbps": "megabit per second", "Gbps": "gigabit per second", "dpi": "dot per inch", "fps": "frame per second",
}  # fmt: skip
_PLURALS = {"foot": "feet", "horsepower": "horsepower"}
_FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}


def read_times(text: str) -> str:
    """3:45pm, 10 a.m., 14:30, 3:00."""

    def read(match: re.Match) -> str:
        hour, minute, half = int(match[1]), match[2], match[3]
        if hour > 24 or (minute and int(minute) > 59):
            return match[0]
        if minute and int(minute):
            minutes = f" oh {n.cardinal(int(minute))}" if int(minute) < 10 else f" {n.cardinal(int(minute))}"
        else:
            minutes = "" if half or not minute else (" o'clock" if 0 < hour < 13 else " hundred")
        day = f" {_LETTER}{half[0].upper()} {_LETTER}M" if half else ""
        return f" {n.cardinal(hour)}{minutes}{day} "

    half = r"\s?([AaPp])(?:\.\s?[Mm]\.|[Mm]\b\.?)"
    text = re.sub(rf"(?<![\d:.,$])(\d{{1,2}})(?::(\d\d))?{half}(?!\w)", read, text)
    return re.sub(r"(?<![\d:.,])([01]?\d|2[0-4]):([0-5]\d)()(?![\d:])", read, text)


def read_dates(text: str) -> str:
    """Nov. 22, 1963; 22 November 1963; 2021-03-05; 3/5/2021; 1990s; '80s; 1914-18."""

    def month(name: str) -> str:
        return next(m for m in _MONTHS if m.startswith(name.lower().rstrip(".")[:3]))

    def american(match: re.Match) -> str:
        day, year = int(match[2]), match[3]
        if not 0 < day < 32:
            return match[0]
        return f" {month(match[1])} {n.ordinal(day)} {n.year(int(year)) if year else ''} "

    def european(match: re.Match) -> str:
        day, year = int(match[1]), match[3]
        if not 0 < day < 32:
            return match[0]
        the = "" if re.search(r"\bthe\s*\Z", match.string[: match.start()], re.I) else "the "
        return f" {the}{n.ordinal(day)} of {month(match[2])} {n.year(int(year)) if year else ''} "

    def numeric(year: str, month_number: str, day: str, whole: str) -> str:
        if not (0 < int(month_number) < 13 and 0 < int(day) < 32):
            return whole
        spoken = n.year(int(year)) if len(year) == 4 else n.year(2000 + int(year))
        return f" {_MONTHS[int(month_number) - 1]} {n.ordinal(int(day))} {spoken} "

    suffix = r"(?:st|nd|rd|th)?"
    text = re.sub(
        rf"\b({_MONTH})\s+(\d{{1,2}}){suffix}\b(?!:|\.\d|,\d{{3}}\b)(?:,?\s+(\d{{4}})\b)?", american, text, flags=re.I
    )
    text = re.sub(rf"(?<![\w.,$])(\d{{1,2}}){suffix}\s+({_MONTH})\b(?:,?\s+(\d{{4}})\b)?", european, text, flags=re.I)
    text = re.sub(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])", lambda m: numeric(m[1], m[2], m[3], m[0]), text)
    text = re.sub(
        r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)(?![\w/])", lambda m: numeric(m[3], m[1], m[2], m[0]), text
    )
    text = re.sub(r"(?<![\w.,])'?(\d0|1\d\d0|20\d0)'?s\b", lambda m: f" {n.decade(int(m[1]))} ", text)
    text = re.sub(
        r"(?<![\w.,$£€-])(1[1-9]|20)(\d\d)-(\d\d)(?![\w.,-])",
        lambda m: f" {n.year(int(m[1] + m[2]))} to {n.cardinal(int(m[3]))} " if m[3] > m[2] else m[0],
        text,
    )
    return re.sub(r"(?<![\w.,])'(\d\d)\b", lambda m: f" {n.year(1900 + int(m[1])).removeprefix('nineteen ')} ", text)


def read_money(text: str) -> str:
    """$4.50, £3 million, $1.5bn, €20, 50¢."""

    def read(match: re.Match) -> str:
        one, many, cent, cents = _CURRENCIES[match[1]]
        amount, scale = match[2].replace(",", ""), match[3]
        if scale:
            return f" {n.decimal(amount)} {_SCALES.get(scale.lower(), scale.lower())} {many} "
        whole, _, fraction = amount.partition(".")
        if len(fraction) not in (0, 2) or (fraction and not cent):
            return f" {n.decimal(amount)} {many} "
        units, small = int(whole or 0), int(fraction or 0)
        parts = [f"{n.cardinal(units)} {one if units == 1 else many}"] if units or not small else []
        if small:
            parts.append(f"{n.cardinal(small)} {cent if small == 1 else cents}")
        return f" {' and '.join(parts)} "

    scales = rf"(?:\s?({_SCALE_WORDS}|[kKmM]|mn|[bBt]n|B)\b)?"
    text = re.sub(rf"(?:US)?([$£€¥])\s?({_NUMBER}){scales}", read, text)
    return re.sub(r"(\d+)\s?¢", lambda m: f" {n.cardinal(int(m[1]))} cent{'' if m[1] == '1' else 's'} ", text)


def read_measures(text: str) -> str:
    """12km, 5 kg, 60 mph, 20°C, 6 ft, 45%."""

    def read(match: re.Match) -> str:
        head, *rest = _UNITS[match[2]].split(" per ")
        words = head.split()
        if match[1] not in ("1", "-1"):
            at = 0 if words[0] == "degree" else -1
            same = words[at].endswith("hertz")
            words[at] = words[at] if same else _PLURALS.get(words[at], words[at] + "s")
        return f" {n.decimal(match[1])} {' per '.join([' '.join(words), *rest])} "

    units = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
    text = re.sub(rf"(?<![\w.])((?<!\w)-?(?:{_NUMBER}))[\s-]?%", lambda m: f" {n.decimal(m[1])} percent ", text)
    # "747s" is a plural, "5 s" seconds
    return re.sub(rf"(?<![\w.])(-?(?:{_NUMBER}))(?!s\b)[\s-]?({units})(?![\w/^'])", read, text)


def read_numbers(text: str) -> str:
    """Ordinals, fractions, ranges, telephone numbers, years and whatever digits are left."""
    text = re.sub(r"(?<=[A-Za-z])\d{3,}\b", _read_code, text)
    text = re.sub(r"\b(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", _read_ordinal, text, flags=re.I)
    text = re.sub(r"#\s?(?=\d)", " number ", text)
    text = re.sub(r"\b(\d+)s\b", lambda m: f" {n.plural(n.cardinal(int(m[1])))} ", text)
    text = re.sub(r"(?<![\w/])(?:24/7|9/11)(?![\w/])", lambda m: m[0].replace("/", " "), text)
    text = re.sub(r"(?<![\w:.])(\d+):(\d+)(?![\w:]|\.\d)", r"\1 to \2", text)
    text = re.sub(
        r"\+?(?<![\w.,])(?:\d[ -])?(?:\(?\d{3}\)?[ -])?\d{3}-\d{4}(?![\w-])", lambda m: f" {n.digits(m[0])} ", text
    )
    text = re.sub(r"(?<![\w./])(?:(\d+)\s+)?(\d+)/(\d+)(?![\w./])", _read_fraction, text)
    text = re.sub(rf"(?<![\w.-])({_NUMBER})\s?-\s?({_NUMBER})(?![\w-])", r" \1 to \2 ", text)
    text = re.sub(r"(?<![\w.,])(1[1-9]\d\d|20\d\d|10[1-9]\d)(?![\w%]|[.,]\d)", lambda m: f" {n.year(int(m[1]))} ", text)
    text = re.sub(r"(?<![\w.,])0\d+(?![\w.])", lambda m: f" {n.digits(m[0])} ", text)
    text = re.sub(r"(?<![\w.)-])-(?=\d|\.\d)|(?<=\s)-(?=\d)", " minus ", text)
    text = re.sub(rf"(?<!\d)(?:{_NUMBER})", lambda m: f" {n.decimal(m[0])} ", text)
    return text


def _read_code(match: re.Match) -> str:
    """Digits after a letter, as in C2766: four as a year is read, others one by one."""
    return f" {n.year(int(match[0])) if len(match[0]) == 4 else n.digits(match[0])} "


def _read_ordinal(match: re.Match) -> str:
    return f" {n.ordinal(int(match[1].replace(',', '')))} "


def _read_fraction(match: re.Match) -> str:
    whole, above, below = match[1], int(match[2]), int(match[3])
    if not 2 <= below <= 100 or above >= 100:
        return f" {n.cardinal(above)} over {n.cardinal(below)} "
    one, many = _FRACTIONS.get(below, (n.ordinal(below), n.ordinal(below) + "s"))
    spoken = f"{n.cardinal(above)} {one if above == 1 else many}"
    if whole:
        spoken = (
            f"{n.cardinal(int(whole))} and {'a' if above == 1 else n.cardinal(above)} {one if above == 1 else many}"
        )
    return f" {spoken} "
