"""The phoneme inventory: ARPABET with stress, and the only place where an id has a meaning.

72 symbols in a fixed order, because ids are stored in corpora and bundles: padding, silence, a filler for noise or
unintelligible speech, 24 consonants, then 15 vowels in three degrees of stress (0 none, 1 primary, 2 secondary).
"""

from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np

from copycat_jax.errors import UserError, nearest

PAD = "PAD"
SIL = "SIL"
SPN = "SPN"
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
STRESSES = ("0", "1", "2")
INVENTORY = (PAD, SIL, SPN, *CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in STRESSES))
PAD_ID, SIL_ID, SPN_ID = 0, 1, 2
SILENCES = frozenset((SIL, SPN))

_IDS = {symbol: i for i, symbol in enumerate(INVENTORY)}
_VOWELS = frozenset(VOWELS)


def to_ids(symbols: Iterable[str]) -> np.ndarray:
    """Ids of `symbols` as int32 [P]; raises UserError for a symbol outside the inventory."""
    symbols = list(symbols)
    for symbol in symbols:
        if symbol not in _IDS:
            raise UserError(f"unknown phoneme '{symbol}'", remedy=nearest(symbol, INVENTORY) or "See phonemes.txt.")
    return np.array([_IDS[symbol] for symbol in symbols], dtype=np.int32)


def to_symbols(ids: Iterable[SupportsIndex]) -> list[str]:
    """Symbols of `ids`; inverts `to_ids`. Raises UserError for an id outside the inventory."""
    ids = [int(i) for i in ids]
    for i in ids:
        if not 0 <= i < len(INVENTORY):
            raise UserError(f"phoneme id {i} is outside 0..{len(INVENTORY) - 1}")
    return [INVENTORY[i] for i in ids]


def base(symbol: str) -> str:
    """`symbol` without its stress digit."""
    return symbol.rstrip("012")


def is_vowel(symbol: str) -> bool:
    """Whether `symbol` is a vowel, with or without its stress digit."""
    return base(symbol) in _VOWELS


def is_phone(symbol: str) -> bool:
    """Whether `symbol` may stand inside a word: a consonant, or a vowel with stress."""
    return symbol in _IDS and symbol not in (PAD, SIL, SPN)


def stress_digits(phones: Sequence[str]) -> list[str]:
    """The stress digit of each vowel of `phones`, in order ("" where a vowel carries none)."""
    return [phone[len(base(phone)) :] for phone in phones if is_vowel(phone)]


def reattach_stress(phones: Sequence[str], reference: Sequence[str] | None = None) -> tuple[str, ...]:
    """Puts stress digits on the vowels of `phones`, which may carry none.

    Digits come from `reference` by vowel index where it has as many vowels, else primary on the first vowel and
    none on the others.
    """
    count = sum(is_vowel(phone) for phone in phones)
    digits = stress_digits(reference) if reference is not None else []
    if len(digits) != count or "" in digits:
        digits = ["1"] + ["0"] * (count - 1)
    following = iter(digits)
    return tuple(base(phone) + next(following) if is_vowel(phone) else phone for phone in phones)
