"""Verses of the Bible: Gen. 1:1-5 is "genesis one one to five"."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import alternatives, kind

_ABBREVIATED = {
    "Gen": "genesis", "Exod": "exodus", "Ex": "exodus", "Lev": "leviticus", "Num": "numbers", "Deut": "deuteronomy",
    "Josh": "joshua", "Judg": "judges", "Sam": "samuel", "Kgs": "kings", "Chr": "chronicles", "Neh": "nehemiah",
    "Esth": "esther", "Ps": "psalm", "Pss": "psalms", "Prov": "proverbs", "Eccl": "ecclesiastes", "Isa": "isaiah",
    "Jer": "jeremiah", "Lam": "lamentations", "Ezek": "ezekiel", "Dan": "daniel", "Hos": "hosea", "Mic": "micah",
    "Zech": "zechariah", "Mal": "malachi", "Matt": "matthew", "Mt": "matthew", "Mk": "mark", "Lk": "luke", "Jn": "john",
    "Rom": "romans", "Cor": "corinthians", "Gal": "galatians", "Eph": "ephesians", "Phil": "philippians",
    "Col": "colossians", "Thess": "thessalonians", "Tim": "timothy", "Heb": "hebrews", "Jas": "james", "Pet": "peter",
    "Rev": "revelation",
}  # fmt: skip
_WHOLE = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job|"
    "Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Jonah|Micah|Habakkuk|"
    "Zechariah|Malachi|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians|"
    "Thessalonians|Timothy|Titus|Hebrews|James|Peter|Jude|Revelation"
)


def _verse(match: re.Match) -> str:
    book = _ABBREVIATED.get(match["book"], match["book"].lower())
    said = [book, n.cardinal(int(match["chapter"])), n.cardinal(int(match["verse"]))]
    for piece in re.split("[-–]", match["last"])[1:]:
        said += ["to", *(n.cardinal(int(number)) for number in piece.split(":"))]
    return " ".join(said)


KINDS = (
    kind(
        "verse",
        rf"\b(?:(?P<book>{alternatives(_ABBREVIATED)}|{_WHOLE}))\.? "
        r"(?P<chapter>\d{1,3}):(?P<verse>\d{1,3})(?P<last>(?:[-–]\d{1,3}(?::\d{1,3})?)?)(?![\w:])",
        _verse,
    ),
    kind("psalm", r"\bPss?\.(?= \d)", lambda match: "psalms" if match[0] == "Pss." else "psalm", closes=False),
)
