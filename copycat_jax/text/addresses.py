"""URLs, e-mail addresses and names of files: how they are written and what is said."""

import re

from copycat_jax.text import numbers as n
from copycat_jax.text.grammar import kind
from copycat_jax.text.pronunciation import is_known

_TLDS = "com|org|net|edu|gov|mil|int|io|co|ai|dev|app|info|uk|us|de|fr|ca|eu|ch|nl|au|nz|jp"
_DOMAIN = rf"\b(?:[\w-]+\.)+(?:{_TLDS})\b(?!\.\w)"
_ADDRESS = (
    rf"(?:(?:https?|ftp)://|www\.)[^\s']+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|{_DOMAIN}(?::\d+)?(?:[/?#][^\s']*)?(?!\w)"
)
_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "~": "tilde", "%": "percent", "+": "plus",
}  # fmt: skip
_ENDINGS = (
    "txt|md|pdf|docx?|xlsx?|pptx?|csv|tsv|json|xml|ya?ml|toml|html?|css|js|ts|py|ipynb|c|h|cpp|rs|go|java|rb|sh|exe|dll|"
    "zip|gz|tar|7z|rar|iso|jpe?g|png|gif|svg|bmp|tiff?|mp3|mp4|wav|flac|ogg|avi|mov|mkv|log|cfg|ini|sql|epub"
)
_SPELLED = frozenset(("www", "uk", "us", "eu", "au", "nz", "py", "io", "ai", "md", "js", "ts", "rs", "rb", "sh", "bbc"))


def _address(match: re.Match) -> str:
    """An address as people read it aloud, without the protocol."""
    return _spoken(re.sub(r"^(?:https?|ftp)://|/$", "", match["address"], flags=re.I)) + (match["own"] or "")


def _file(match: re.Match) -> str:
    return _spoken(match[0])


def _spoken(address: str) -> str:
    said = []
    for piece in re.findall(r"[A-Za-z]+|\d+|.", address):
        if piece.isdigit():
            said.append(n.digits(piece) if len(piece) > 2 or piece[0] == "0" else n.cardinal(int(piece)))
        elif piece.isalpha():
            said.append(_name(piece))
        else:
            said.append(_SIGNS.get(piece, ""))
    return " ".join(said)


def _name(letters: str) -> str:
    """A word as one, else its letters by their names."""
    lower = letters.lower()
    word = len(letters) > 1 and lower not in _SPELLED and (re.search("[aeiouy]", lower) or is_known(lower))
    return lower if word else " ".join(letters.upper())


KINDS = (
    kind(
        "address",
        rf"(?P<address>(?:{_ADDRESS})(?<![.,;:!?)\]'\"]))(?P<own>'s)?",
        _address,
        holds=lambda match: bool(re.search("[a-z]{2}", match[0])),
    ),
    kind("file", rf"\b[\w-]*[A-Za-z_]\w[\w-]*(?:\.[\w-]+)*\.(?:{_ENDINGS})\b(?!\.\w)", _file),
)
