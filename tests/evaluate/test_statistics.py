"""Intervals cover, shrink with data and respect clusters; corrected p-values are the textbook's."""

import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.evaluate.statistics import bootstrap_interval, holm, wilcoxon_holm


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
