"""How sure a figure is: bootstrap intervals, and paired comparisons corrected for their number."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

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


class PairedT(NamedTuple):
    """A paired t-test: mean difference, t, degrees of freedom, two-sided p, and p corrected by Holm."""

    difference: float
    t: float
    freedom: int
    p: float
    p_holm: float


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
      Corrected p-values; 1.0 where all differences are zero.

    Raises:
      UserError: scipy is missing, or the two samples of a pair differ in length.
    """
    try:
        from scipy.stats import wilcoxon
    except ImportError:
        raise UserError("the Wilcoxon test needs scipy", remedy="pip install 'copycat-jax[eval]'") from None
    raw = {}
    for name, (a, b) in pairs.items():
        d = _differences(name, a, b)
        raw[name] = float(np.asarray(wilcoxon(d))[1]) if np.any(d != 0) else 1.0
    return holm(raw)


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
        raw[name] = PairedT(mean, t, len(d) - 1, float(2 * stdtr(len(d) - 1, -abs(t))), np.nan)
    corrected = holm({name: test.p for name, test in raw.items() if np.isfinite(test.p)})
    return {name: test._replace(p_holm=corrected.get(name, np.nan)) for name, test in raw.items()}


def _differences(name: str, a: Sample, b: Sample) -> np.ndarray:
    """What each clip gains, without those where either figure is not known; UserError for samples of other lengths."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise UserError(f"paired samples of {len(a)} and {len(b)} clips", name, "Compare the same clips.")
    return (a - b)[np.isfinite(a) & np.isfinite(b)]
