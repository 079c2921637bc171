"""Intervals cover, shrink with data and respect clusters; corrected p-values are the textbook's."""

import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.evaluate.statistics import (
    bootstrap_interval,
    crossed_weights,
    holm,
    interval,
    non_inferiority,
    paired_t_holm,
    resampled,
    signed_rank,
    wilcoxon_holm,
)


def test_interval_is_reproducible_and_covers_the_mean():
    values = np.random.default_rng(0).normal(5, 1, 200)
    a, b = bootstrap_interval(values), bootstrap_interval(values)
    assert a == b and a.low < a.value < a.high and a.value == values.mean()
    assert a.high - a.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.2)


def test_clips_of_one_sentence_count_as_one():
    sentence = np.repeat(np.arange(10), 30)
    values = np.random.default_rng(1).normal(size=10)[sentence]
    free, clustered = bootstrap_interval(values), bootstrap_interval(values, clusters=[str(s) for s in sentence])
    assert clustered.high - clustered.low > 3 * (free.high - free.low)


def test_nan_is_left_out_and_nothing_gives_nan():
    assert bootstrap_interval(np.array([1, np.nan, 1])).value == 1
    assert np.isnan(bootstrap_interval(np.array([np.nan])).low)


def test_holm_steps_down_and_never_decreases():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8})["b"] == 1


def test_wilcoxon_sees_a_shift_and_not_a_copy():
    pytest.importorskip("scipy")
    a = np.random.default_rng(2).normal(size=60)
    p = wilcoxon_holm({"shift": (a + 0.3, a), "copy": (a, a), "nan": (np.where(a > 0, a, np.nan) + 0.1, a)})
    assert p["shift"] < 1e-6 and p["copy"] == 1 and p["nan"] < 0.01
    with pytest.raises(UserError, match="same clips"):
        wilcoxon_holm({"x": (a, a[:-1])})


def crossed(sentences=12, sources=5, by_sentence=1.0, by_source=1.0, noise=0.3, seed=3):
    """Values of a full crossing, with what each sentence and each source adds, and the names of both."""
    rng = np.random.default_rng(seed)
    sentence, source = (x.ravel() for x in np.indices((sentences, sources)))
    values = by_sentence * rng.normal(size=sentences)[sentence] + by_source * rng.normal(size=sources)[source]
    return values + noise * rng.normal(size=len(values)), [str(s) for s in sentence], [str(s) for s in source]


def test_a_crossed_sample_is_a_draw_of_sentences_times_a_draw_of_sources():
    _, sentence, source = crossed()
    weights = crossed_weights(sentence, source, draws=50)
    assert weights.shape == (50, 60) and np.array_equal(weights, crossed_weights(sentence, source, draws=50))
    for row in weights.reshape(50, 12, 5):
        assert row.sum() == 12 * 5  # all draws of sentences times all of sources
        assert np.linalg.matrix_rank(row) == 1
    one = crossed_weights(sentence, ["x"] * 60, draws=50)
    assert all(len(set(row.tolist())) == 1 for row in one.reshape(-1, 5)) and (one.sum(1) == 60).all()
    assert crossed_weights([], [], draws=3).shape == (3, 0)


def test_sources_widen_an_interval_that_sentences_alone_do_not_see():
    values, sentence, source = crossed(by_sentence=0.1, by_source=1.0)
    both = interval(values.mean(), resampled(values, crossed_weights(sentence, source)))
    alone = bootstrap_interval(values, clusters=sentence)
    assert both.high - both.low > 3 * (alone.high - alone.low)


def test_crossed_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(60):
        values, sentence, source = crossed(24, 12, seed=seed)
        low, high = interval(0, resampled(values, crossed_weights(sentence, source, 300)))[1:]
        held += low < 0 < high
    assert held >= 51  # 95 %, less what few clusters cost


def test_means_are_resampled_as_any_statistic_and_nan_counts_nowhere():
    values, sentence, source = crossed()
    values[::7] = np.nan
    weights = crossed_weights(sentence, source, 40)
    assert resampled(values, weights) == pytest.approx(resampled(values, weights, lambda v: v.mean()))
    ratio = resampled(np.stack([values, 2 * np.ones_like(values)], 1), weights, lambda v: v[:, 0].sum() / v[:, 1].sum())
    assert ratio == pytest.approx(resampled(values, weights) / 2)
    assert np.isnan(resampled(np.full(60, np.nan), weights)).all()
    assert np.isnan(interval(1.0, np.full(3, np.nan)).low)


def test_signed_rank_is_scipy_s_and_its_effect_hand_made():
    stats = pytest.importorskip("scipy.stats")
    a, b = np.random.default_rng(4).normal(size=(2, 40))
    found = signed_rank("x", a + 0.4, b)
    assert (found.statistic, found.p) == pytest.approx(tuple(stats.wilcoxon(a + 0.4, b)))
    # Differences 1, -2, 3, 4: ranks 1..4, 8 for and 2 against.
    assert signed_rank("x", np.array([1.0, -2, 3, 4]), np.zeros(4)).effect == pytest.approx((8 - 2) / 10)
    zeros = np.zeros(5)
    assert signed_rank("x", zeros, zeros)[:5] == (5, 0, 0, 1, 0)
    assert signed_rank("x", zeros * np.nan, zeros).clips == 0 and np.isnan(signed_rank("x", zeros * np.nan, zeros).p)
    assert signed_rank("one", np.array([2.0]), np.array([1.0])).p == 1


def test_paired_t_is_scipy_s_with_d_z():
    stats = pytest.importorskip("scipy.stats")
    a, b = np.random.default_rng(5).normal(size=(2, 40))
    found = paired_t_holm({"x": (a, b), "y": (a + 1, b)})
    assert (found["y"].t, found["y"].p) == pytest.approx(tuple(stats.ttest_rel(a + 1, b)))
    assert found["y"].d_z == pytest.approx((a + 1 - b).mean() / (a - b).std(ddof=1))
    assert paired_t_holm({"same": (a, a)})["same"].d_z == 0


def test_holm_is_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(6).uniform(size=9) ** 2
    ours = holm({str(i): float(x) for i, x in enumerate(p)})
    assert list(ours.values()) == pytest.approx(multitest.multipletests(p, method="holm")[1].tolist())


def test_not_worse_is_a_matter_of_margin_and_certainty():
    draws = np.random.default_rng(7).normal(-0.02, 0.04, 2000)
    assert non_inferiority(-0.02, draws, 0.1).shown and not non_inferiority(-0.02, draws, 0.05).shown
    assert non_inferiority(-0.02, draws, 0.1).low == pytest.approx(-0.02 - 1.645 * 0.04, abs=0.005)
    assert not non_inferiority(np.nan, np.full(9, np.nan), 0.1).shown
    with pytest.raises(UserError, match="positive"):
        non_inferiority(0.0, draws, 0.0)
