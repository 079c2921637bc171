import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.errors import UserError
from prosody_vae.selection import continuity as paths


def problem(seed, length, entries):
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(-0.2, 1, (length, entries)).astype(np.float32)
    return similarity, rng.normal(size=(entries, 2)).astype(np.float32)


def brute_force(similarity, positions, lsw, scale):
    every = itertools.product(range(similarity.shape[1]), repeat=len(similarity))
    return min(paths.path_loss(np.array(p), similarity, positions, lsw, scale) for p in every)


@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from([1, 5]), st.sampled_from([1.0, 0.9, 0.5, 0.0]))
@settings(max_examples=25, deadline=None)
def test_the_best_path_over_all_candidates_is_brute_force_s(seed, length, entries, lsw):
    similarity, positions = problem(seed, length, entries)
    path = paths.best_path(similarity, positions, lsw, entries, 1.7)
    loss = paths.path_loss(path, similarity, positions, lsw, 1.7)
    assert loss == pytest.approx(brute_force(similarity, positions, lsw, 1.7), abs=1e-5)


def viterbi(similarity, positions, lsw, scale=1.0):
    """The least loss over all paths, slowly."""
    cost = lsw * (1 - similarity[0].astype(np.float64))
    apart = np.linalg.norm(positions[:, None].astype(np.float64) - positions[None], axis=2) * (1 - lsw) / scale
    for row in similarity[1:]:
        cost = np.min(cost[:, None] + apart, axis=0) + lsw * (1 - row.astype(np.float64))
    return cost.min()


@given(st.integers(0, 2**31), st.integers(2, 9), st.floats(0, 1), st.sampled_from([0.3, 1.0, 30.0]))
@settings(max_examples=40, deadline=None)
def test_every_entry_is_a_candidate(seed, length, lsw, scale):
    similarity, positions = problem(seed, length, 60)
    path = paths.best_path(similarity, positions, lsw, scale=scale)
    least = viterbi(similarity, positions, lsw, scale)
    assert paths.path_loss(path, similarity, positions, lsw, scale) == pytest.approx(least, abs=1e-9)
    assert paths.path_bound(path, similarity, positions, lsw, scale=scale) <= 1e-9


@given(st.integers(0, 2**31), st.integers(2, 9), st.sampled_from([1, 2, 5, 20]), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_beam_states_what_it_may_have_missed(seed, length, beam, lsw):
    similarity, positions = problem(seed, length, 60)
    path = paths.best_path(similarity, positions, lsw, beam)
    excess = paths.path_loss(path, similarity, positions, lsw) - viterbi(similarity, positions, lsw)
    assert -1e-9 <= excess <= paths.path_bound(path, similarity, positions, lsw, beam) + 1e-9


def test_the_exact_curve_falls_and_rises_evenly():
    paragraphs = [problem(seed, 9, 80)[0] for seed in range(6)]
    rows = paths.sweep(paragraphs, problem(9, 1, 80)[1], np.linspace(1, 0, 11).tolist())
    assert (np.diff([row.exact_acoustic for row in rows]) <= 1e-9).all()
    assert (np.diff([row.exact_linguistic for row in rows]) >= -1e-9).all()


@given(st.integers(0, 2**31), st.integers(1, 8), st.sampled_from([1, 4]), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_best_path_never_costs_more_than_greedy_s(seed, length, k, lsw):
    similarity, positions = problem(seed, length, 12)
    exact = paths.best_path(similarity, positions, lsw, k)
    assert exact.shape == (length,) and exact.dtype == np.int32
    greedy = paths.greedy(similarity, positions, lsw)
    assert paths.path_loss(exact, similarity, positions, lsw) <= paths.path_loss(greedy, similarity, positions, lsw)


def test_greedy_is_the_paper_s_rule():
    similarity, positions = problem(0, 6, 30)
    chosen = [int(np.argmax(similarity[0]))]  # D = 0 for the first sentence
    for row in similarity[1:]:
        distance = np.linalg.norm(positions - positions[chosen[-1]], axis=1)
        chosen.append(int(np.argmin(0.9 * (1 - row) + 0.1 * distance)))
    np.testing.assert_array_equal(paths.greedy(similarity, positions, 0.9), chosen)
    np.testing.assert_array_equal(paths.greedy(similarity, positions, 1.0), similarity.argmax(axis=1))
    np.testing.assert_array_equal(paths.best_path(similarity, positions, 1.0), similarity.argmax(axis=1))
    assert len(set(paths.greedy(similarity, positions, 0.0))) == 1  # the same place for ever


def test_scaled_distances_do_not_know_the_units_of_the_space():
    similarity, positions = problem(1, 8, 40)
    here, there = paths.fit_plane(positions), paths.fit_plane(25 * positions)
    for choose in (paths.greedy, paths.best_path):
        one = choose(similarity, here.positions, 0.8, scale=here.scale)
        other = choose(similarity, there.positions, 0.8, scale=there.scale)
        np.testing.assert_array_equal(one, other)


def test_barred_entries_are_never_chosen():
    similarity, positions = problem(2, 5, 9)
    similarity[:, similarity[0].argmax()] = -np.inf
    similarity[3, np.arange(9) != 4] = -np.inf
    for lsw in (1.0, 0.5, 0.0):
        for path in (paths.greedy(similarity, positions, lsw), paths.best_path(similarity, positions, lsw, 9)):
            assert np.isfinite(similarity[np.arange(5), path]).all() and path[3] == 4


def test_the_plane_is_the_two_widest_directions_and_deterministic():
    rng = np.random.default_rng(3)
    means = rng.normal(size=(200, 5)) * np.array([0.1, 3.0, 0.1, 1.0, 0.1]) + 4
    plane = paths.fit_plane(means)
    assert np.abs(plane.components[0, 1]) > 0.95 and np.abs(plane.components[1, 3]) > 0.95
    np.testing.assert_allclose(plane.components @ plane.components.T, np.eye(2), atol=1e-9)
    assert plane.positions[:, 0].var() > plane.positions[:, 1].var()
    for row in plane.components:
        assert row[np.abs(row).argmax()] > 0
    np.testing.assert_allclose(plane.project(means), plane.positions, atol=1e-4)
    pairs = [np.linalg.norm(a - b) for a, b in itertools.combinations(plane.positions, 2)]
    assert plane.scale == pytest.approx(np.mean(pairs), rel=1e-5)
    flipped = paths.fit_plane(means[::-1])
    np.testing.assert_allclose(flipped.positions[::-1], plane.positions, atol=1e-4)


def test_a_large_bank_s_mean_distance_is_estimated_close_by_and_always_the_same(monkeypatch):
    means = np.random.default_rng(4).normal(size=(900, 3))
    exact = paths.fit_plane(means).scale
    monkeypatch.setattr(paths, "EXACT_PAIRS", 300)
    assert paths.fit_plane(means).scale == paths.fit_plane(means).scale == pytest.approx(exact, rel=0.1)


def test_degenerate_banks_have_a_plane():
    plane = paths.fit_plane(np.ones((3, 4)))
    assert plane.scale == 1.0 and not plane.positions.any()
    assert paths.fit_plane(np.ones((1, 1))).positions.shape == (1, 2)


def test_a_sweep_trades_language_for_continuity():
    paragraphs = [problem(seed, length, 50)[0] for seed, length in ((5, 7), (6, 1), (7, 12))]
    positions = problem(8, 1, 50)[1]
    rows = paths.sweep(iter(paragraphs), positions, [1.0, 0.9, 0.8, 0.7])
    assert [row.lsw for row in rows] == [1.0, 0.9, 0.8, 0.7]
    assert rows[0].greedy_acoustic == rows[0].exact_acoustic
    for row in rows:
        assert row.exact_loss <= row.greedy_loss
    assert rows[-1].exact_acoustic < rows[0].exact_acoustic and rows[-1].exact_linguistic > rows[0].exact_linguistic
    shape = paths.shape_of(rows)
    assert shape["exact_monotone"] is True and 0 < shape["exact_early"] <= 1
    with pytest.raises(UserError, match="no sentence"):
        paths.sweep([], positions, [1.0])


@pytest.mark.parametrize("lsw", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_0_to_1_is_refused(lsw):
    similarity, positions = problem(0, 2, 3)
    with pytest.raises(UserError, match="not a weight"):
        paths.greedy(similarity, positions, lsw)
