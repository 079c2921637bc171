"""Entries that score alike: when they do, and which of them is taken.

Sentences of one construction share their tree, so that a syntactic score often names several entries: 49 % of the
shipped space's do so with one of them left out, nine entries in the median where any tie. Which is taken matters: the
kind of sentence is right for 0.77 of them by the lowest row, 0.85 by lot, 0.91 by the closest sentence vector.

A lot is drawn by the sentence and the entry's id and by nothing else, so that a sentence draws the same entry on every
machine and in any company, whatever the order of the bank. Nothing heavy is imported here: help texts name the rules.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np

TIE_TOLERANCE = 1e-6
"""Scores that differ by less are equal (of the largest magnitude where that exceeds 1).

Of the shipped space's cosines, those that are equal in exact arithmetic lie within 1.2e-7 in float32; the best one that
is not equal lies 7.5e-5 away.
"""


class Tied(NamedTuple):
    """Entries that score alike for one sentence.

    Attributes:
      text: the sentence.
      rows: of the entries, ascending.
      ids: theirs.
      closeness: cosines of their sentence vectors with the sentence's; None unless the rule reads "vectors".
    """

    text: str
    rows: "np.ndarray"
    ids: Sequence[str]
    closeness: "np.ndarray | None" = None


class TieRule(NamedTuple):
    """Which of several entries that score alike is taken.

    Attributes:
      about: what is taken.
      order: positions in `Tied.rows`, the one that is taken first.
      reads: analyses of the sentence that the order needs beside the score's own.
      averages: the embedding is the mean of all of them.
      draws: another lot would take another, so that a measure is a mean over lots.
    """

    about: str
    order: Callable[[Tied], Sequence[int]]
    reads: tuple[str, ...] = ()
    averages: bool = False
    draws: bool = False


def _as_they_lie(tied: Tied) -> Sequence[int]:
    return range(len(tied.rows))


def _by_lot(tied: Tied) -> Sequence[int]:
    lots = [hashlib.blake2b(f"{tied.text}\n{name}".encode(), digest_size=8).digest() for name in tied.ids]
    return sorted(range(len(lots)), key=lots.__getitem__)


def _by_vector(tied: Tied) -> Sequence[int]:
    assert tied.closeness is not None
    return sorted(range(len(tied.rows)), key=(-tied.closeness).__getitem__)


TIES = {
    "first": TieRule("the one that comes first in the space", _as_they_lie),
    "draw": TieRule("one drawn by lot, always the same for the same sentence", _by_lot, draws=True),
    "vector": TieRule("the one whose sentence vector is closest", _by_vector, reads=("vectors",)),
    "mean": TieRule("the mean of them all", _as_they_lie, averages=True),
}


def tie_rule(name: str) -> TieRule:
    """The rule of that name; raises UserError for an unknown one."""
    if name not in TIES:
        raise UserError(f"unknown rule for ties '{name}'", "", nearest(name, TIES) or f"Known: {', '.join(TIES)}.")
    return TIES[name]


def least_equal(best: float) -> float:
    """The lowest score that counts as equal to the best one."""
    return best - TIE_TOLERANCE * max(1.0, abs(best))
