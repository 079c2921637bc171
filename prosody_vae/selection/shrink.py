"""Between one neighbour and the centroid: a mean of the nearest entries, pulled towards the centroid.

Not in the paper, whose two kinds of system are its limits: weight 0 is the centroid, k = 1 with weight 1 the single
most similar sentence. A single pick carries the whole variance of the bank, so that in squared error it beats the
centroid only where its correlation with the truth exceeds 0.5; averaging and shrinking cost expressiveness and buy
accuracy, and how much of each is best is fitted on sentences held out of the bank.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from prosody_vae.space.table import ProsodySpace

NEIGHBOURS = (1, 2, 4, 8, 16, 32, 64)
TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5, float("inf"))


class Shrink(NamedTuple):
    """How the nearest entries become one embedding: centroid + weight * (their weighted mean - centroid).

    Attributes:
      k: how many of the nearest.
      weight: 0 = the centroid, 1 = no shrinking.
      temperature: the nearest weigh softmax(similarity / temperature); infinity = all alike.
      by: the similarity it was fitted for and is used with.
    """

    k: int = 8
    weight: float = 0.5
    temperature: float = 0.1
    by: str = "both"


def shrunk(
    similarity: Float[np.ndarray, "q k"],
    means: Float[np.ndarray, "q k Z"],
    centroid: Float[np.ndarray, " Z"],
    shrink: Shrink,
) -> Float[np.ndarray, "q Z"]:
    """The embeddings made of each query's nearest entries.

    Args:
      similarity: of the nearest, best first; only the first `shrink.k` are used.
      means: their embeddings.
      centroid: what is pulled towards.
      shrink: how.
    """
    mean = _neighbourhood(similarity[:, : shrink.k], means[:, : shrink.k], shrink.temperature)
    return (centroid + shrink.weight * (mean - centroid)).astype(np.float32)


def fit_shrink(
    space: "ProsodySpace",
    similarity: Callable[[Int[np.ndarray, " h"]], Float[np.ndarray, "h n"]],
    held_out: Sequence[int] | Int[np.ndarray, " h"],
    by: str = "both",
    neighbours: Sequence[int] = NEIGHBOURS,
    temperatures: Sequence[float] = TEMPERATURES,
) -> Shrink:
    """Fits how many neighbours, how sharply weighted, and how far from the centroid, on sentences held out of the bank.

    For every k and temperature the weight of least squares has a closed form; the triple with the least squared
    distance to the held-out sentences' own embeddings wins, the first one listed if equal.

    Args:
      space: the bank; its held-out rows, and rows with one of their texts, are never chosen.
      similarity: indices of held-out sentences to their similarity with every row of the space.
      held_out: which rows are held out.
      by: the similarity's name, kept in the result.
      neighbours: the k to try.
      temperatures: the temperatures to try.

    Raises:
      UserError: nothing is held out, or nothing is left.
    """
    rows = np.asarray(held_out, np.int64)
    barred = _barred(space.texts, rows)
    if not len(rows) or barred.all():
        raise UserError(
            f"{len(rows)} of {len(barred)} entries held out, {int((~barred).sum())} left in the bank",
            "fit_shrink",
            "Hold out some sentences and leave some.",
        )
    means = np.asarray(space.mean, np.float32)
    centroid = means[~barred].mean(axis=0)
    scores = np.where(barred[None, :], -np.inf, similarity(rows))
    order = np.argsort(-scores, axis=1, kind="stable")[:, : min(max(neighbours), int((~barred).sum()))]
    nearest_scores = np.take_along_axis(scores, order, axis=1)
    nearest_means = means[order]
    target = means[rows] - centroid
    found, least = Shrink(1, 0.0, 1.0, by), float(np.sum(target**2))
    for k in sorted({min(k, order.shape[1]) for k in neighbours}):
        for temperature in temperatures if k > 1 else (1.0,):
            offset = _neighbourhood(nearest_scores[:, :k], nearest_means[:, :k], temperature) - centroid
            weight = float(np.clip(np.sum(offset * target) / max(float(np.sum(offset**2)), 1e-12), 0, 1))
            loss = float(np.sum((target - weight * offset) ** 2))
            if loss < least:
                found, least = Shrink(k, weight, temperature, by), loss
    return found


def _neighbourhood(similarity: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    relative = similarity - similarity.max(axis=1, keepdims=True)
    weights = np.exp(relative / temperature) if np.isfinite(temperature) else np.ones_like(relative)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.einsum("qk,qkz->qz", weights, means)


def _barred(texts: Sequence[str], held_out: np.ndarray) -> Bool[np.ndarray, " n"]:
    own = {texts[i] for i in held_out}
    return np.array([text in own for text in texts], bool)
