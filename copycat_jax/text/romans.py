"""Roman numerals: after a heading's word or a monarch's name, or where letters can be nothing else."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import DASH, after, before, kind

_HEADINGS = (
    "chapter|chapters|chap|ch|part|parts|book|books|act|acts|scene|scenes|volume|volumes|vol|vols|section|sections|"
    "article|articles|canto|cantos|psalm|lesson|stage|phase|type|class|figure|fig|table|plate|appendix|title|page|"
    "pages|pp|p|world wars?|war|bowl|division|level|grade|saturn|apollo|mark|symphony|op|letter|stave|verse|"
    "episode|season|amendment|schedule|tier"
)
_SMALL_HEADINGS = "chapters?|chap|books?|acts?|scenes?|volumes?|vols?|cantos?|pages?|pp|p|sections?|parts?"
_ABBREVIATED = {
    "chap": "chapter", "ch": "chapter", "vol": "volume", "vols": "volumes", "fig": "figure", "p": "page", "pp": "pages",
    "op": "opus", "no": "number", "nos": "numbers",
}  # fmt: skip
_MONARCHS = (
    "henry|louis|george|edward|charles|james|richard|william|elizabeth|philip|ivan|john|paul|pius|benedict|gregory|"
    "leo|innocent|clement|alexander|frederick|peter|catherine|nicholas|napoleon|ferdinand|francis|alfonso|otto|"
    "leopold|ptolemy|ramesses|rameses|ramses|gustav|gustavus|christian|carl|umberto|albert|urban|boniface|julius|"
    "sixtus|mary|victor|emmanuel|wilhelm|friedrich|franz|joseph|haakon|harald|olaf|margaret|margrethe|baldwin|conrad|"
    "rudolf|rudolph|maximilian|matthias|sigismund|stephen|stanislaus|casimir|robert|david|kenneth|michael|"
    "constantine|justinian|theodosius|basil|leopold|adrian|hadrian|celestine|eugene|honorius|martin|nicolas|callixtus|"
    "calixtus|xerxes|darius|artaxerxes|cyrus|thutmose|amenhotep|seti|murad|mehmed|selim|suleiman|mohammed|abdul|"
    "hamid|humbert|juan|felipe|carlos|pedro|manuel|sancho|wladislaw|ladislaus|bela|frederik|oscar|ludwig|antiochus"
)
_GIVEN = "thomas|samuel|walter|arthur|benjamin|daniel|howard|thurston|harold|franklin|jack|frank|hugh|edwin"
_OF_SERIES = (  # films and games that are numbered so, by their last word
    "GTA|Auto|Fantasy|Fighter|Rocky|Saw|Scrolls|Civilization|Civ|Quest|Trek|OS|macOS|Ultima|Souls|Rambo|Jaws|Halo|"
    "Crusade|Battlefield|Evil|Halloween|Kombat|Persona|Alien|Wars"
)
# A numeral before these is an ordinal: XIX c., V Corps, XVIII Airborne Corps.
_ORDERED = re.compile(
    r"(?: (?:to|and|or) (?:the )?[IVX]+)? (?:centur(?:y|ies)\b|(?:cent|cc?)\.|"
    r"(?:[A-Z][a-z]+ )?(?:Corps|Legion|Olympiad|Dynasty)\b)"
)
_THRONES = "king|queen|pope|emperor|empress|tsar|czar|kaiser|sultan|shah|prince|pharaoh"
_BOOKS = (  # of the Bible
    "Samuel|Kings|Chronicles|Corinthians|Thessalonians|Timothy|Peter|John|Maccabees|Esdras|Cor|Sam|Thess|Tim|Pet"
)
_OWN = r"(?P<own>'s)?(?![\w&/]|'\w|-[A-Z\d])"
# What follows an I that is the first; elsewhere it is the speaker.
_AFTER_FIRST = re.compile(
    r"'s| ?[.,;:!?)\]—\"]|$| [A-Z\d]"
    r"| (?:of|was|is|had|has|and|or|in|on|who|became|died|to|at|by|for|with|scene|reigned)\b"
)
_NEW_SENTENCE = re.compile(
    r"\. (?:The|This|That|These|Those|There|Then|Thus|He|She|It|We|They|You|I|His|Her|Its|My|Our|Your|Their|A|An|And|"
    r"But|So|Yet|No|Not|Now|Here|Both|In|On|At|As|By|For|Of|From|To|With|When|Where|While|Before|After|Once|Soon|Later|"
    r"What|Who|Why|How|If|Although|However)\b"
)


def _numbered(match: re.Match) -> str:
    written = match["head"].lower().rstrip(".")
    head = _ABBREVIATED.get(written, written)
    until = f" to {n.cardinal(_value(match['until']))}" if match["until"] else ""
    return f"{head} {n.cardinal(_value(match['numeral']))}{until}{match['own'] or ''}"


def _is_numbered(match: re.Match) -> bool:
    """A single letter is a numeral behind a capital ("Part I", not "the part I like"), and is I, V or X."""
    head, numeral = match["head"], match["numeral"]
    if len(numeral) > 1 or match["until"]:
        return True
    if not head[0].isupper() or numeral not in "IVX":
        return False
    rest = after(match)
    return numeral != "I" or (
        head.lower() != "no."
        and (
            head.lower().startswith(("world", "appendix", "phase", "article", "title", "schedule"))
            or bool(_AFTER_FIRST.match(rest))
        )
    )


def _is_small(match: re.Match) -> bool:
    return len(match["numeral"]) > 1 or bool(re.match(r"[.,;:)]| of\b|$", after(match)))


def _monarch(match: re.Match) -> str:
    second = f" and the {n.ordinal(_value(match['second']))}" if match["second"] else ""
    return f"{match['name'].lower()} the {n.ordinal(_value(match['numeral']))}{second}{match['own'] or ''}"


def _is_monarch(match: re.Match) -> bool:
    """A single letter may also be an initial ("John V. Lindsay") or the speaker ("Henry I think")."""
    numeral, rest = match["numeral"], after(match)
    if len(numeral) > 1:
        return set(numeral) <= set("IVXL")
    if numeral not in "IVX" or (re.match(r"\. [A-Z]", rest) and not _NEW_SENTENCE.match(rest)):
        return False
    return numeral != "I" or bool(_AFTER_FIRST.match(match["own"] or rest))


def _alone(match: re.Match) -> str:
    """A numeral without such a word: an ordinal before "century", a year where it is one, else a cardinal."""
    values = [_value(numeral) for numeral in (match["numeral"], match["until"]) if numeral]
    if match["suffix"] or _ORDERED.match(after(match)):
        return " to ".join(map(n.ordinal, values))
    return " to ".join(n.year(value) if value > 1000 else n.cardinal(value) for value in values) + (match["own"] or "")


def _is_alone(match: re.Match) -> bool:
    """Two letters of I, V and X, or four of any; neither MIX nor an IV. One of them in a century or a series."""
    numeral = match["numeral"]
    if numeral in ("V", "X"):
        ordered = _ORDERED.match(after(match))
        return bool(ordered or match["until"] or re.search(rf"(?<![\w'-])(?:{_OF_SERIES}) $", before(match)))
    long = len(numeral) > 3 or (len(numeral) > 1 and set(numeral) <= set("IVX"))
    return long and not re.search(r"\b[Aa]n $", before(match))


def _value(numeral: str) -> int:
    return n.roman(numeral.upper()) or 0


def _is_heir(match: re.Match) -> bool:
    """Whether a person's whole name precedes: John D. Rockefeller III, Robert Downey Jr. III."""
    name = rf"\b(?:(?i:{_MONARCHS}|{_GIVEN})|[A-Z]\.) [A-Z][a-z]+"
    return bool(re.search(rf"(?:{name}|\b[A-Z][a-z]+,? Jr\.?) $", before(match)))


def _book(match: re.Match) -> str:
    number = match["number"]
    return n.ordinal(int(number) if number.isdigit() else _value(number))


KINDS = (
    kind(
        "numbered",
        rf"(?<![\w'-])(?P<head>(?i:{_HEADINGS})\b\.?|(?i:nos?)\.) ?(?<=[ .])"
        rf"(?P<numeral>{n.ROMAN})(?:{DASH}(?P<until>{n.ROMAN}))?{_OWN}",
        _numbered,
        holds=_is_numbered,
    ),
    kind(
        "numbered",
        rf"(?<![\w'-])(?P<head>(?i:{_SMALL_HEADINGS})\b\.?) ?(?<=[ .])"
        rf"(?=[ivxlc])(?P<numeral>{n.ROMAN.lower()})(?:{DASH}(?P<until>{n.ROMAN.lower()}))?{_OWN}",
        _numbered,
        holds=_is_small,
    ),
    kind(
        "monarch",
        rf"(?<![\w'-])(?P<name>(?=[A-Z])(?:(?i:{_THRONES}) [A-Z][a-z]+|(?i:{_MONARCHS}))) "
        rf"(?P<numeral>{n.ROMAN})(?: and (?P<second>{n.ROMAN}))?{_OWN}",
        _monarch,
        holds=_is_monarch,
    ),
    kind("book", rf"(?P<number>I{{2,3}}|[123](?= \w+\.? \d)) (?={_BOOKS})", _book),
    kind("numeral", r"(?<![\w'])I(?=(?:,? (?:and|or|to) |, |[-–])II\b)", lambda match: "one"),
    kind(
        "heir",
        r"(?<=[a-z.] )(?P<numeral>III|IV)(?P<own>'s)?(?![\w-])",
        lambda match: f"the {n.ordinal(_value(match['numeral']))}{match['own'] or ''}",
        holds=_is_heir,
    ),
    kind(
        "numeral",
        rf"(?<![\w'])(?P<numeral>{n.ROMAN})(?:[-–](?P<until>{n.ROMAN})|(?P<suffix>st|nd|rd|th))?{_OWN}",
        _alone,
        holds=_is_alone,
    ),
)
