import numpy as np
import pytest
from toy_task import toy_batch

from copycat_jax.train.mishaps import WINDOW, BadSteps, Jumps, Mishaps, rows_of_all


def test_bad_steps_are_counted_in_a_window():
    bad = BadSteps(2)
    assert not bad.add([5]) and not bad.add([]) and not bad.add([900])
    assert not bad.add([5 + WINDOW])  # the first is out of it
    assert bad.add([6 + WINDOW])
    assert BadSteps(0).add([3])
    assert BadSteps(1, earlier=[3]).add([4]) and not BadSteps(1, earlier=[3]).add([3 + WINDOW])


def window(losses):
    losses = np.asarray(losses, float)
    return float(losses.max()), float(losses.sum()), float((losses**2).sum()), len(losses)


def test_a_jump_is_told_and_noise_or_progress_is_not():
    rng, jumps = np.random.default_rng(0), Jumps()
    for i in range(60):
        level = 20.0 + 80.0 * np.exp(-i / 10)
        assert jumps.check(*window(level + rng.standard_normal(100))) == ""
    losses = level + rng.standard_normal(100)
    losses[7] = 60.0
    assert jumps.check(*window(losses)).startswith("the loss jumped to 60 (it was 2")
    assert jumps.check(*window(level + rng.standard_normal(100))) == ""


def test_nothing_is_a_jump_before_there_is_a_usual_or_where_nothing_was_counted():
    jumps = Jumps()
    assert jumps.check(*window([1.0, 1e6])) == ""
    assert jumps.check(-np.inf, 0.0, 0.0, 0.0) == ""  # all of the window's updates were discarded
    assert jumps.check(float("nan"), float("nan"), float("nan"), 3.0) == "" and np.isfinite(jumps.sum)


def test_rows_that_hold_what_is_not_finite():
    batch = toy_batch(0)
    batch.mel[2, 0, 0], batch.mel[5, 3, 1] = np.nan, np.inf
    index, wrong = rows_of_all(batch)
    assert index.tolist() == list(range(8)) and np.flatnonzero(wrong).tolist() == [2, 5]


@pytest.mark.parametrize("names", [(), [f"u{i}" for i in range(8)]])
def test_mishaps_are_named_by_their_utterances(names):
    def batches(step):
        return toy_batch(step, poison=3)

    mishaps = Mishaps("model", 2, batches, names)
    empty = {"peak": (-np.inf, -1, 0.0), "terms": {"loss/model": (0.0, 0.0)}}
    told = list(mishaps.check({"bad": (2, np.array([1, 3, -1])), **empty}))
    assert [m.step for m in told] == [1, 3] and not mishaps.too_many
    assert all(m.utterances == list(names) for m in told)
    assert told[0].message.endswith("its batch: u0, u1, u2, u3 and 4 more" if names else "is discarded")
    assert told[1].message.endswith("not finite in the data: u0" if names else "not finite in the data: 1 of its rows")
    assert list(mishaps.check({"bad": (0, np.array([-1, -1, -1])), **empty})) == []
    list(mishaps.check({"bad": (1, np.array([9, -1, -1])), **empty}))
    assert mishaps.too_many and mishaps.bad.steps == [1, 3, 9]
