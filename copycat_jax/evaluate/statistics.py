"""How sure a figure is: bootstrap intervals, and paired comparisons corrected for their number.

Clips are crossed: each says one of few sentences and stems from one of few sources, and a claim is about others of
both. `crossed_weights` therefore resamples both at once, independently (Owen 2007, "The pigeonhole bootstrap", Annals
of Applied Statistics 1): a clip counts as often as its sentence was drawn times as often as its source was. The papers'
tests take clips for independent; they are printed beside, as theirs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.errors import UserError

Sample: TypeAlias = Float[np.ndarray, " _"]  # of two samples, each its own length: pairing is checked, not assumed


class Estimate(NamedTuple):
    """An estimate with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: Sample,
    statistic: Callable[..., np.ndarray] = np.mean,
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap interval of a statistic; NaN values are left out.

    Args:
      values: one figure per clip.
      statistic: np.mean, np.median, ...: takes an array and returns its statistic.
      clusters: clips of one cluster (sentence, speaker) are drawn together: they are not independent.
      level: coverage.
      draws: bootstrap samples.
      seed: the interval is a function of its arguments alone.

    Returns:
      The statistic of all values, and its interval; NaN without any value.
    """
    values = np.asarray(values, np.float64)
    keep = np.isfinite(values)
    names = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    values, names = values[keep], names[keep]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    parts = [values[names == name] for name in dict.fromkeys(names.tolist())]
    rng = np.random.default_rng(seed)
    if all(len(p) == 1 for p in parts):
        figures = np.array([statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(draws)])
    else:
        picks = rng.integers(0, len(parts), (draws, len(parts)))
        figures = np.array([statistic(np.concatenate([parts[i] for i in row])) for row in picks])
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistic(values)), float(low), float(high))


def crossed_weights(
    sentences: Sequence[str], sources: Sequence[str], draws: int = 2000, seed: int = 0
) -> Int[np.ndarray, "draws n"]:
    """How often each of n clips counts in each bootstrap sample of sentences and sources, both drawn with replacement.

    Samples in which no clip counts (few clusters, not fully crossed) are drawn again. Where all clips have one source,
    or each its own cluster, this is the bootstrap over sentences, or over clips, alone.

    Args:
      sentences: of every clip.
      sources: of every clip (the speaker of the recording that was transferred).
      draws: bootstrap samples.
      seed: the weights are a function of the arguments alone.
    """
    rng, codes = np.random.default_rng(seed), []
    for names in (sentences, sources):
        codes.append(np.unique(np.asarray(names, str), return_inverse=True)[1])
    if np.array_equal(*codes):  # one and the same clustering is drawn once
        codes = codes[:1]

    def drawn(count: int) -> np.ndarray:
        weights = np.ones((count, len(codes[0])), np.int64)
        for code in codes:
            size = int(code.max()) + 1
            weights *= rng.multinomial(size, np.full(size, 1 / size), count)[:, code]
        return weights

    if not len(codes[0]):
        return np.zeros((draws, 0), np.int64)
    weights = drawn(draws)
    while len(empty := np.flatnonzero(~weights.any(axis=1))):
        weights[empty] = drawn(len(empty))
    return weights


def resampled(
    values: Float[np.ndarray, "n *k"], weights: Int[np.ndarray, "draws n"], statistic: Callable[..., Any] = np.mean
) -> Float[np.ndarray, " draws"]:
    """A statistic of every bootstrap sample; NaN for one that holds no finite value.

    Args:
      values: a figure of each clip, or k of them (a row counts if all are finite).
      weights: of `crossed_weights`.
      statistic: takes an array of values, or of rows of k, and returns one number.
    """
    values = np.asarray(values, np.float64)
    kept = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    values, weights = values[kept], weights[:, kept]
    out, filled = np.full(len(weights), np.nan), weights.any(axis=1)
    if statistic is np.mean and values.ndim == 1:
        out[filled] = weights[filled] @ values / weights[filled].sum(axis=1)
    else:
        out[filled] = [statistic(np.repeat(values, row, axis=0)) for row in weights[filled]]
    return out


def interval(value: float, draws: Float[np.ndarray, " draws"], level: float = 0.95) -> Estimate:
    """An estimate with the percentile interval of its bootstrap samples; NaN bounds without any finite sample."""
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) if len(draws) else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high))


class SignedRank(NamedTuple):
    """A Wilcoxon signed-rank test.

    Attributes:
      clips: pairs compared; pairs without a difference are among them, and not in the statistic (Wilcoxon's rule).
      difference: the mean difference.
      statistic: the smaller of the sums of ranks of positive and of negative differences.
      p: two-sided.
      effect: matched-pairs rank-biserial correlation (Kerby 2014): (positive - negative) / all ranks; 1 = all gain.
      p_holm: p corrected over the declared family.
    """

    clips: int
    difference: float
    statistic: float
    p: float
    effect: float
    p_holm: float = math.nan


def signed_rank(name: str, a: Sample, b: Sample) -> SignedRank:
    """Wilcoxon signed-rank test of a - b, two-sided; clips with a NaN are left out.

    p is 1 where all differences are zero, NaN without clips: nothing was compared.

    Raises:
      UserError: scipy is missing, or the samples differ in length; `name` says whose.
    """
    try:
        from scipy.stats import rankdata, wilcoxon
    except ImportError:
        raise UserError("the Wilcoxon test needs scipy", remedy="pip install 'copycat-jax[eval]'") from None
    d = _differences(name, a, b)
    if not len(d):
        return SignedRank(0, math.nan, math.nan, math.nan, math.nan)
    unequal = d[d != 0]
    if not len(unequal):
        return SignedRank(len(d), 0.0, 0.0, 1.0, 0.0)
    statistic, p = (float(x) for x in np.asarray(wilcoxon(d)))
    ranks = rankdata(np.abs(unequal))
    effect = float((ranks * np.sign(unequal)).sum() / ranks.sum())
    return SignedRank(len(d), float(d.mean()), statistic, p, effect)


class PairedT(NamedTuple):
    """A paired t-test: mean difference, t, degrees of freedom, two-sided p, p corrected by Holm, and Cohen's d_z.

    d_z is the mean difference over the standard deviation of the differences (Cohen 1988); infinite where all clips
    gain the same, 0 where none gains.
    """

    difference: float
    t: float
    freedom: int
    p: float
    p_holm: float
    d_z: float = math.nan


class NonInferiority(NamedTuple):
    """Is one system worse than another by less than a margin?

    Attributes:
      difference: mean of (system - other), higher = better.
      low: the one-sided 95 % confidence bound below it.
      margin: how much worse would still be called "not worse"; in the figure's own units, stated before measuring.
      shown: whether `low` lies above -margin.
    """

    difference: float
    low: float
    margin: float
    shown: bool


def non_inferiority(
    difference: float, draws: Float[np.ndarray, " draws"], margin: float, level: float = 0.95
) -> NonInferiority:
    """Non-inferiority by the bootstrap samples of a difference (higher = better); not shown without any sample.

    Raises:
      UserError: the margin is not positive.
    """
    if not margin > 0:
        raise UserError(f"a margin of {margin}", "--margin", "Give a positive one, in points of the scale.")
    draws = draws[np.isfinite(draws)]
    low = float(np.quantile(draws, 1 - level)) if len(draws) else math.nan
    return NonInferiority(difference, low, margin, bool(low > -margin))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number by Holm's step-down rule; a dictionary in the same order."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    corrected, running = {}, 0.0
    for rank, name in enumerate(ordered):
        running = max(running, min(1.0, (len(ordered) - rank) * p_values[name]))
        corrected[name] = running
    return {name: corrected[name] for name in p_values}


def wilcoxon_holm(pairs: Mapping[str, tuple[Sample, Sample]]) -> dict[str, float]:
    """Wilcoxon signed-rank test of each named pair of samples, two-sided, corrected by Holm.

    Args:
      pairs: name -> (figures of one system, figures of another) clip by clip; clips with a NaN are left out.

    Returns:
      Corrected p-values; 1.0 where all differences are zero; a pair without clips has none and does not count.

    Raises:
      UserError: scipy is missing, or the two samples of a pair differ in length.
    """
    tests = {name: signed_rank(name, a, b) for name, (a, b) in pairs.items()}
    return holm({name: test.p for name, test in tests.items() if np.isfinite(test.p)})


def paired_t_holm(pairs: Mapping[str, tuple[Sample, Sample]]) -> dict[str, PairedT]:
    """Paired t-test of each named pair of samples, two-sided, corrected by Holm.

    Args:
      pairs: name -> (figures of one system, figures of another) clip by clip; clips with a NaN are left out.

    Returns:
      One `PairedT` a pair. Where all differences are equal t is 0 with p 1 (no difference) or infinite with p 0; with
      fewer than two clips both are NaN, and such a pair does not count in Holm's rule.

    Raises:
      UserError: scipy is missing, or the two samples of a pair differ in length.
    """
    try:
        from scipy.special import stdtr
    except ImportError:
        raise UserError("the t-test needs scipy", remedy="pip install 'copycat-jax[eval]'") from None
    raw = {}
    for name, (a, b) in pairs.items():
        d = _differences(name, a, b)
        if len(d) < 2:
            raw[name] = PairedT(float(d.mean()) if len(d) else np.nan, np.nan, max(len(d) - 1, 0), np.nan, np.nan)
            continue
        error, mean = d.std(ddof=1) / np.sqrt(len(d)), float(d.mean())
        if np.ptp(d) == 0:
            t = float(np.sign(mean) * np.inf) if mean else 0.0
        else:
            t = float(mean / error)
        p = float(2 * stdtr(len(d) - 1, -abs(t)))
        raw[name] = PairedT(mean, t, len(d) - 1, p, np.nan, t / math.sqrt(len(d)))
    corrected = holm({name: test.p for name, test in raw.items() if np.isfinite(test.p)})
    return {name: test._replace(p_holm=corrected.get(name, np.nan)) for name, test in raw.items()}


def _differences(name: str, a: Sample, b: Sample) -> np.ndarray:
    """What each clip gains, without those where either figure is not known; UserError for samples of other lengths."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise UserError(f"paired samples of {len(a)} and {len(b)} clips", name, "Compare the same clips.")
    return (a - b)[np.isfinite(a) & np.isfinite(b)]
