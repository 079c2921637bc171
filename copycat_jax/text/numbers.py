"""Numbers as words: cardinals, ordinals, years, digits, decimals. Pure string functions; American usage."""

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ["", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion"]
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LONGEST = 3 * len(_SCALES)


def cardinal(value: int) -> str:
    """`value` in words without "and": 121 is "one hundred twenty one"; longer than 21 digits, digit by digit."""
    if value < 0:
        return f"minus {cardinal(-value)}"
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _join(_TENS[value // 10], value % 10)
    if value < 1000:
        return _join(f"{_ONES[value // 100]} hundred", value % 100)
    if len(str(value)) > _LONGEST:
        return digits(str(value))
    parts, scale = [], 0
    while value:
        value, group = divmod(value, 1000)
        if group:
            parts.append(f"{cardinal(group)} {_SCALES[scale]}".strip())
        scale += 1
    return " ".join(reversed(parts))


def ordinal(value: int) -> str:
    """`value` as an ordinal in words: 22 is "twenty second"."""
    *head, last = cardinal(value).split()
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*head, last])


def year(value: int) -> str:
    """`value` as a year: 1984 is "nineteen eighty four", 1905 "nineteen oh five", 2007 "two thousand seven"."""
    century, rest = divmod(value, 100)
    if not 1000 <= value <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {f'oh {cardinal(rest)}' if rest < 10 else cardinal(rest)}"


def decade(value: int) -> str:
    """`value` as a decade: 1990 is "nineteen nineties", 80 "eighties", 2000 "two thousands"."""
    return plural(year(value))


def plural(words: str) -> str:
    """`words` of a number with the last made a plural: "ninety" is "nineties", "six" "sixes"."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"


def digits(text: str) -> str:
    """The digits of `text` one by one; other characters are skipped."""
    return " ".join(_ONES[int(digit)] for digit in text if digit.isdecimal())


def decimal(text: str) -> str:
    """A written number with optional commas, sign and fraction: "-1,234.50" is read with "minus" and "point"."""
    text = text.replace(",", "")
    sign = "minus " if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("+-").partition(".")
    words = cardinal(int(whole)) if whole else "zero"
    return f"{sign}{words} point {digits(fraction)}" if fraction else sign + words


def roman(text: str) -> int | None:
    """The value of a roman numeral of I, V and X (at most 39), or None where `text` is none."""
    value, values = 0, {"I": 1, "V": 5, "X": 10}
    for here, after in zip(text, [*text[1:], ""][: len(text)], strict=True):
        if here not in values:
            return None
        value += -values[here] if values.get(after, 0) > values[here] else values[here]
    units = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    return value if 0 < value < 40 and "X" * (value // 10) + units[value % 10] == text else None


def _join(head: str, rest: int) -> str:
    return f"{head} {cardinal(rest)}" if rest else head
