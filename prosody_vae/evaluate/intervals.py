"""From measures per sentence to figures of a system: intervals, correlations with their null, paired t-tests.

Intervals are 95 % bootstrap intervals over sentences (takes of one sentence are drawn together). The *null* of a figure
is what the same picks (of a system that draws, its first ones) give when they are dealt to the sentences at random: it
keeps which entries a system likes and takes away for what it likes them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.evaluate.statistics import Estimate, bootstrap_interval, paired_t_holm
from prosody_vae.evaluate.measures import PROSODY, LabelledBank, Scores, Test, questions, rise_hits, same_label

CATEGORIES = ("wh", "orq", "compound", "complex", "yn", "list", "neutral")  # the paper's Table 2, and ours
PerSentence: TypeAlias = Float[np.ndarray, " q"]
MIN_SENTENCES = 4  # fewer say nothing about a correlation


def ranks(values: PerSentence) -> PerSentence:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2.0)[inverse]


def pearson(a: PerSentence, b: PerSentence) -> float:
    """Pearson correlation over the sentences both have; NaN below `MIN_SENTENCES` of them or if either is constant."""
    kept = np.isfinite(a) & np.isfinite(b)
    if kept.sum() < MIN_SENTENCES or np.ptp(a[kept]) < 1e-9 or np.ptp(b[kept]) < 1e-9:
        return float("nan")
    x, y = a[kept] - a[kept].mean(), b[kept] - b[kept].mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def spearman(a: PerSentence, b: PerSentence) -> float:
    """Pearson correlation of the ranks."""
    kept = np.isfinite(a) & np.isfinite(b)
    return pearson(ranks(a[kept]), ranks(b[kept])) if kept.any() else float("nan")


def paired_interval(
    statistic: Callable[[PerSentence, PerSentence], float],
    a: Float[np.ndarray, "*d q"],
    b: PerSentence,
    clusters: Sequence[str],
    draws: int,
) -> Estimate:
    """Bootstrap interval of a statistic of two columns, whose rows are drawn together; its mean over several `a`."""
    a = np.atleast_2d(a)
    kept = np.flatnonzero(np.isfinite(a).any(axis=0) & np.isfinite(b))
    value = _mean(np.array([statistic(column, b) for column in a]))
    if not np.isfinite(value):
        return Estimate(value, np.nan, np.nan)

    def of_rows(rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(np.int64)
        return np.asarray(np.mean([statistic(column[rows], b[rows]) for column in a]))

    with np.errstate(invalid="ignore"):
        return bootstrap_interval(kept.astype(np.float64), of_rows, [clusters[int(i)] for i in kept], draws=draws)


def permuted(
    statistic: Callable[[np.ndarray], float], count: int, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """(mean, 97.5 % point) of `statistic(order)` over random orders of `count` sentences; NaN draws are left out."""
    rng = np.random.default_rng(seed)
    found = np.array([statistic(rng.permutation(count)) for _ in range(draws)], np.float64)
    found = found[np.isfinite(found)]
    return (float(found.mean()), float(np.quantile(found, 0.975))) if len(found) else (float("nan"), float("nan"))


def figures_of(scores: Scores, bank: LabelledBank, test: Test, draws: int = 1000) -> dict[str, Any]:
    """All figures of one system, ready for JSON: {figure: {value, low, high, and where it has one null, null_high}}.

    Figures: `hit`, `category_hit`, `distance`, `regret`, `rise_hit`, and of each figure of prosody `pearson_NAME`,
    `spearman_NAME` and `rmse_NAME`.
    """
    clusters, count, asked = test.clusters, len(test.ids), questions(test)
    figures: dict[str, Any] = {}
    for name in ("hit", "category_hit", "distance", "regret", "rise_hit"):
        figures[name] = bootstrap_interval(getattr(scores, name), clusters=clusters, draws=draws)._asdict()
    for k, name in enumerate(PROSODY):
        chosen, true = scores.prosody[..., k], test.prosody[:, k]
        figures[f"pearson_{name}"] = paired_interval(pearson, chosen, true, clusters, draws)._asdict()
        figures[f"spearman_{name}"] = paired_interval(spearman, chosen, true, clusters, draws)._asdict()
        figures[f"rmse_{name}"] = paired_interval(_rmse, chosen, true, clusters, draws)._asdict()
        _add_null(figures[f"pearson_{name}"], lambda o, c=chosen[0], t=true: pearson(c[o], t), count, draws)
    true_rise = test.prosody[:, PROSODY.index("final_rise_st")]
    rise = scores.prosody[0, :, PROSODY.index("final_rise_st")]
    _add_null(figures["rise_hit"], lambda o: _mean(rise_hits(rise[o], true_rise, asked)), count, draws)
    if (scores.picks >= 0).any():
        for name, labels, wanted in (
            ("hit", bank.styles, test.styles),
            ("category_hit", bank.categories, test.categories),
        ):
            codes = np.array([labels[i] if i >= 0 else "" for i in scores.picks[0]], object)
            _add_null(figures[name], lambda o, c=codes, w=wanted: _mean(same_label(c[o], w)), count, draws)
    return figures


def by_category(values: PerSentence, test: Test, draws: int = 1000) -> dict[str, dict[str, float]]:
    """Mean of a measure in each category, in the order of the paper's Table 2, then over `all`, with intervals."""
    found = [c for c in CATEGORIES if c in test.categories]
    found += sorted({c for c in test.categories if c} - set(found))
    table = {}
    for category in found:
        rows = [i for i, c in enumerate(test.categories) if c == category]
        clusters = [test.clusters[i] for i in rows]
        table[category] = bootstrap_interval(values[rows], clusters=clusters, draws=draws)._asdict()
    table["all"] = bootstrap_interval(values, clusters=test.clusters, draws=draws)._asdict()
    return table


def t_tests(scores: Mapping[str, PerSentence], against: str, test: Test) -> dict[str, dict[str, float]]:
    """The paper's paired t-tests of every system against one, on sentence means, corrected together by Holm.

    Args:
      scores: system -> measure per sentence, more = better (such as the negative distance).
      against: the system that all others are compared with.
      test: the sentences; takes of one are averaged first, since a t-test takes its samples for independent.
    """
    names = list(dict.fromkeys(test.clusters))
    place = np.array([names.index(c) for c in test.clusters])

    def per_sentence(values: PerSentence) -> Float[np.ndarray, " s"]:
        kept = np.isfinite(values)
        total = np.bincount(place[kept], values[kept], len(names))
        counts = np.bincount(place[kept], minlength=len(names))
        return total / np.where(counts > 0, counts, np.nan)

    base = per_sentence(scores[against])
    tests = paired_t_holm({n: (per_sentence(v), base) for n, v in scores.items() if n != against})
    return {name: result._asdict() for name, result in tests.items()}


def _rmse(a: PerSentence, b: PerSentence) -> float:
    gap = (a - b)[np.isfinite(a) & np.isfinite(b)]
    return float(np.sqrt(np.mean(gap**2))) if len(gap) else float("nan")


def _mean(values: PerSentence) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _add_null(figure: dict[str, float], statistic: Callable[[np.ndarray], float], count: int, draws: int) -> None:
    if np.isfinite(figure["value"]):
        figure["null"], figure["null_high"] = permuted(statistic, count, draws)
