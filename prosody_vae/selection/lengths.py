"""What the rule for vectors of different length does to the choice, measured on real sentences.

A cosine of distance vectors sees length as well as structure: longer sentences hold larger numbers, and zeros stand for
what one of two lacks. So every rule is shown beside a selector that sees the number of words and nothing else, and its
similarity is related to a property of the sentences ("the same kind of sentence") *given both lengths*: within every
pair of lengths the means are taken off before the correlation, so that whatever length alone could explain is gone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from prosody_vae.selection import scores
from prosody_vae.selection.ties import TIE_TOLERANCE

if TYPE_CHECKING:
    from prosody_vae.space.table import Distances

LENGTH_ONLY = "length-only"


class LengthRow(NamedTuple):
    """What one rule chooses.

    Attributes:
      rule: a name of `scores.LENGTH_RULES`, or "length-only".
      random: mean similarity of a query with an entry drawn at random, that is with all of them.
      best: mean similarity of a query with its best entry.
      ratio: words of the best entry over words of the query: lower quartile, median, upper quartile.
      hit: share of queries whose best entry is of their own kind; where entries tie, the mean over the tied ones.
      chance: the same for an entry drawn at random.
      hit_given_length: the same for an entry drawn at random among those as long as the best one.
      correlation: of similarity with being of the same kind, over all pairs.
      partial: that correlation given both lengths.
    """

    rule: str
    random: float
    best: float
    ratio: tuple[float, float, float]
    hit: float
    chance: float
    hit_given_length: float
    correlation: float
    partial: float


def length_rule_table(
    queries: Sequence[Int[np.ndarray, " _"]],
    distances: "Distances",
    query_kinds: Sequence[str],
    kinds: Sequence[str],
    seed: int = 0,
) -> list[LengthRow]:
    """Measures every rule of `scores.LENGTH_RULES` and the length-only selector.

    Args:
      queries: distance vectors of sentences that are not in the bank.
      distances: the bank's.
      query_kinds: what kind of sentence each query is.
      kinds: what kind of sentence each entry is.
      seed: of the lots by which the length-only selector chooses among entries equally near.
    """
    words, bank_words = np.array([len(q) for q in queries]), scores.row_lengths(distances)
    same = np.asarray(query_kinds)[:, None] == np.asarray(kinds)[None, :]
    lots = np.random.default_rng(seed).random(same.shape, np.float32)
    tables = {rule: scores.syntactic_similarities(queries, distances, rule) for rule in scores.LENGTH_RULES}
    tables[LENGTH_ONLY] = scores.length_similarity(words, bank_words)
    return [_row(rule, table, words, bank_words, same, lots) for rule, table in tables.items()]


def format_table(rows: Sequence[LengthRow]) -> str:
    """The rows as text."""
    lines = [
        f"{'rule':<12}{'random':>8}{'best':>8}   {'length of best / of query':<26}{'same kind':>10}{'chance':>8}"
        f"{'given len':>11}{'corr':>8}{'partial':>9}"
    ]
    for row in rows:
        low, median, high = row.ratio
        ratio = f"{median:.2f} ({low:.2f}-{high:.2f})"
        lines.append(
            f"{row.rule:<12}{row.random:>8.3f}{row.best:>8.3f}   {ratio:<26}{row.hit:>10.3f}{row.chance:>8.3f}"
            f"{row.hit_given_length:>11.3f}{row.correlation:>8.3f}{row.partial:>9.3f}"
        )
    return "\n".join(lines)


def partial_correlation(
    similarity: Float[np.ndarray, "q n"],
    same: Bool[np.ndarray, "q n"],
    words: Int[np.ndarray, " q"],
    bank_words: Int[np.ndarray, " n"],
) -> float:
    """Correlation of similarity and `same` over all pairs, given the lengths of both sentences."""
    cell = (words[:, None] * (int(bank_words.max()) + 1) + bank_words[None, :]).ravel()
    _, cell = np.unique(cell, return_inverse=True)
    count = np.bincount(cell)
    residuals = []
    for values in (np.float64(similarity).ravel(), np.float64(same).ravel()):
        residuals.append(values - (np.bincount(cell, values) / count)[cell])
    return _correlation(*residuals)


def _row(
    rule: str, table: np.ndarray, words: np.ndarray, bank_words: np.ndarray, same: np.ndarray, lots: np.ndarray
) -> LengthRow:
    highest = table.max(axis=1, keepdims=True)
    tied = table >= highest - TIE_TOLERANCE
    picks = np.argmax(np.where(tied, lots, -1), axis=1)
    ratio = np.quantile(bank_words[picks] / words, [0.25, 0.5, 0.75])
    as_long = bank_words[None, :] == bank_words[picks][:, None]
    return LengthRow(
        rule,
        float(table.mean()),
        float(highest.mean()),
        (float(ratio[0]), float(ratio[1]), float(ratio[2])),
        float(((same & tied).sum(axis=1) / tied.sum(axis=1)).mean()),
        float(same.mean()),
        float(((same & as_long).sum(axis=1) / as_long.sum(axis=1)).mean()),
        _correlation(np.float64(table).ravel(), np.float64(same).ravel()),
        partial_correlation(table, same, words, bank_words),
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / norm if norm > 1e-9 else 0.0
