"""What can be guessed from numbers about a clip: linear probes on frozen latents, and on prosody alone beside them.

A probe's accuracy says little by itself: rhythm and melody tell speakers apart, too, and are meant to be carried. What
latents tell beyond F0, energy and durations is leakage (after the probes of Qian et al. 2019, section 5.4, and others).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.evaluate.leakage import PENALTIES, folds_of

_PARTS = 3  # of a clip, whose means are features too: how it goes on


class Probe(NamedTuple):
    """How often a probe names the right class.

    Attributes:
      accuracy: share of held-out clips.
      low, high: its 95 % interval (Wilson 1927).
      chance: the share of the largest class: always guessing it does as well.
      clips, classes: how many.
      right: of every clip, whether it was named rightly: two probes of the same clips are compared clip by clip.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    clips: int
    classes: int
    right: tuple[bool, ...] = ()


class Paired(NamedTuple):
    """Two probes of the same clips.

    Attributes:
      only_first, only_second: clips that one of them alone names rightly.
      p: of McNemar's exact test, two-sided: are these equally many?
    """

    only_first: int
    only_second: int
    p: float


def summary(sequence: Float[np.ndarray, "T K"]) -> Float[np.ndarray, " F"]:
    """A sequence as one row: mean, deviation, mean step and the means of its thirds, of every column."""
    step = np.abs(np.diff(sequence, axis=0)).mean(axis=0) if len(sequence) > 1 else np.zeros(sequence.shape[1])
    thirds = [part.mean(axis=0) for part in np.array_split(sequence, min(_PARTS, len(sequence)))]
    thirds += [thirds[-1]] * (_PARTS - len(thirds))
    return np.concatenate([sequence.mean(axis=0), sequence.std(axis=0), step, *thirds])


def prosody_summary(
    f0_hz: Float[np.ndarray, " T"],
    energy: Float[np.ndarray, " T"],
    durations: Int[np.ndarray, " P"],
    levels: bool = False,
) -> Float[np.ndarray, " F"]:
    """F0, energy and durations of a clip as one row: what a perfect carrier of prosody would have to carry.

    F0 is log F0, without the clip's mean: a model moves the register. Energy likewise. With `levels` both means are
    there, which tell more of the speaker than of how something is said.
    """
    voiced = f0_hz > 0
    melody = np.log(f0_hz[voiced]) if voiced.any() else np.zeros(1)
    curves = [summary((x - x.mean())[:, None]) for x in (melody, energy.astype(np.float64))]
    shape = np.quantile(melody - melody.mean(), [0.05, 0.25, 0.75, 0.95])
    rhythm = np.log(np.maximum(durations, 1).astype(np.float64))
    means = [melody.mean(), energy.mean()] if levels else []
    rates = [voiced.mean(), len(durations) / len(f0_hz)]
    return np.concatenate([*curves, shape, summary(rhythm[:, None]), rates, means])


def probe(
    features: Float[np.ndarray, "N F"], labels: Sequence[str], groups: Sequence[str], folds: int = 5, seed: int = 0
) -> Probe:
    """Accuracy of a linear classifier (ridge regression on one column per class) on clips that it did not see.

    Args:
      features: a row a clip.
      labels: what is to be guessed, such as the speaker.
      groups: clips of one group (a sentence) lie in one fold.
      folds: at most the number of groups.
      seed: of the assignment to folds.

    The penalty is chosen within the training clips of each fold.
    """
    rows, names = np.asarray(features, np.float64), np.asarray(labels)
    classes, target = np.unique(names, return_inverse=True)
    columns = np.eye(len(classes))[target]
    fold = folds_of(np.asarray(groups), folds, seed)
    right = np.zeros(len(rows), bool)
    for k in range(fold.max() + 1):
        out = fold == k
        inner, errors = folds_of(np.asarray(groups)[~out], folds, seed + 1), np.zeros(len(PENALTIES))
        for j in range(inner.max() + 1):
            held = inner == j
            if not held.all():
                guessed = _guesses(rows[~out][~held], columns[~out][~held], rows[~out][held])
                errors += (guessed != target[~out][held]).sum(axis=1)
        best = int(np.argmin(errors))
        right[out] = _guesses(rows[~out], columns[~out], rows[out])[best] == target[out]
    low, high = wilson(int(right.sum()), len(right))
    chance = float(np.bincount(target).max() / len(target))
    return Probe(float(right.mean()), low, high, chance, len(right), len(classes), tuple(right.tolist()))


def paired(first: Probe, second: Probe) -> Paired:
    """McNemar's exact test of two probes of the same clips (McNemar 1947): by the binomial of where they disagree."""
    one, other = np.array(first.right, bool), np.array(second.right, bool)
    alone = int((one & ~other).sum()), int((other & ~one).sum())
    count = sum(alone)
    tail = sum(math.comb(count, k) for k in range(min(alone) + 1)) / 2**count
    return Paired(*alone, min(1.0, 2 * tail))


def wilson(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return float(middle - half), float(middle + half)


def _guesses(train: np.ndarray, columns: np.ndarray, test: np.ndarray) -> Int[np.ndarray, "penalties n"]:
    """The class guessed of every test row, for every penalty."""
    mean, scale, centre = train.mean(0), train.std(0) + 1e-8, columns.mean(0)
    u, s, vt = np.linalg.svd((train - mean) / scale, full_matrices=False)
    shrink = s / (s**2 + PENALTIES[:, None])
    seen, wanted = ((test - mean) / scale) @ vt.T, u.T @ (columns - centre)
    return np.argmax(np.einsum("ns,ps,sk->pnk", seen, shrink, wanted) + centre, axis=-1)
