"""How alike two sentences are: cosines of their linguistic vectors, and ways of putting several scores together.

Tyagi et al. compare sentences by the cosine of their syntactic distance vectors, by the cosine of their BERT vectors,
and by the plain mean of the two (section 2). They do not say how two distance vectors of different length are compared
(not stated in the paper), yet a cosine needs equal lengths. Our choice is to put zeros after the shorter one
("zero-pad"): its best matches are about as long as the query. The alternatives are named in `LENGTH_RULES` and measured
beside a selector that sees nothing but the length in `prosody_vae.selection.lengths`.

A score between float arrays here is always a cosine in [-1, 1]; a vector of zeros (a one-word sentence has the distance
vector [0]) is like nothing at all: its cosine with anything is 0.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.cosine import unit
from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    from prosody_vae.space.table import Distances

LENGTH_RULES = {
    "zero-pad": "zeros after the shorter vector (our choice; the paper is silent)",
    "truncate": "the longer vector is cut to the length of the shorter (favours short sentences)",
    "resample": "both stretched to 32 points by linear interpolation (blind to length)",
}
COMBINE = {
    "mean": "plain mean of the scores, as in the paper",
    "z": "each score's mean over the bank taken off and divided by its spread there, then the mean",
}
RESAMPLED_POINTS = 32


def check_named(name: str, known: Mapping[str, str] | Sequence[str], what: str) -> str:
    """Returns `name` if it is among the `known`; raises UserError with the nearest known name otherwise."""
    if name not in known:
        raise UserError(f"unknown {what} '{name}'", "", nearest(name, known) or f"Known: {', '.join(known)}.")
    return name


def widest(distances: "Distances") -> int:
    """The length in words of the longest row."""
    return int(np.max(row_lengths(distances), initial=0))


def row_lengths(distances: "Distances") -> Int[np.ndarray, " n"]:
    """The length in words of every row."""
    return np.diff(np.asarray(distances.offsets))


def pad_distances(vectors: Sequence[np.ndarray], width: int) -> Float[np.ndarray, "q width"]:
    """Distance vectors of any length with zeros after them, or cut, to `width` columns."""
    padded = np.zeros((len(vectors), width), np.float32)
    for row, vector in zip(padded, vectors, strict=True):
        row[: len(vector)] = vector[:width]
    return padded


def syntactic_rows(distances: "Distances", width: int, rule: str = "zero-pad") -> Float[np.ndarray, "n D"]:
    """Unit vectors of the bank whose dot products are the similarities under a rule that is linear in the vectors.

    Args:
      distances: the bank's distance vectors.
      width: number of columns kept under "zero-pad".
      rule: "zero-pad" or "resample"; "truncate" normalises each pair anew and has no such vectors.
    """
    if rule == "zero-pad":
        return unit(distances.padded(width))
    if rule == "resample":
        return unit(_resampled(np.asarray(distances.values), np.asarray(distances.offsets)))
    raise ValueError(f"rule {rule} is no inner product of fixed vectors")


def query_rows(vectors: Sequence[np.ndarray], width: int, rule: str = "zero-pad") -> Float[np.ndarray, "q D"]:
    """The queries' side of `syntactic_rows`: unit vectors of as many columns.

    A query longer than `width` keeps the norm of its whole length, so that what the bank does not have still counts
    against it.
    """
    if rule == "zero-pad":
        norms = np.array([np.linalg.norm(np.asarray(v, np.float32)) for v in vectors], np.float32)[:, None]
        return pad_distances(vectors, width) / np.where(norms > 0, norms, 1)
    if rule == "resample":
        return unit(_resampled(*_ragged(vectors)))
    raise ValueError(f"rule {rule} is no inner product of fixed vectors")


def syntactic_similarities(
    queries: Sequence[np.ndarray], distances: "Distances", rule: str = "zero-pad"
) -> Float[np.ndarray, "q n"]:
    """The cosine of every query's distance vector with every row of the bank, under one of the `LENGTH_RULES`.

    Args:
      queries: one distance vector per sentence, each of its own length in words.
      distances: the bank's.
      rule: how vectors of different length are compared.

    Raises:
      UserError: an unknown rule.
    """
    check_named(rule, LENGTH_RULES, "length rule")
    width = widest(distances)
    if rule != "truncate":
        return query_rows(queries, width, rule) @ syntactic_rows(distances, width, rule).T
    bank, lengths = distances.padded(width), row_lengths(distances)
    squares = np.pad(np.cumsum(bank**2, axis=1), ((0, 0), (1, 0)))
    rows = np.arange(len(bank))
    similarities = np.zeros((len(queries), len(bank)), np.float32)
    for row, query in zip(similarities, queries, strict=True):
        query = np.asarray(query, np.float32)[:width]
        common = np.minimum(len(query), lengths)
        own = np.concatenate([[0], np.cumsum(query**2)])[common]
        norm = np.sqrt(own * squares[rows, common])
        row[:] = (bank[:, : len(query)] @ query) / np.where(norm > 0, norm, 1)
    return similarities


def length_similarity(
    words: Int[np.ndarray, " q"], bank_words: Int[np.ndarray, " n"], lots: Float[np.ndarray, "q n"] | None = None
) -> Float[np.ndarray, "q n"]:
    """The length-only baseline: 1 for as many words, less by 1 / (the longest sentence) per word of difference.

    Args:
      words: of the queries.
      bank_words: of the bank.
      lots: numbers in [0, 1) that draw among entries equally near. Without them the lowest index would win, and a bank
        in some order (a corpus sorted by kind of sentence, say) would make of length more or less than it is.
    """
    words, bank_words = np.asarray(words), np.asarray(bank_words)
    longest = np.maximum(words, np.max(bank_words, initial=1))[:, None]
    apart = np.abs(words[:, None] - bank_words[None, :]) + (0 if lots is None else 0.5 * lots)
    return (1 - apart / longest).astype(np.float32)


def combine(scores: Mapping[str, Float[np.ndarray, "q n"]], how: str = "mean") -> Float[np.ndarray, "q n"]:
    """One score out of several: LS = (LS_bert + LS_syn) / 2 (Tyagi section 2.1.3), or the mean of their z-scores.

    Under "z" each query's scores are centred and divided by their spread over the bank, so that every score has an
    equal say whatever its range; a score that does not vary over the bank says nothing.

    Raises:
      UserError: an unknown way of combining.
    """
    check_named(how, COMBINE, "way of combining scores")
    parts = [np.asarray(score, np.float32) for score in scores.values()]
    if how == "z":
        parts = [_standardised(part) for part in parts]
    return sum(parts[1:], parts[0]) / np.float32(len(parts))


def variance_shares(scores: Mapping[str, Float[np.ndarray, "q n"]]) -> dict[str, float]:
    """How much of the variance of the scores' plain mean comes from each: cov(score, sum) / var(sum); they add up to 1.

    Variances are taken over the bank within a query, as a ranking sees them, and averaged over the queries.
    """
    centred = {
        name: np.float64(score) - np.mean(np.float64(score), axis=1, keepdims=True) for name, score in scores.items()
    }
    total = sum(centred.values())
    variance = float(np.mean(np.square(total)))
    return {name: float(np.mean(c * total)) / variance if variance else 0.0 for name, c in centred.items()}


def best(
    scores: Float[np.ndarray, "q n"], k: int, excluded: Int[np.ndarray, " e"] | None = None
) -> tuple[Float[np.ndarray, "q k"], Int[np.ndarray, "q k"]]:
    """The k highest of every row, highest first, equal ones by the lowest index; the slow, obvious top-k.

    `prosody_vae.selection.index` is the fast one for scores that are inner products.
    """
    scores = np.array(scores, np.float32)
    if excluded is not None and len(excluded):
        scores[:, excluded] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    return np.take_along_axis(scores, order, axis=1), order


def _standardised(scores: np.ndarray) -> np.ndarray:
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 1e-6, spread, np.inf)


def _ragged(vectors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in vectors])]).astype(np.int64)
    return np.concatenate([np.asarray(v, np.float32) for v in vectors] or [np.zeros(0, np.float32)]), offsets


def _resampled(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Every row of a ragged array at `RESAMPLED_POINTS` evenly spaced points from its first to its last value."""
    start, length = offsets[:-1, None], np.diff(offsets)[:, None]
    last = np.maximum(length - 1, 0)
    place = np.linspace(0, 1, RESAMPLED_POINTS, dtype=np.float64)[None, :] * last
    low = np.floor(place).astype(np.int64)
    high, share = np.minimum(low + 1, last), (place - low).astype(np.float32)
    full = np.append(np.asarray(values, np.float32), np.float32(0))  # an empty row reads something, then counts 0
    rows = (
        full[np.minimum(start + low, len(full) - 1)] * (1 - share)
        + full[np.minimum(start + high, len(full) - 1)] * share
    )
    return np.where(length > 0, rows, 0).astype(np.float32)
