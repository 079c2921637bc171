"""Titles, abbreviations with their full stop, initials: how they are written and what is said."""

import re

from copycat_jax.text.grammar import after, alternatives, before, kind

_TITLES = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messrs", "dr": "doctor", "drs": "doctors",
    "prof": "professor", "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant",
    "maj": "major", "cpl": "corporal", "rev": "reverend", "hon": "honorable", "gov": "governor", "sen": "senator",
    "rep": "representative", "pres": "president", "mt": "mount", "ft": "fort", "st": "saint", "mme": "madame",
    "mlle": "mademoiselle", "sra": "senora", "srta": "senorita", "fr": "father", "adm": "admiral", "cmdr": "commander",
    "pvt": "private", "det": "detective", "atty": "attorney", "amb": "ambassador", "supt": "superintendent",
    "insp": "inspector", "brig": "brigadier",
}  # fmt: skip
_ABBREVIATIONS = {
    "etc": "et cetera", "vs": "versus", "jr": "junior", "sr": "senior", "co": "company", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "dept": "department", "approx": "approximately", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "hwy": "highway", "assn": "association", "bros": "brothers", "esq": "esquire",
    "govt": "government", "viz": "namely", "cf": "compare", "ca": "circa", "dr": "drive", "st": "street",
    "mt": "mount", "ft": "fort", "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december", "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday",
    "thurs": "thursday", "fri": "friday", "apt": "apartment", "bldg": "building", "univ": "university",
    "misc": "miscellaneous", "intl": "international", "natl": "national", "pts": "points",
}  # fmt: skip
_BEFORE_NUMBER = {
    "no": "number",
    "nos": "numbers",
    "vol": "volume",
    "vols": "volumes",
    "fig": "figure",
    "figs": "figures",
    "p": "page",
    "pp": "pages",
    "ch": "chapter",
    "sec": "section",
    "art": "article",
    "eq": "equation",
    "ex": "example",
    "ext": "extension",
    "op": "opus",
    "est": "established",
    "ca": "circa",
    "apt": "apartment",
    "tel": "telephone",
    "lat": "latitude",
    "v": "verse",
    "vv": "verses",
}
_STATES = {
    "ala": "alabama", "ariz": "arizona", "ark": "arkansas", "calif": "california", "colo": "colorado",
    "conn": "connecticut", "del": "delaware", "fla": "florida", "ga": "georgia", "ill": "illinois", "ind": "indiana",
    "kan": "kansas", "ky": "kentucky", "mass": "massachusetts", "md": "maryland", "mich": "michigan",
    "minn": "minnesota", "mo": "missouri", "mont": "montana", "neb": "nebraska", "nev": "nevada", "okla": "oklahoma",
    "ore": "oregon", "pa": "pennsylvania", "penn": "pennsylvania", "tenn": "tennessee", "tex": "texas",
    "va": "virginia", "vt": "vermont", "wash": "washington", "wis": "wisconsin", "wyo": "wyoming",
}  # fmt: skip
_DAYS = {
    "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thur": "thursday",
    "thurs": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday",
}  # fmt: skip
_DAY = "|".join(day.capitalize() for day in sorted(_DAYS, key=len, reverse=True))
_MONTHS = frozenset(
    ("january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december")
)
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = rf" (?:the )?(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?{_MONTH}"
_SENTENCE_WORDS = frozenset(("mar", "mon", "wed", "fri", "dec", "jun", "jan", "ca"))
_START = r"(?<![\w.'-])"
_CENTURY = r"(?:\d{1,2}(?:st|nd|rd|th)|(?<!\w)[IVX]{2,6}|(?<!\w)[VX])"
_CENTURY_BEFORE = re.compile(rf"{_CENTURY} $")
_CENTURIES_BEFORE = re.compile(rf"{_CENTURY}(?: (?:and|or|to) (?:the )?|[-–]){_CENTURY} $")
_STREET_BEFORE = re.compile(r"\d\w* (?:[A-Z][a-z]+ )+\Z")


def letters(text: str) -> str:
    """The letters of `text` by their names."""
    return " ".join(c for c in text.upper() if c.isalpha())


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
    if name.isupper() and _ABBREVIATIONS[name.lower()] in _MONTHS and not rest[:1].isdigit():
        return False  # a rate is an APR
    if name[0].isupper() and re.search(r"\b(?i:in|on|by|since|until|till|last|next|every|from|to) $", before(match)):
        return True  # "in Dec."
    return not (name.lower() in _SENTENCE_WORDS and (ends or not name[0].isupper()))


def _century(match: re.Match) -> str:
    return "centuries" if match["written"] == "cc" or _CENTURIES_BEFORE.search(before(match)) else "century"


def _is_century(match: re.Match) -> bool:
    return bool(_CENTURY_BEFORE.search(before(match)))


def _days(match: re.Match) -> str:
    return " to ".join(_DAYS[day.lower()] for day in match.groups() if day)


def _ampersand(match: re.Match) -> str:
    return f"{letters(match[1])} and {letters(match[2])}"


def _letters(match: re.Match) -> str:
    return letters(match[1])


KINDS = (
    kind("days", rf"{_START}({_DAY})\.?(?:[-–—]| [-–] )({_DAY})\b\.?", _days),
    kind("day", rf"{_START}({_DAY})(?:\.(?=,|,?{_DATE}|(?<!the Sun\.) \d)|(?=,?{_DATE}))", _days),
    kind(
        "state",
        rf"(?<=[a-z], )(?P<name>{'|'.join(map(str.capitalize, _STATES))})\.",
        lambda match: _STATES[match["name"].lower()],
        holds=lambda match: bool(re.search("[A-Z][a-z]+, $", before(match))),
    ),
    kind("without", r"\bw/o(?= )", lambda match: "without"),
    kind("with", r"\bw/ ?(?=[A-Za-z\d])", lambda match: "with"),
    kind("key", r"\bCtrl\b", lambda match: "control"),
    kind("latin", r"(?i:\be\. ?g\.,?)", lambda match: "for example"),
    kind("latin", r"(?i:\bi\. ?e\.,?)", lambda match: "that is"),
    kind("latin", r"&c\b\.?", lambda match: "et cetera"),
    kind(
        "title",
        rf"{_START}(?P<name>(?i:{alternatives(_TITLES)}))\.(?=[ -]+[A-Z]| (?:&|and) [A-Z])",
        _title,
        closes=False,
    ),
    kind(
        "title",
        r"(?:(?<=[Tt]he )|(?<=\ba )|(?<=1st )|(?<=2nd ))"
        r"(?P<name>(?:Lt|Sgt|Gen|Col|Capt|Maj|Cpl|Gov|Sen|Rep|Prof|Rev|Pres|Adm))\.(?= [a-z])",
        _title,
        closes=False,
    ),
    kind("title", rf"{_START}(?P<name>Mrs?|Ms|Dr|Messrs|St)(?= [A-Z])", _title),
    kind("street", r"(?<=[a-z] )(?P<name>Ave|Blvd|Rd|Hwy)(?![\w'.])", _long_form),
    kind("street", r"(?<=[a-z] )(?P<name>St|Dr)(?![\w'.])", _long_form, holds=_is_street),
    kind(
        "before a number",
        rf"{_START}(?P<name>(?i:{alternatives(_BEFORE_NUMBER)}))\.(?= ?[A-Z$£€]?\d)",
        lambda match: _BEFORE_NUMBER[match["name"].lower()],
        closes=False,
    ),
    kind("abbreviation", rf"{_START}c\.(?= ?1\d\d\d\b)", lambda match: "circa", closes=False),
    kind("century", rf"{_START}(?P<written>cent|cc?)\.", _century, holds=_is_century),
    kind(
        "abbreviation",
        rf"{_START}(?P<name>(?i:{alternatives(_ABBREVIATIONS)}))\.",
        _long_form,
        holds=_is_long_form,
    ),
    kind("initials", r"\b(Ph\. ?D)\b\.?", _letters),
    kind("initials", r"\b([A-Z]{2})(?=-?\d)", _letters),
    kind("initials", r"(?<=\d)([A-Z]{2,3})(?![A-Za-z])", _letters),
    kind("initials", r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", _ampersand),
    kind("initials", r"(?<![\w.'])((?:[A-Z]\.)+[A-Z])\.?'?s\b", lambda match: f"{letters(match[1])}'s"),
    kind("initials", r"(?<![\w.'])((?:[A-Za-z]\.){2,}|[A-Za-z](?:\.[A-Za-z])+\b)", _letters),
    kind("initials", r"(?<![\w.'])([A-HJ-Z])\.(?=[ ,-])", _letters),
    kind("initials", r"(?<![\w.'])(I)\.(?= [A-Z])", _letters),
)
