"""Choosing for a paragraph: linguistic similarity against the acoustic distance from one sentence to the next.

Tyagi et al., section 3: for sentence i take the bank entry k that minimises

    LSW (1 - LS(i, k)) + (1 - LSW) D(k, the entry chosen for sentence i - 1),

D the Euclidean distance between the entries' embeddings in a 2-D PCA (fitted on the bank's means here; the paper does
not say on what), D = 0 for a paragraph's first sentence, LSW = 0.9. The paper's rule is greedy. `best_path` minimises
the sum of the same loss over the whole paragraph exactly, every entry a candidate for every sentence. What makes that
cheap is the triangle inequality: if entry j with its way there costs less than entry k by at least the distance between
the two, whatever follows k follows j as cheaply. The few entries that no other dominates so are the only ones to come
from. Where even they are more than BEAM, the cheapest are taken, and `path_bound` bounds what that may cost.

D as the paper has it is in units of the latent space, so that LSW means something else in every space; divided by the
mean distance of two entries of the bank (`Plane.scale`) it means the same everywhere.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.errors import UserError

PAPER_LSW = 0.9
BEAM = 4096
_PAIRS = 1 << 22  # distances held in memory at once
EXACT_PAIRS = 5_000  # entries up to which the mean pairwise distance is taken over all pairs


class Plane(NamedTuple):
    """The two directions in which a bank's embeddings vary most.

    Attributes:
      components: orthonormal rows, the first with the larger variance; each one's largest weight is positive.
      mean: of the bank.
      positions: of the bank's entries.
      scale: the mean distance between two different entries; 1 where all lie in one place.
    """

    components: Float[np.ndarray, "axes Z"]
    mean: Float[np.ndarray, " Z"]
    positions: Float[np.ndarray, "n 2"]
    scale: float

    def project(self, embeddings: Float[np.ndarray, "q Z"]) -> Float[np.ndarray, "q 2"]:
        """Positions of other embeddings in this plane."""
        return ((np.asarray(embeddings, np.float64) - self.mean) @ self.components.T).astype(np.float32)


class SweepRow(NamedTuple):
    """What the choices of one LSW cost, on average.

    Attributes:
      lsw: the linguistic weight.
      greedy_acoustic: mean D from a sentence's entry to the next one's, over all transitions; the paper's rule.
      greedy_linguistic: mean 1 - LS over all sentences.
      greedy_loss: mean loss of a sentence.
      exact_acoustic: the same of the best path.
      exact_linguistic: the same of the best path.
      exact_loss: the same of the best path.
    """

    lsw: float
    greedy_acoustic: float
    greedy_linguistic: float
    greedy_loss: float
    exact_acoustic: float
    exact_linguistic: float
    exact_loss: float


def fit_plane(means: Float[np.ndarray, "n Z"]) -> Plane:
    """Fits the 2-D PCA of a bank's means; the same bank gives the same plane, signs included."""
    means = np.asarray(means, np.float64)
    centre = means.mean(axis=0)
    offsets = means - centre
    _, vectors = np.linalg.eigh(offsets.T @ offsets)
    components = vectors.T[::-1][:2]
    if len(components) < 2:
        components = np.concatenate([components, np.zeros((2 - len(components), means.shape[1]))])
    largest = np.take_along_axis(components, np.argmax(np.abs(components), axis=1)[:, None], axis=1)
    components = components * np.where(largest < 0, -1.0, 1.0)
    positions = (offsets @ components.T).astype(np.float32)
    return Plane(components, centre, positions, _mean_pairwise(positions))


def greedy(
    similarity: Float[np.ndarray, "L n"],
    positions: Float[np.ndarray, "n 2"],
    lsw: float = PAPER_LSW,
    scale: float = 1.0,
) -> Int[np.ndarray, " L"]:
    """The paper's rule, sentence by sentence; equal losses go to the lowest index.

    Args:
      similarity: LS of every sentence of the paragraph with every entry; minus infinity bars an entry for a sentence.
      positions: of the entries in the plane.
      lsw: the linguistic weight, 0 to 1.
      scale: D is divided by it: 1 as in the paper, `Plane.scale` for scaled.

    Raises:
      UserError: lsw lies outside 0 to 1.
    """
    check_lsw(lsw)
    chosen: list[int] = []
    for row in np.asarray(similarity, np.float64):
        loss = _linguistic(row, lsw)
        if chosen:
            loss = loss + (1 - lsw) * _distance(positions, chosen[-1]) / scale
        chosen.append(int(np.argmin(loss)))
    return np.array(chosen, np.int32)


def best_path(
    similarity: Float[np.ndarray, "L n"],
    positions: Float[np.ndarray, "n 2"],
    lsw: float = PAPER_LSW,
    beam: int = BEAM,
    scale: float = 1.0,
) -> Int[np.ndarray, " L"]:
    """The path of least total loss of all (Viterbi); see the module for why every entry can be a candidate.

    Args: as of `greedy`, and
      beam: the most entries that lead on from one sentence to the next; where more might, the cheapest do, and
        `path_bound` says what the others may have saved.
    """
    first = greedy(similarity, positions, lsw, scale)
    if len(first) < 2:
        return first
    _, found = _walk(similarity, positions, lsw, beam, scale)
    # Equal but for rounding, greedy's is taken, so that its loss is never exceeded.
    better = path_loss(found, similarity, positions, lsw, scale) < path_loss(first, similarity, positions, lsw, scale)
    return found if better else first


def path_bound(
    path: Int[np.ndarray, " L"],
    similarity: Float[np.ndarray, "L n"],
    positions: Float[np.ndarray, "n 2"],
    lsw: float = PAPER_LSW,
    beam: int = BEAM,
    scale: float = 1.0,
) -> float:
    """By how much at most a path's total loss exceeds the least; 0 for `best_path`'s where its beam held all."""
    least, _ = _walk(similarity, positions, lsw, beam, scale, optimistic=True)
    return max(0.0, path_loss(path, similarity, positions, lsw, scale) - least)


def path_loss(
    path: Int[np.ndarray, " L"],
    similarity: Float[np.ndarray, "L n"],
    positions: Float[np.ndarray, "n 2"],
    lsw: float = PAPER_LSW,
    scale: float = 1.0,
) -> float:
    """The sum over a paragraph's sentences of LSW (1 - LS) + (1 - LSW) D / scale."""
    linguistic = _linguistic(np.asarray(similarity, np.float64)[np.arange(len(path)), path], lsw)
    return float(np.sum(linguistic) + (1 - lsw) * np.sum(steps(path, positions)) / scale)


def steps(path: Int[np.ndarray, " L"], positions: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " transitions"]:
    """The distance D from each chosen entry to the next one, L - 1 of them."""
    return np.linalg.norm(np.diff(np.asarray(positions, np.float64)[path], axis=0), axis=1)


def sweep(
    paragraphs: Iterable[Float[np.ndarray, "L n"]],
    positions: Float[np.ndarray, "n 2"],
    weights: Sequence[float],
    beam: int = BEAM,
    scale: float = 1.0,
) -> list[SweepRow]:
    """Acoustic and linguistic distance against LSW, of the greedy and of the exact path (the paper's Figure 2).

    Args:
      paragraphs: the similarity of each paragraph's sentences with the bank, looked at one after the other.
      positions: of the bank's entries.
      weights: the values of LSW.
      beam: of `best_path`.
      scale: what D is divided by in the loss and in the report.
    """
    weights = list(weights)
    totals = np.zeros((len(weights), 2, 3))
    transitions = sentences = 0
    for similarity in paragraphs:
        sentences += len(similarity)
        transitions += len(similarity) - 1
        for i, lsw in enumerate(weights):
            for j, choose in enumerate((greedy, functools.partial(best_path, beam=beam))):
                path = choose(similarity, positions, lsw, scale=scale)
                acoustic = float(steps(path, positions).sum()) / scale
                linguistic = float(np.sum(1 - similarity[np.arange(len(path)), path]))
                totals[i, j] += acoustic, linguistic, path_loss(path, similarity, positions, lsw, scale)
    if not sentences:
        raise UserError("no sentence to choose for", "sweep", "Give a text with sentences.")
    means = totals / np.array([max(transitions, 1), sentences, sentences])
    return [SweepRow(lsw, *(float(x) for x in row.ravel())) for lsw, row in zip(weights, means, strict=True)]


def shape_of(rows: Sequence[SweepRow]) -> dict[str, float | bool]:
    """Whether a sweep looks as the paper describes it: sound falls steeply at first, language is given up evenly.

    Args:
      rows: of `sweep`, any order of weights.

    Returns:
      For "greedy" and "exact": `X_monotone`, whether acoustic distance never rises and linguistic distance never falls
      as LSW falls (beyond a thousandth of its range); `X_early`, the share of the whole acoustic fall that is reached
      within the first third of the weights' range (the paper: 1.0 to 0.9 of 1.0 to 0.7).
    """
    rows = sorted(rows, key=lambda row: -row.lsw)
    lsw = np.array([row.lsw for row in rows])
    third = lsw[0] - (lsw[0] - lsw[-1]) / 3
    facts: dict[str, float | bool] = {}
    for name in ("greedy", "exact"):
        acoustic = np.array([getattr(row, f"{name}_acoustic") for row in rows])
        linguistic = np.array([getattr(row, f"{name}_linguistic") for row in rows])
        slack = 1e-3 * np.ptp(acoustic), 1e-3 * np.ptp(linguistic)
        facts[f"{name}_monotone"] = bool(
            (np.diff(acoustic) <= slack[0] + 1e-12).all() and (np.diff(linguistic) >= -slack[1] - 1e-12).all()
        )
        fall = acoustic[0] - acoustic[-1]
        early = acoustic[0] - float(np.interp(-third, -lsw, acoustic))
        facts[f"{name}_early"] = float(early / fall) if fall > 0 else 0.0
    return facts


def check_lsw(lsw: float) -> float:
    """Returns `lsw`; raises UserError unless it lies in 0 to 1."""
    if not 0 <= lsw <= 1:
        raise UserError(f"{lsw} is not a weight", "lsw", "Give a number from 0 (sound alone) to 1 (language alone).")
    return lsw


def _walk(
    similarity: np.ndarray, positions: np.ndarray, lsw: float, beam: int, scale: float, optimistic: bool = False
) -> tuple[float, Int[np.ndarray, " L"]]:
    """The least total loss and its path.

    With `optimistic`, entries beyond the beam lead on to everywhere without a distance, so that the total is no more
    than the least possible, and the path means nothing.
    """
    places = np.asarray(positions, np.float64) * ((1 - lsw) / scale)
    cost, entries, steps_back = np.zeros(0), [], []
    for row in np.asarray(similarity, np.float64):
        own = _linguistic(row, lsw)
        # Going another way costs at most the distance there and back.
        here = np.sort(np.concatenate(_undominated(own, 2 * places, beam)))
        if entries:
            leading, beyond = _undominated(cost, places[entries[-1]], beam)
            reached, which = _cheapest(cost[leading], places[entries[-1][leading]], places[here])
            steps_back.append(leading[which])
            left = cost[beyond[0]] if optimistic and len(beyond) else np.inf
            cost = np.minimum(reached, left) + own[here]
        else:
            cost = own[here]
        entries.append(here)
    path = [at := int(np.argmin(cost))]
    for back in reversed(steps_back):
        path.append(at := int(back[at]))
    return float(np.min(cost)), np.array([e[at] for e, at in zip(entries, path[::-1], strict=True)], np.int32)


def _undominated(
    cost: Float[np.ndarray, " n"], places: Float[np.ndarray, "n 2"], most: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " r"]]:
    """The entries that no cheaper one dominates, cheapest first, at most so many; and those beyond that may be more.

    An entry is dominated by another that costs less by at least the distance between the two.
    """
    order = np.argsort(cost, kind="stable")
    order, kept = order[np.isfinite(cost[order])], []
    while len(order) and len(kept) < most:
        entry, order = order[0], order[1:]
        kept.append(entry)
        order = order[cost[entry] + np.linalg.norm(places[order] - places[entry], axis=1) > cost[order]]
    return np.array(kept, np.int64), order


def _cheapest(
    cost: Float[np.ndarray, " k"], sources: Float[np.ndarray, "k 2"], places: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """For every place the least cost of a source and the way from there, and which source it is."""
    least, which = np.empty(len(places)), np.empty(len(places), np.int64)
    size = max(1, _PAIRS // len(sources))
    for start in range(0, len(places), size):
        here = places[start : start + size]
        total = cost + np.hypot(*(here[:, None, axis] - sources[None, :, axis] for axis in (0, 1)))
        which[start : start + size] = np.argmin(total, axis=1)
        least[start : start + size] = np.min(total, axis=1)
    return least, which


def _linguistic(similarity: np.ndarray, lsw: float) -> np.ndarray:
    """LSW (1 - LS), infinite where an entry is barred, whatever the weight."""
    return np.where(np.isneginf(similarity), np.inf, lsw * (1 - np.where(np.isneginf(similarity), 0, similarity)))


def _distance(positions: np.ndarray, entry: int) -> np.ndarray:
    return np.linalg.norm(np.asarray(positions, np.float64) - np.float64(positions[entry]), axis=1)


def _mean_pairwise(positions: np.ndarray) -> float:
    """Mean distance over all pairs of entries, or of a fixed sample of them in a large bank."""
    if len(positions) > EXACT_PAIRS:
        positions = positions[np.sort(np.random.default_rng(0).choice(len(positions), EXACT_PAIRS, replace=False))]
    total = sum(float(np.sum(_distance(positions, i))) for i in range(len(positions)))
    pairs = len(positions) * (len(positions) - 1)
    return total / pairs if total > 0 else 1.0
