"""Choosing for a paragraph: linguistic similarity against the acoustic distance from one sentence to the next.

Tyagi et al., section 3: for sentence i take the bank entry k that minimises

    LSW (1 - LS(i, k)) + (1 - LSW) D(k, the entry chosen for sentence i - 1),

D the Euclidean distance between the entries' embeddings in a 2-D PCA (fitted on the bank's means here; the paper does
not say on what), D = 0 for a paragraph's first sentence, LSW = 0.9. The paper's rule is greedy. `best_path` minimises
the sum of the same loss over the whole paragraph exactly, over a candidate list per sentence that holds greedy's own
picks, so that its total never exceeds greedy's.

D as the paper has it is in units of the latent space, so that LSW means something else in every space; divided by the
mean distance of two entries of the bank (`Plane.scale`) it means the same everywhere.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from copycat_jax.errors import UserError

PAPER_LSW = 0.9
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
    k: int = 32,
    scale: float = 1.0,
) -> Int[np.ndarray, " L"]:
    """The path of least total loss (Viterbi) over each sentence's k most similar entries and greedy's own pick.

    Args: as of `greedy`, and
      k: candidates per sentence beside greedy's; with k = n the result is the best path of all.
    """
    similarity = np.asarray(similarity, np.float32)
    first = greedy(similarity, positions, lsw, scale)
    length, entries = similarity.shape
    if length < 2:
        return first
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, entries)].astype(np.int32)
    candidates = np.sort(np.concatenate([order, first[:, None]], axis=1), axis=1)
    rows = 2 ** (length - 1).bit_length()  # few shapes to compile; rows added at the end cost nothing
    emission = np.zeros((rows, candidates.shape[1]), np.float32)
    emission[:length] = _linguistic(np.take_along_axis(similarity, candidates, axis=1), lsw)
    place = np.zeros((rows, candidates.shape[1], 2), np.float32)
    place[:length] = np.asarray(positions, np.float32)[candidates] * np.float32((1 - lsw) / scale)
    picks = np.asarray(_viterbi(emission, place, np.arange(rows) < length))[:length]
    found = np.take_along_axis(candidates, picks[:, None], axis=1)[:, 0]
    # Viterbi sums in float32; of two paths that close, greedy's may be the better one by a rounding error.
    better = path_loss(found, similarity, positions, lsw, scale) < path_loss(first, similarity, positions, lsw, scale)
    return found if better else first


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
    k: int = 32,
    scale: float = 1.0,
) -> list[SweepRow]:
    """Acoustic and linguistic distance against LSW, of the greedy and of the exact path (the paper's Figure 2).

    Args:
      paragraphs: the similarity of each paragraph's sentences with the bank, looked at one after the other.
      positions: of the bank's entries.
      weights: the values of LSW.
      k: candidates of the exact path.
      scale: what D is divided by in the loss and in the report.
    """
    weights = list(weights)
    totals = np.zeros((len(weights), 2, 3))
    transitions = sentences = 0
    for similarity in paragraphs:
        sentences += len(similarity)
        transitions += len(similarity) - 1
        for i, lsw in enumerate(weights):
            for j, choose in enumerate((greedy, functools.partial(best_path, k=k))):
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


@jax.jit
def _viterbi(emission: Float[Array, "L K"], place: Float[Array, "L K 2"], real: Bool[Array, " L"]) -> Int[Array, " L"]:
    """Positions in the candidate lists along the path of least summed emission and distance; ties to the lowest.

    Rows that are not `real` come last and leave cost and path as they are.
    """
    kept = jnp.arange(emission.shape[1])

    def forward(cost, row):
        before, here, own, real = row
        total = cost[:, None] + jnp.sqrt(jnp.sum((before[:, None, :] - here[None, :, :]) ** 2, axis=2))
        came = jnp.where(real, jnp.argmin(total, axis=0), kept)
        return jnp.where(real, jnp.min(total, axis=0) + own, cost), came

    cost, came = jax.lax.scan(forward, emission[0], (place[:-1], place[1:], emission[1:], real[1:]))
    last = jnp.argmin(cost)
    first, rest = jax.lax.scan(lambda here, row: (row[here], here), last, came, reverse=True)
    return jnp.concatenate([first[None], rest])


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
