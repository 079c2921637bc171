"""Systems on one suite, compared: figures with intervals, skill between floor and ceiling, and the declared tests.

Every interval is drawn from one set of bootstrap samples of the suite (`statistics.crossed_weights`: sentences and
sources), so that systems are compared on the same samples. The tests are CopyCat's, a two-sided Wilcoxon signed-rank
test for every pair of systems (section 3.2), clip by clip, with Holm's correction over the whole declared family: all
pairs of rivals times the metrics of `FAMILY` that the suite has. References (a copy, the truth through the vocoder) are
no members. Naturalness is asked another question, whether a system is not worse by a stated margin.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.evaluate.metrics import COLUMNS, METRICS, Metric, Row
from copycat_jax.evaluate.statistics import (
    Estimate,
    crossed_weights,
    holm,
    interval,
    non_inferiority,
    paired_t_holm,
    resampled,
    signed_rank,
)

# What is tested: melody against the truth (against the source where no truth is known), voice, words.
FAMILY = ("correlation", "source_correlation", "to_target", "word_errors")
NATURALNESS = "naturalness"
MARGIN = 0.1  # points of naturalness (of 1 to 5) that still count as "not worse"
FLOOR, CEILING = "average", "copy-synthesis"
LEAST_SPAN = 1e-3  # from floor to ceiling; below it no share of the way is told
# 1 = more is better. Figures that are best at a value between (a spread ratio) have no skill.
BETTER = {
    "correlation": 1,
    "gross": -1,
    "rmse": -1,
    "register": -1,
    "voicing_error": -1,
    "ffe": -1,
    "mcd": -1,
    "source_correlation": 1,
    "energy_correlation": 1,
    "to_target": 1,
    "nearest_is_target": 1,
    "wer": -1,
    "cer": -1,
    NATURALNESS: 1,
}

Scored = Mapping[str, Sequence[Row]]  # system -> its scored rows in the suite's order; `missing` where there is no clip


class Resamples(NamedTuple):
    """The bootstrap samples of a suite."""

    weights: Int[np.ndarray, "draws n"]

    def estimate(self, metric: Metric, values: np.ndarray) -> Estimate:
        """A metric of many clips, with its interval."""
        return interval(_figure(metric, values), self.figures(metric, values))

    def figures(self, metric: Metric, values: np.ndarray) -> Float[np.ndarray, " draws"]:
        """A metric of every bootstrap sample."""
        return resampled(values, self.weights, _ratio if metric.ratio else metric.reduce)


def resamples_of(rows: Sequence[Row], draws: int = 2000) -> Resamples:
    """Bootstrap samples of a suite; a row without a sentence or source is one of its own."""
    names = [
        [str(row.get(field) or f"{field} of row {i}") for i, row in enumerate(rows)]
        for field in ("sentence", "source_voice")
    ]
    return Resamples(crossed_weights(*names, draws=draws))


def compare(
    scored: Scored,
    references: Sequence[str],
    floor: str = FLOOR,
    ceiling: str = CEILING,
    margin: float = MARGIN,
    draws: int = 2000,
) -> dict[str, Any]:
    """All figures of a comparison, ready for `files.plain`.

    Args:
      scored: system -> its rows, all of one suite in one order.
      references: names of the systems that are no rivals.
      floor, ceiling: the systems between which `skill` lies; it is left out where one of them is absent.
      margin: of non-inferiority, in points of naturalness.
      draws: bootstrap samples.

    Returns:
      "figures": metric -> system -> value, low, high, clips, and where both ends are there floor, ceiling, skill,
      skill_low, skill_high on the clips that all three have; "tests": a row per pair of rivals and metric; "not_worse":
      a row per ordered pair of rivals; "family": what was corrected for; "margin".
    """
    samples = resamples_of(next(iter(scored.values())), draws)
    values = {
        metric.name: {system: values_of(metric, rows) for system, rows in scored.items()} for metric in METRICS.values()
    }
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for metric in COLUMNS:
        of_system = values[metric.name]
        for system, found in of_system.items():
            if not known(found).any():
                continue
            entry: dict[str, float] = dict(samples.estimate(metric, found)._asdict())
            entry["clips"] = int(known(found).sum())
            if {floor, ceiling} <= set(of_system) and system not in (floor, ceiling):
                entry |= skill(metric, samples, found, of_system[floor], of_system[ceiling])
            figures.setdefault(metric.name, {})[system] = entry
    rivals = [system for system in scored if system not in references]
    family = _family(values)
    return {
        "figures": figures,
        "family": family,
        "tests": tests_of(rivals, family, values, samples),
        "not_worse": not_worse(rivals, values.get(NATURALNESS, {}), samples, margin),
        "margin": margin,
        "floor": floor,
        "ceiling": ceiling,
        "draws": draws,
    }


def skill(
    metric: Metric, samples: Resamples, value: np.ndarray, floor: np.ndarray, ceiling: np.ndarray
) -> dict[str, float]:
    """(value - floor) / (ceiling - floor): 0 = no better than the floor, 1 = as good as the ceiling.

    On the clips that all three have, with the figures of both ends there; nothing where the ceiling is not better than
    the floor by `LEAST_SPAN` (a copy of the source is no floor of word errors), or `BETTER` knows no direction.
    """
    sign = BETTER.get(metric.name, 0)
    common = known(value) & known(floor) & known(ceiling)
    blank = np.where(_columns(common, value), value, np.nan)
    low, high = (np.where(_columns(common, end), end, np.nan) for end in (floor, ceiling))
    at, bottom, top = (_figure(metric, x) for x in (blank, low, high))
    if not sign * (top - bottom) > LEAST_SPAN:
        return {}
    drawn, ends = samples.figures(metric, blank), [samples.figures(metric, x) for x in (low, high)]
    span = ends[1] - ends[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(sign * span > LEAST_SPAN, (drawn - ends[0]) / span, np.nan)
    found = interval((at - bottom) / (top - bottom), shares)
    return {
        "floor": bottom,
        "ceiling": top,
        "skill": found.value,
        "skill_low": found.low,
        "skill_high": found.high,
        "skill_clips": int(common.sum()),
    }


def tests_of(
    rivals: Sequence[str], family: Sequence[str], values: Mapping[str, Mapping[str, np.ndarray]], samples: Resamples
) -> list[Row]:
    """The declared tests: a row per metric of the family and pair of rivals, corrected together."""
    rows = []
    for name, (a, b) in itertools.product(family, itertools.combinations(rivals, 2)):
        pair = values[name][a], values[name][b]
        gap = interval(np.nan, resampled(pair[0] - pair[1], samples.weights))
        test = signed_rank(f"{a}, {b}", *pair)
        d_z = paired_t_holm({"": pair})[""].d_z
        row = {"metric": name, "a": a, "b": b, "low": gap.low, "high": gap.high, "d_z": d_z}
        rows.append(row | test._asdict())
    corrected = holm({str(i): row["p"] for i, row in enumerate(rows) if math.isfinite(row["p"])})
    return [row | {"p_holm": corrected.get(str(i), math.nan)} for i, row in enumerate(rows)]


def not_worse(
    rivals: Sequence[str], naturalness: Mapping[str, np.ndarray], samples: Resamples, margin: float
) -> list[Row]:
    """Non-inferiority in naturalness of every rival to every other; nothing where it was not judged."""
    rows = []
    for a, b in itertools.permutations(rivals, 2) if naturalness else ():
        gap = naturalness[a] - naturalness[b]
        if np.isfinite(gap).any():
            found = non_inferiority(float(np.nanmean(gap)), resampled(gap, samples.weights), margin)
            rows.append({"a": a, "b": b, "clips": int(np.isfinite(gap).sum()), **found._asdict()})
    return rows


def values_of(metric: Metric, rows: Sequence[Row]) -> np.ndarray:
    """The figures of clips, float64 [n], or [n, 2] of a ratio: numerators, denominators; NaN where there is none."""
    names = metric.ratio or (metric.name,)
    columns = [METRICS[n].values([row if _number(row.get(n)) else {} for row in rows]) for n in names]
    return np.stack(columns, axis=1) if metric.ratio else columns[0]


def known(values: np.ndarray) -> np.ndarray:
    """Which clips have a figure: bool [n]."""
    return np.asarray(np.isfinite(values).reshape(len(values), -1).all(axis=1))


def _family(values: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """The metrics that are tested: those of FAMILY with figures; the source stands in only where there is no truth."""
    found = [n for n in FAMILY if n in values and any(known(v).any() for v in values[n].values())]
    return [n for n in found if n != "source_correlation" or "correlation" not in found]


def _figure(metric: Metric, values: np.ndarray) -> float:
    values = values[known(values)]
    return float((_ratio if metric.ratio else metric.reduce)(values)) if len(values) else math.nan


def _ratio(pairs: Float[np.ndarray, "n 2"]) -> float:
    below = pairs[:, 1].sum()
    return float(pairs[:, 0].sum() / below) if below else math.nan


def _columns(rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    return rows if like.ndim == 1 else rows[:, None]


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.number)
