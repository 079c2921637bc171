"""Any text to the characters that the grammar knows: ASCII, a few signs, Greek letters. The one door to anyascii.

Characters without a shape of their own (soft hyphens, joiners, byte order marks) vanish, so that what they stand in
stays one word. Quotes, dashes, spaces, digits and letters are reduced to their plain forms. The rest, such as emoji
and words in other scripts, becomes a space and is reported.
"""

import html
import re
import unicodedata
from functools import cache

from copycat_jax.text.pronunciation import is_known

SIGNS = "£€¥¢₹₩₽₺₴₪₦₱₫฿₿‰°×÷±§¶≈≠≤≥√∞–—"
_FORMS = {
    **dict.fromkeys("’‘ʼ‛′＇´ʹʻʽˈ‵׳ꞌ՚❜᾿", "'"), **dict.fromkeys("“”„‟«»″‶＂", '"'), "‴": "'''",
    **dict.fromkeys("‐‑⁃−－", "-"), **dict.fromkeys("‒–", "–"), **dict.fromkeys("—―⸺⸻", "—"),
    **dict.fromkeys("º˚", "°"), **dict.fromkeys("⁄∕", "/"), "™": " ", **dict.fromkeys("∗⋅∙", "*"), "№": "No. ",
    "µ": "μ",
}  # fmt: skip
_SUPERSCRIPT = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_VULGAR = re.compile("[¼-¾⅐-⅞↉]")
_SOFT_BREAK = re.compile(r"\u00ad[^\S\n]*\n\s*")
_LINE_BREAK = re.compile(
    r"([A-Za-z]+)[-‐][^\S\n\r\u2028]*(?:\r?\n|\r|\u2028)[^\S\n\r]*([a-z]+|(?<=[A-Z]{2}[-‐]\n)[A-Z]{2,})"
)
_BACKTICK = re.compile("(?<=[A-Za-z])`(?=[A-Za-z])")
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2027")  # of no width, or only where a word may be divided
_GREEK_WORD = re.compile("[Ͱ-Ͽἀ-῾]{2,}")


def plain(text: str) -> str:
    """`text` in ASCII, `SIGNS` and single Greek letters; whatever cannot be spoken is a space.

    No two spaces follow each other; a plain text is its own plain form.
    """
    text = _GREEK_WORD.sub(" ", "".join(map(_plain, _composed(text))))
    return re.sub(" +", " ", _BACKTICK.sub("'", text))


def unspeakable(text: str) -> list[str]:
    """The runs of letters, digits and symbols of `text` that `plain` gives up, in order, each once."""
    composed = _GREEK_WORD.sub(lambda m: "\ufffd" * len(m[0]), _composed(text))
    kept = "".join(original if _is_lost(c) else " " for original, c in zip(_composed(text), composed, strict=True))
    return list(dict.fromkeys(kept.split()))


def _composed(text: str) -> str:
    """Entities and line breaks resolved, invisible characters out, fractions and powers on the line."""
    text = re.sub(r"&#?\w+;", lambda m: html.unescape(m[0]), text)
    text = _LINE_BREAK.sub(lambda m: rejoined(m[1], m[2]), _SOFT_BREAK.sub("", text))
    text = "".join(
        c for c in unicodedata.normalize("NFC", visible(text)) if unicodedata.category(c) not in ("Mn", "Me")
    )
    text = _SUPERSCRIPT.sub(lambda m: "^" + unicodedata.normalize("NFKC", m[0]), text)
    return _VULGAR.sub(lambda m: f" {unicodedata.normalize('NFKC', m[0])} ", text)


def visible(text: str) -> str:
    """`text` without characters that only say how others join or where lines may break (Unicode's category Cf)."""
    if text.isascii():
        return text
    return "".join(c for c in text if c.isascii() or not (unicodedata.category(c) == "Cf" or c in _FILLERS))


def rejoined(first: str, second: str) -> str:
    """A word divided at a line's end; a compound of two words keeps its hyphen."""
    divided = is_known((first + second).lower()) or not (is_known(first.lower()) and is_known(second.lower()))
    return first + ("" if divided else "-") + second


def _is_lost(character: str) -> bool:
    plain_form = character if character == "\ufffd" else _plain(character)
    return plain_form in (" ", "\ufffd") and unicodedata.category(character)[0] in "LNS"


@cache
def _plain(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    if character in _FORMS:
        return _FORMS[character]
    if character in SIGNS:
        return character
    if unicodedata.name(character, "").startswith("GREEK "):
        letter = unicodedata.normalize("NFKD", character)[0]  # without breathings
        return letter if "Ͱ" <= letter <= "Ͽ" else " "
    compatible = unicodedata.normalize("NFKC", character)
    if compatible != character:
        return "".join(map(_plain, compatible))
    if unicodedata.decimal(character, None) is not None:
        return str(unicodedata.decimal(character))
    return fold(character) if unicodedata.name(character, "").startswith("LATIN ") else " "


def fold(text: str) -> str:
    """`text` with Latin letters in ASCII (naïve, Øre, œuvre, Þór), since the dictionaries have no others."""
    from anyascii import anyascii

    return anyascii(text)
