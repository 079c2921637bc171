"""Clock times, dates, years and decades: how they are written and what is said."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import DASH, after, before, kind

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
# In small letters, these are words.
_MONTH = (
    r"(?:(?i:january|february|april|june|july|august|september|october|november|december)|M(?i:arch)|M(?i:ay)"
    r"|ma(?:y|rch)(?=(?: \d{1,2}(?:st|nd|rd|th)?,?)? \d{4}\b)"
    r"|(?i:feb|apr|jul|aug|sept?|oct|nov)\b\.?|(?:Mar|MAR|Jan|JAN|Jun|JUN|Dec|DEC)\b\.?|(?:mar|jan|jun|dec)\.)"
)
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_SUFFIX = r"(?:(?i:st|nd|rd|th)\b)?"
_LAST_DAY = rf"(?:{DASH}(?P<last>{_DAY}){_SUFFIX})?"
_HOUR, _MINUTE = r"(?:[01]?\d|2[0-4])", r"[0-5]\d"
_HALF = r"(?: ?(?:[AaPp]\. ?[Mm]\.|[AaPp][Mm]\b\.?))"
_YEAR = r"(?:1[1-9]\d\d|20\d\d|10[1-9]\d)"
_ERA = r"(?:BCE|CE|BC|AD|B\. ?C\. ?E\.|B\. ?C\.|A\. ?D\.|C\. ?E\.)"
_NUMERIC_DATE = (
    r"(?P<first>\d{1,2})"
    r"(?:/(?P<second>\d{1,2})/(?P<year>\d{4}|\d\d)|(?P<mark>[.-])(?P<later>\d{1,2})(?P=mark)(?P<full>\d{4}))"
)


def _time(match: re.Match) -> str:
    first = _point(match["time"], match["half"])
    return f"{first} to {_point(match['until'], match['untilhalf'])}" if match["until"] else first


def _point(clock: str, half: str | None) -> str:
    """One time of day; `half` is its a.m. or p.m."""
    hour, *rest = re.split("[:.]", clock)
    minute, second = (*map(int, rest), 0, 0)[:2]
    said = n.cardinal(int(hour))
    if minute:
        said += f" {n.short_year(minute)}"
    elif not half and rest:
        said += " o'clock" if 0 < int(hour) < 13 else " hundred"
    if second:
        said += f" and {n.cardinal(second)} second{'' if second == 1 else 's'}"
    return f"{said} {half.strip()[0].upper()} M" if half else said


def _is_time(match: re.Match) -> bool:
    """A colon or a half of the day makes a time, unless it is said to be a ratio."""
    if match["until"] and not (match["untilhalf"] or (":" in match["time"] and ":" in match["until"])):
        return False
    if match["half"] or match["untilhalf"]:
        return True
    return ":" in match["time"] and not _is_ratio(match)


def _is_ratio(match: re.Match) -> bool:
    """Whether the words around say that two numbers with a colon are a ratio."""
    cue = r"(?i:ratios?|odds|scale|proportions?|diluted|mix|mixed|mixture)"
    return bool(re.search(rf"\b{cue}(?: \w+){{0,2}} $", before(match)) or re.match(rf" {cue}\b", after(match)))


def _month(text: str) -> str:
    return next(month for month in _MONTHS if month.startswith(text.lower()[:3]))


def _days(match: re.Match) -> str:
    last = f" to {n.ordinal(int(match['last']))}" if match["last"] else ""
    return n.ordinal(int(match["day"])) + last


def _month_day(match: re.Match) -> str:
    return f"{_month(match['month'])} {_days(match)} {_year_after(match)}"


def _day_month(match: re.Match) -> str:
    the = "" if match["of"] == " of " and not match["the"] else "the"  # "the 5th and 6th of May"
    return f"{the} {_days(match)} of {_month(match['month'])} {_year_after(match)}"


def _year_after(match: re.Match) -> str:
    return n.year(int(match["year"])) if match["year"] else ""


def _iso(match: re.Match) -> str:
    return f"{_MONTHS[int(match['month']) - 1]} {n.ordinal(int(match['day']))} {n.year(int(match['year']))}"


def _order(match: re.Match) -> tuple[int, int] | None:
    """Month and day of a date in digits: the month first, unless it cannot be one."""
    first, second = int(match["first"]), int(match["second"] or match["later"])
    month, day = (first, second) if first < 13 else (second, first)
    return (month, day) if 0 < month < 13 and 0 < day < 32 else None


def _numeric(match: re.Match) -> str:
    month, day = _order(match) or (1, 1)
    year = match["year"] or match["full"]
    return f"{_MONTHS[month - 1]} {n.ordinal(day)} {n.year(int(year) + 2000 * (len(year) == 2))}"


def _decades(match: re.Match) -> str:
    first = n.plural(n.year(int(match["decade"])))
    return f"{first} to {n.plural(n.year(int(match['until'])))}" if match["until"] else first


def _years(match: re.Match) -> str:
    last = match["last"]
    return f"{n.year(int(match['year']))} to {n.short_year(int(last)) if len(last) == 2 else n.year(int(last))}"


def _are_years(match: re.Match) -> bool:
    """The second year comes later: 1914-18, not 2010-05."""
    return int(match["year"][: -len(match["last"])] + match["last"]) > int(match["year"])


def _era(match: re.Match) -> str:
    letters = " ".join(re.sub("[^A-Z]", "", match["era"]))
    year = n.year(int(match["year"]))
    until = f" to {n.year(int(match['until']))}" if match["until"] else ""
    return f"{letters} {year}{until}" if match.group(0)[0].isalpha() else f"{year}{until} {letters}"


def _single_year(match: re.Match) -> str:
    return n.year(int(match["year"])) + (match["own"] or "")


def _duration(match: re.Match) -> str:
    """Hours, minutes and seconds that something took."""
    *head, last = [
        f"{n.cardinal(int(value))} {unit}{'' if int(value) == 1 else 's'}"
        for value, unit in zip(match.groups(), ("hour", "minute", "second"), strict=True)
        if int(value)
    ]
    return f"{' '.join(head)} and {last}" if head else last


def _military(match: re.Match) -> str:
    hour, minute = match["hour"], int(match["minute"])
    said = f"zero {n.cardinal(int(hour[1]))}" if hour[0] == "0" else n.cardinal(int(hour))
    return f"{said} {n.short_year(minute) if minute else 'hundred'} hours"


def _is_military(match: re.Match) -> bool:
    """0800 hours, at 1430 hours; not the 2000 hours that something took."""
    clock = ":" in match[0] or match["hour"][0] == "0"
    return clock or bool(re.search(r"\b(?i:at|by|until|till|before|after|from|to) $", before(match)))


def _day_of_month(match: re.Match) -> str:
    return f"{_MONTHS[int(match['month']) - 1]} {n.ordinal(int(match['day']))}"


def _is_day_of_month(match: re.Match) -> bool:
    """Behind "on" or "by", or where it can hardly be a fraction (10/31), and where it is no 9/11."""
    if match[0] == "9/11" or re.match(r" ?%| of\b|/", after(match)):
        return False
    cue = re.search(r"\b(?i:on|by|since|until|till|before|after|dated|due|from) $", before(match))
    return bool(cue or (int(match["month"]) > 9 and int(match["day"]) > 12))


KINDS = (
    kind(
        "duration",
        r"(?:(?<=took )|(?<=for )|(?<=in )|(?<=of ))(\d{1,3}):([0-5]\d):([0-5]\d)(?![\w:]|\.\d| ?[AaPp]\.?[Mm])",
        _duration,
        holds=lambda match: any(map(int, match.groups())),
    ),
    kind(
        "military", r"(?P<hour>[01]\d|2[0-4]):?(?P<minute>[0-5]\d) ?(?:hours|hrs)\b\.?", _military, holds=_is_military
    ),
    kind(
        "time",
        rf"(?P<time>{_HOUR}(?:[:.]{_MINUTE}(?::{_MINUTE})?)?)(?P<half>{_HALF})?"
        rf"(?:(?:{DASH})(?P<until>{_HOUR}(?:[:.]{_MINUTE})?)(?P<untilhalf>{_HALF})?)?(?!\w|:\d|\.\d|%)",
        _time,
        holds=_is_time,
    ),
    kind(
        "month and day",
        rf"(?P<month>{_MONTH})[ -](?P<day>{_DAY}){_SUFFIX}{_LAST_DAY}(?! ?%|:|\w|\.\d|,\d{{3}})"
        r"(?:(?:,? |-)(?P<year>\d{4})(?!\w|,\d))?",
        _month_day,
    ),
    kind(
        "day and month",
        rf"(?P<the>(?i:the) )?(?P<day>{_DAY}){_SUFFIX}{_LAST_DAY}(?P<of> of | |-)(?P<month>{_MONTH})(?!\w)"
        r"(?:(?:,? |-)(?P<year>\d{4})(?!\w|,\d))?",
        _day_month,
    ),
    kind(
        "date",
        r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>0[1-9]|1[0-2])(?P=mark)(?P<day>0[1-9]|[12]\d|3[01])(?![\w-])",
        _iso,
    ),
    kind(
        "date",
        r"(?P<month>1[0-2]|0?[1-9])/(?P<day>3[01]|[12]\d|0?[1-9])(?![\w/-])",
        _day_of_month,
        holds=_is_day_of_month,
    ),
    kind("date", rf"{_NUMERIC_DATE}(?![\w/-])", _numeric, holds=lambda match: _order(match) is not None),
    kind(
        "decade",
        rf"'?(?P<decade>\d0|1\d\d0|20\d0)'?s(?:{DASH}'?(?P<until>\d0|1\d\d0|20\d0)'?s)?\b",
        _decades,
    ),
    kind("era", rf"(?P<era>A\. ?D\.|AD) (?P<year>\d{{1,4}})(?:{DASH}(?P<until>\d{{1,4}}))?(?!\w|[,.]\d)", _era),
    kind("era", rf"(?P<year>\d{{1,4}})(?:{DASH}(?P<until>\d{{1,4}}))? ?(?P<era>{_ERA})(?!\w)", _era),
    kind(
        "years", rf"(?P<year>(?:1[1-9]|20)\d\d){DASH}(?P<last>\d{{4}}|\d\d)(?![\w-]|[.,]\d)", _years, holds=_are_years
    ),
    kind("short year", r"'(?P<year>\d\d)(?![\w'])", lambda match: n.short_year(int(match["year"]))),
    kind("year", rf"(?P<year>{_YEAR})(?P<own>'s)?(?!(?![a-d]\b)\w| ?%|[.,]\d)", _single_year),
    kind("to", rf"(?:(?<=\d)|(?<=\d ))[-–] ?(?={_MONTH} \d)", lambda match: "to"),
)
