"""Numbers as words: cardinals, ordinals, years, digits, decimals. The one door to num2words; American usage."""

import re

_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
ROMAN = r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_LONGEST = 21  # digits; a longer number is read digit by digit


def cardinal(value: int) -> str:
    """`value` in words without "and": 121 is "one hundred twenty one"; longer than 21 digits, digit by digit."""
    if value < 0:
        return f"minus {cardinal(-value)}"
    return digits(str(value)) if len(str(value)) > _LONGEST else _american(value, "cardinal")


def ordinal(value: int) -> str:
    """`value` as an ordinal in words: 22 is "twenty second"."""
    if len(str(value)) > _LONGEST:
        *head, last = str(value)
        return f"{digits(''.join(head))} {_american(int(last), 'ordinal')}"
    return _american(value, "ordinal")


def _american(value: int, form: str) -> str:
    from num2words import num2words

    return re.sub(r",? and |, |-", " ", num2words(value, to=form))


def year(value: int) -> str:
    """`value` as a year: 1984 is "nineteen eighty four", 1905 "nineteen oh five", 2007 "two thousand seven"."""
    century, rest = divmod(value, 100)
    if not 1000 <= value <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {f'oh {cardinal(rest)}' if rest < 10 else cardinal(rest)}"


def short_year(value: int) -> str:
    """A year of its century, 0 to 99: 69 is "sixty nine", 7 "oh seven"."""
    return f"oh {cardinal(value)}" if value < 10 else cardinal(value)


def plural(words: str) -> str:
    """`words` of a number as a plural: "ninety" is "nineties", "six" "sixes", "one hundred" "hundreds"."""
    if re.fullmatch("one (?:hundred|thousand|million)", words):
        return f"{words[4:]}s"
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"


def digits(text: str) -> str:
    """The digits of `text` one by one; other characters are skipped."""
    return " ".join(_american(int(digit), "cardinal") for digit in text if digit.isdecimal())


def decimal(text: str) -> str:
    """A written number with optional thousands, sign and fraction: "-1,234.50" is read with "minus" and "point"."""
    text = re.sub("[,' ]", "", text)
    sign = "minus " if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("+-").partition(".")
    words = "zero"
    if whole:
        words = digits(whole) if len(whole) > _LONGEST else cardinal(int(whole))
    return f"{sign}{words} point {digits(fraction)}" if fraction else sign + words


def fraction(above: int, below: int) -> str:
    """`above`/`below` in words: "three quarters", "one half"; "over" where the lower is no usual part."""
    if not (2 <= below <= 100 or below == 1000) or above >= 100:
        return f"{cardinal(above)} over {cardinal(below)}"
    return f"{cardinal(above)} {part(above, below)}"


def part(above: int, below: int) -> str:
    """The name of a `below`-th: "half", "quarter", "fifth"; a plural unless `above` is 1."""
    one, many = {2: ("half", "halves"), 4: ("quarter", "quarters")}.get(below, (ordinal(below), f"{ordinal(below)}s"))
    return one if above == 1 else many


def roman(text: str) -> int | None:
    """The value of a roman numeral in its usual form, below 4000, in capitals; None where `text` is none."""
    if not re.fullmatch(ROMAN, text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-here if here < after else here for here, after in zip(values, [*values[1:], 0], strict=True))
