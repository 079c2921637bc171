"""Whose voice is it: identity of results, speaker verification, and what an embedding gives away about melody.

Works on embeddings of any speaker encoder, one row each; cosine is the only similarity. The judge (GE2E) and our own
classifier are measured by the same functions.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.cosine import cosine, unit

Vectors: TypeAlias = Float[np.ndarray, "N E"]


def centroids(vectors: Vectors, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """The unit mean of the unit vectors of each label, in order of first appearance."""
    rows, names = unit(vectors, np.float64), np.asarray(labels)
    return {str(name): unit(rows[names == name].mean(axis=0), np.float64) for name in dict.fromkeys(labels)}


class Identity(NamedTuple):
    """One result's identity: cosines to the centroids of target and source, and the nearest of all voices."""

    to_target: float
    to_source: float
    nearest: str


def identify(vector: Float[np.ndarray, "E"], target: str, source: str, voices: Mapping[str, np.ndarray]) -> Identity:
    """Where a result's embedding lies among all voices.

    Args:
      vector: the result's embedding; for zeros (no speech in it) the nearest voice is "".
      target: the voice it should have.
      source: the voice whose recording was transferred; its cosine is NaN where `voices` lacks it.
      voices: centroid of every candidate, targets and sources alike.
    """
    names = list(voices)
    cosines = cosine(np.stack([voices[n] for n in names]), vector[None], np.float64)[:, 0]
    by_name = dict(zip(names, cosines, strict=True))
    nearest = names[int(np.argmax(cosines))] if np.any(vector) else ""
    return Identity(float(by_name.get(target, np.nan)), float(by_name.get(source, np.nan)), nearest)


def similarity_matrix(voices: Mapping[str, np.ndarray]) -> Float[np.ndarray, "V V"]:
    """Cosine of every voice's centroid with every other's, in the mapping's order."""
    rows = np.stack(list(voices.values()))
    return cosine(rows, rows, np.float64)


def equal_error_rate(same: Float[np.ndarray, "K"], different: Float[np.ndarray, "L"]) -> float:
    """The error rate at the threshold where misses and false alarms are equally frequent.

    Args:
      same: scores of pairs of one speaker, higher = more alike.
      different: scores of pairs of two speakers.

    Returns:
      A share in [0, 1]; 0.5 is chance. Where no threshold makes both rates equal, the mean at the closest one.
    """
    same, different = np.sort(np.asarray(same, np.float64)), np.sort(np.asarray(different, np.float64))
    thresholds = np.unique(np.concatenate([same, different]))
    misses = np.searchsorted(same, thresholds, side="left") / len(same)
    alarms = 1.0 - np.searchsorted(different, thresholds, side="left") / len(different)
    best = int(np.argmin(np.abs(misses - alarms)))
    return float((misses[best] + alarms[best]) / 2)


def verification_scores(vectors: Vectors, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs of one speaker and of all pairs of two speakers, for `equal_error_rate`."""
    rows, names = unit(vectors, np.float64), np.asarray(labels)
    upper = np.triu_indices(len(names), 1)
    cosines = (rows @ rows.T)[upper]
    alike = names[upper[0]] == names[upper[1]]
    return cosines[alike], cosines[~alike]


PENALTIES = np.logspace(-2, 6, 17)


def _ridge(train: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predictions [penalties, test rows] of ridge regression on standardised columns, one row per penalty."""
    mean, scale, centre = train.mean(0), train.std(0) + 1e-8, target.mean()
    u, s, vt = np.linalg.svd((train - mean) / scale, full_matrices=False)
    shrink = s / (s**2 + PENALTIES[:, None])
    weights = (shrink * (u.T @ (target - centre))) @ vt
    # No value beyond those seen: what a line says about voices far from all others means nothing.
    return np.clip(weights @ ((test - mean) / scale).T + centre, target.min(), target.max())


def folds_of(keys: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each row; rows of one key share theirs."""
    names, inverse = np.unique(keys, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names)))[inverse]


def predicted_share(
    vectors: Vectors,
    values: Float[np.ndarray, "N"],
    groups: Sequence[str] | Int[np.ndarray, "N"] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """How much of a quantity (mean log-F0, say) a linear map of the embedding predicts: R^2 by cross-validation.

    Args:
      vectors: embeddings [N, E].
      values: the quantity per row.
      groups: rows of one group stay in one fold (speakers: does it hold for voices never seen). None = rows at random.
      folds: number of folds, at most the number of groups.
      seed: of the assignment to folds.

    Returns:
      1 - residual / total sum of squares over all held-out rows: 1 = given away, 0 or below = nothing. The penalty is
      chosen within the training rows of each fold, by folds of the same kind (groups apart there too).
    """
    vectors, values = np.asarray(vectors, np.float64), np.asarray(values, np.float64)
    keys = np.arange(len(values)) if groups is None else np.asarray(groups)
    predicted, fold = np.empty(len(values)), folds_of(keys, folds, seed)
    for k in range(fold.max() + 1):
        out = fold == k
        rows, target, inner = vectors[~out], values[~out], folds_of(keys[~out], folds, seed + 1)
        errors = np.zeros(len(PENALTIES))
        for j in range(inner.max() + 1):
            held = inner == j
            if held.all():
                continue
            errors += np.sum((_ridge(rows[~held], target[~held], rows[held]) - target[held]) ** 2, axis=1)
        predicted[out] = _ridge(rows, target, vectors[out])[np.argmin(errors)]
    total = np.sum((values - values.mean()) ** 2)
    return float(1.0 - np.sum((values - predicted) ** 2) / total) if total > 0 else float("nan")


def within_groups(rows: Float[np.ndarray, "N ..."], groups: Sequence[str]) -> np.ndarray:
    """Rows minus their group's mean: what varies within a speaker, from one clip to the next.

    `predicted_share(within_groups(e, s), within_groups(f0, s))` asks whether an embedding hears the melody of a clip;
    without it R^2 is mostly that low and high voices differ.
    """
    rows, names = np.array(rows, np.float64), np.asarray(groups)
    for name in dict.fromkeys(groups):
        rows[names == name] -= rows[names == name].mean(axis=0)
    return rows
