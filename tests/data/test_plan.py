"""The batch plan: pure, complete, little padding, static shapes, fair to speakers when asked."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.data.plan import (
    Share,
    batch_at,
    bucket_edges,
    epoch_of,
    evaluation_batches,
    held_out,
    make_batch_plan,
    make_evaluation_plan,
    rows_on,
    steps_of_epochs,
)
from copycat_jax.errors import UserError

MIXED = np.clip(np.random.default_rng(0).lognormal(5.6, 0.6, 3000), 40, 861).astype(int)
PHONES = MIXED // 7 + 1


def stream(plan, steps, seed=0, start=0):
    return np.concatenate([batch_at(plan, seed, step).indices for step in range(start, start + steps)])


@pytest.mark.parametrize("sizes", [{"batch_size": 32}, {"batch_frames": 16_000, "rows_multiple": 8}])
def test_mixed_lengths_pad_little_and_shapes_are_few_and_aligned(sizes):
    plan = make_batch_plan(MIXED, PHONES, multiple_of=8, **sizes)
    assert plan.padding_efficiency >= 0.9
    assert len(plan.shapes) <= 10
    for rows, frames, phones in plan.shapes:
        assert frames % 8 == 0 and phones % 8 == 0 and rows % sizes.get("rows_multiple", 1) == 0
        assert rows * frames <= sizes.get("batch_frames", np.inf) or rows == sizes.get("rows_multiple")
    for step in range(60):
        batch = batch_at(plan, 1, step)
        assert (len(batch.indices), batch.frames, batch.phones) in plan.shapes
        assert MIXED[batch.indices].max() <= batch.frames and PHONES[batch.indices].max() <= batch.phones


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 4))
def test_bucket_edges_are_the_best_of_all(lengths, count):
    def cost(edges):
        return sum(min((e for e in edges if e >= n), default=np.inf) for n in lengths)

    edges = bucket_edges(np.array(lengths), np.ones(len(lengths)), count)
    assert len(edges) <= count and edges == sorted(set(edges))
    values = sorted(set(lengths))
    best = min(
        cost(chosen) for k in range(1, count + 1) for chosen in itertools.combinations(values, min(k, len(values)))
    )
    assert cost(edges) == best


def test_a_batch_depends_on_seed_and_step_alone():
    plan, again = (make_batch_plan(MIXED, PHONES, batch_size=16) for _ in range(2))
    order = np.random.default_rng(0).permutation(200)
    backwards = {step: batch_at(again, 7, int(step)).indices for step in order}
    for step in range(200):
        assert np.array_equal(batch_at(plan, 7, step).indices, backwards[step])
    assert not np.array_equal(stream(plan, 20, seed=7), stream(plan, 20, seed=8))


def test_epochs_differ_in_order_and_leave_nothing_out():
    plan = make_batch_plan(MIXED, PHONES, batch_size=32)
    steps = steps_of_epochs(plan, 1)
    first, second = stream(plan, steps), stream(plan, steps, start=steps)
    assert not np.array_equal(first, second)
    for epochs in (1, 3):
        times = np.bincount(stream(plan, steps_of_epochs(plan, epochs)), minlength=len(MIXED))
        assert times.max() - times.min() <= 2 and abs(times.mean() - epochs) < 0.1
    assert times.min() >= 2  # after three epochs everything was seen, whatever did not fill a batch
    assert epoch_of(plan, 0) == 0 and epoch_of(plan, 10 * steps) in (9, 10)


def test_a_corpus_smaller_than_a_batch_fills_it():
    plan = make_batch_plan(np.array([10, 20, 30]), np.array([2, 3, 4]), batch_size=16, buckets=2)
    times = np.bincount(stream(plan, 9), minlength=3)
    assert times.sum() == 9 * 16 and times.min() >= 9 * 16 // 3 - 16


def test_a_subset_plans_only_its_members():
    chosen = np.arange(5, 3000, 7)
    plan = make_batch_plan(MIXED, PHONES, batch_size=8, indices=chosen)
    assert np.array_equal(plan.members, chosen)
    assert set(stream(plan, 2 * steps_of_epochs(plan, 1))) <= set(chosen)


def test_balance_evens_out_speakers():
    speakers = np.r_[np.zeros(2700, int), np.ones(300, int)]
    shares = []
    for balance in (0.0, 0.5, 1.0):
        plan = make_batch_plan(MIXED, PHONES, batch_size=32, speakers=speakers, balance=balance)
        drawn = stream(plan, 400)
        shares.append(np.mean(speakers[drawn] == 1))
        assert set(drawn[speakers[drawn] == 1]) == set(range(2700, 3000))
    assert shares[0] == pytest.approx(0.1, abs=0.02)
    assert shares[0] + 0.1 < shares[1] < shares[2] == pytest.approx(0.5, abs=0.02)


def test_process_rows_are_contiguous_and_together_the_batch():
    batch = batch_at(make_batch_plan(MIXED, PHONES, batch_size=32), 0, 3).indices
    for count in (1, 2, 4):
        assert np.array_equal(np.concatenate([Share(p, count).of(batch) for p in range(count)]), batch)
    with pytest.raises(UserError, match="multiple of 3"):
        Share(0, 3).of(batch)


def test_evaluation_holds_everything_once():
    plan = make_batch_plan(MIXED[:301], PHONES[:301], batch_size=8)
    counted = np.concatenate([batch.indices[counts] for batch, counts in evaluation_batches(plan)])
    assert sorted(counted) == list(range(301))
    assert {len(batch.indices) for batch, _ in evaluation_batches(plan)} == {8}


@pytest.mark.parametrize("sizes", [{"batch_size": 32}, {"batch_frames": 16_000}])
def test_a_sample_for_evaluation_is_as_long_as_all_and_always_the_same(sizes):
    members = np.arange(1, 3000, 2)
    plan = make_evaluation_plan(MIXED, PHONES, members, 200, rows_multiple=4, buckets=4, **sizes)
    drawn = plan.members
    assert len(drawn) == len(set(drawn)) == 200 and set(drawn) < set(members)
    for share in (5, 25, 50, 75, 95):
        assert np.percentile(MIXED[drawn], share) == pytest.approx(np.percentile(MIXED[members], share), rel=0.05)
    again = make_evaluation_plan(MIXED, PHONES, members[::-1].copy(), 200, rows_multiple=4, buckets=4, **sizes)
    np.testing.assert_array_equal(np.sort(MIXED[again.members]), np.sort(MIXED[drawn]))
    few = make_evaluation_plan(MIXED, PHONES, members[:5], 200, rows_multiple=4, buckets=1, **sizes)
    assert few.members.tolist() == members[:5].tolist() and few.buckets[0].rows == 8  # no more rows than are filled


def test_rows_follow_the_devices():
    assert rows_on(1, batch_size=32, rows_multiple=8) == rows_on(8, batch_size=32, rows_multiple=8)
    assert rows_on(256, batch_size=32, rows_multiple=8)["batch_size"] == 256
    assert rows_on(12, batch_size=32, rows_multiple=8)["batch_size"] == 48
    assert rows_on(2, batch_frames=25_600, rows_multiple=8) == {"batch_frames": 25_600, "rows_multiple": 8}
    assert rows_on(64, batch_frames=25_600, per_device=True)["batch_frames"] == 64 * 25_600
    for devices in (3, 16, 100):
        for sizes in ({"batch_size": 32}, {"batch_frames": 25_600}):
            plan = make_batch_plan(MIXED, PHONES, **rows_on(devices, rows_multiple=8, **sizes))
            assert all(rows % devices == 0 for rows, _, _ in plan.shapes)


def test_held_out_goes_by_text_and_grows_with_the_fraction():
    hashes = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    small, large = held_out(hashes, 0.05), held_out(hashes, 0.2)
    assert small.mean() == pytest.approx(0.05, abs=0.01) and large.mean() == pytest.approx(0.2, abs=0.01)
    assert not (small & ~large).any()
    assert not held_out(hashes, 0.0).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"batch_size": 8, "batch_frames": 9},
        {"batch_size": 6, "rows_multiple": 4},
        {"batch_size": 4, "balance": 1.0},
    ],
)
def test_impossible_plans_are_refused(wrong):
    with pytest.raises(UserError):
        make_batch_plan(MIXED, PHONES, **wrong)
    with pytest.raises(UserError, match="no utterances"):
        make_batch_plan(MIXED, PHONES, batch_size=4, indices=np.array([], int))
