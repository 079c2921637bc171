"""Text to words with their pronunciations: a custom lexicon first, then dictionaries, then grapheme-to-phoneme."""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from copycat_jax import console
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError, nearest
from copycat_jax.text import pronunciation
from copycat_jax.text.normalize import Given, spoken_words, unspoken
from copycat_jax.text.phonemes import INVENTORY, is_phone, is_vowel


class Word(NamedTuple):
    """A spoken word: how it is written, and every pronunciation it may have, the likeliest first."""

    text: str
    variants: tuple[tuple[str, ...], ...]


class Lexicon(NamedTuple):
    """A user's own pronunciations: lower-case word to its variants. They replace those of the dictionaries."""

    entries: Mapping[str, tuple[tuple[str, ...], ...]]


def read_lexicon(path: str | os.PathLike) -> Lexicon:
    """Reads lines `word PH ON EMES`; several lines of one word are variants; "#" starts a comment line.

    Raises:
      UserError: the file cannot be read; a line without phonemes, a symbol outside the inventory or a word without a
        vowel, with the number of the line.
    """
    entries: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(read_text(path, "lexicon").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        word, *symbols = line.split()
        key = _as_spoken(word)
        if spoken_words(word, keep={key}) != [key]:
            raise UserError(
                f"'{word}' is not one spoken word",
                f"{path}:{number}",
                "Write letters and apostrophes; numbers as words.",
            )
        phones = parse_phones(symbols, f"{path}:{number}")
        entries.setdefault(key, []).append(phones)
    return Lexicon({word: tuple(dict.fromkeys(variants)) for word, variants in entries.items()})


def parse_phones(symbols: Sequence[str], where: str) -> tuple[str, ...]:
    """Checks the phonemes of one word; a vowel without stress gets some by rule. Raises UserError naming `where`."""
    phones = [symbol.upper() for symbol in symbols]
    for phone in phones:
        if not is_phone(phone) and not is_vowel(phone):
            known = INVENTORY[3:]
            raise UserError(f"unknown phoneme '{phone}'", where, nearest(phone, known) or f"Known: {' '.join(known)}.")
    if not any(is_vowel(phone) for phone in phones):
        raise UserError(f"a word needs a vowel, not '{' '.join(phones)}'", where, "Give ARPABET such as HH AH0 L OW1.")
    first = not any(phone[-1] in "12" for phone in phones if is_vowel(phone))
    for i, phone in enumerate(phones):
        if is_vowel(phone) and not phone[-1].isdigit():
            phones[i], first = phone + ("1" if first else "0"), False
    return tuple(phones)


def words_of(text: str, lexicon: Lexicon | None = None) -> list[Word]:
    """The spoken words of `text` with their pronunciations, in the order spoken.

    Inline phonemes, `{HH AH0 L OW1}`, are one word. A word for which no source knows a vowel is spelled out. What is
    not spoken (emoji, other scripts, unknown signs) is told on standard error, each once in a process.

    Raises:
      UserError: `text` is empty or holds nothing that can be spoken, or inline phonemes are not ARPABET.
    """
    if not text.strip():
        raise UserError("the text is empty", remedy="Give the words that are spoken.")
    own = lexicon.entries if lexicon else {}
    tokens = spoken_words(text, keep=own)
    if not tokens:
        raise UserError(f"nothing in the text '{_shortened(text)}' can be spoken", remedy="Give words, not symbols.")
    tell_unspoken(text)
    plain = [token for token in tokens if isinstance(token, str) and not _is_letter(token) and token not in own]
    known = iter(pronunciation.pronounce(plain)) if plain else iter(())
    words: list[Word] = []
    for token in tokens:
        if isinstance(token, Given):
            words.append(Word(token.text, (parse_phones(token.symbols, f"{{{token.text}}}"),)))
        elif token in own:
            words.append(Word(token, own[token]))
        elif _is_letter(token):
            words.append(_letter(token))
        else:
            variants = next(known)
            words += [Word(token, tuple(variants))] if variants else [_letter(c.upper()) for c in token if c.isalpha()]
    return words


def tell_unspoken(text: str, where: str = "") -> None:
    """Tells on standard error what of `text` is not spoken, each run of characters once in a process."""
    new = [run for run in unspoken(text) if run not in _told]
    if new:
        _told.update(new)
        shown = ", ".join(f"'{_shortened(run, 12)}'" for run in new[:5])
        place = f"{where}: " if where else ""
        console.warn(f"{place}{shown}{f' and {len(new) - 5} more' if len(new) > 5 else ''} will not be spoken")


_told: set[str] = set()


def _as_spoken(word: str) -> str:
    """`word` in lower case, its accents left out however they are encoded, its apostrophes straight."""
    letters = unicodedata.normalize("NFKD", word.lower().replace("’", "'"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _is_letter(token: str) -> bool:
    return len(token) == 1 and token.isupper()


def _letter(letter: str) -> Word:
    return Word(letter, (pronunciation.LETTERS[letter],))


def _shortened(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[:width]}..."
