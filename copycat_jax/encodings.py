"""Text files of others in whatever encoding they are in: UTF-8, UTF-16 and UTF-32, Windows-1252, Mac OS Roman.

The first three show by themselves. A text that is none of them is taken for English in one of the single-byte encodings
of Western Europe (ISO 8859-1 is a part of Windows-1252), which is a guess, and it is said.
"""

import codecs
import os
import re
import unicodedata
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError

_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig",
}  # fmt: skip
_WESTERN = {"cp1252": "Windows-1252", "mac_roman": "Mac OS Roman"}
_ZEROS = 0.3  # share of the bytes from which zeros in every second place are UTF-16's
_FOREIGN = 0.3  # share of the letters from which a text is hardly English
# What English does not have: a foreign capital within a word, or where quotes stand; a sign within a word.
_CAPITAL = "[À-ÖØ-ÞŒŠŽŸ]"
_UNLIKELY = re.compile(rf"(?<=[a-z.,!?]){_CAPITAL}|{_CAPITAL}(?=[A-Z][a-z])|(?<=[a-z])[^\w\s'’\-–—./&@](?=[a-z])")
_REMEDY = "Save it as UTF-8 text."


def read_text(path: str | os.PathLike, noun: str = "file") -> str:
    """The text of a file of others; its lines end in "\\n", however they ended.

    Raises:
      UserError: no such file, it cannot be read, or it is not text.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the {noun} cannot be read ({reason})", str(path), "Give a text file in UTF-8.") from error
    return decode_text(data, str(path), noun).replace("\r\n", "\n").replace("\r", "\n")


def decode_text(data: bytes, where: str, noun: str = "file") -> str:
    """The text that `data`, which is of `where`, encodes; a warning where the encoding is guessed.

    Raises:
      UserError: it is not text.
    """
    try:
        encoding = _shown(data)
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        text = "" if encoding else _guessed(data, where)
        if not text:
            raise UserError(f"the {noun} is not UTF-8 text (byte {error.start})", where, _REMEDY) from None
    if "\0" in text:
        raise UserError(f"the {noun} holds zeros, as no text does", where, "Give a text file in UTF-8.")
    return text


def _shown(data: bytes) -> str:
    """The encoding that a mark, or zeros in every second place, show; an empty string where nothing does."""
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if marked or len(data) % 2:
        return marked
    high, low = data[::2].count(0), data[1::2].count(0)
    if max(high, low) > _ZEROS * len(data) and min(high, low) == 0:
        return "utf-16-be" if high else "utf-16-le"
    return ""


def _guessed(data: bytes, where: str) -> str:
    """A text in the likeliest of the Western encodings; an empty string where none makes English of it."""
    texts = {}
    for name in _WESTERN:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        letters = [c for c in text if c.isalpha()]
        foreign = sum(not c.isascii() for c in letters) > _FOREIGN * len(letters)
        if not foreign and not any(unicodedata.category(c) == "Cc" and not c.isspace() for c in text):
            texts[name] = text
    if not texts:
        return ""
    best = min(texts, key=lambda name: len(_UNLIKELY.findall(texts[name])))
    if (guess := (os.path.dirname(where), best)) not in _told:
        _told.add(guess)
        console.warn(f"{where} is not UTF-8; it is read as {_WESTERN[best]}, and so are others beside it")
    return texts[best]


_told: set[tuple[str, str]] = set()  # folders and encodings, each once in a process
