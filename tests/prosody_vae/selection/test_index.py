import math
import re

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType

from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError
from copycat_jax.train.sharding import AXES, make_mesh
from prosody_vae.selection import index as search
from prosody_vae.selection.scores import best


def reference(scores, k, excluded=()):
    """Highest first, equal ones by the lowest index: numpy's lexsort, written down once more."""
    scores = np.array(scores, np.float32)
    scores[:, list(excluded)] = -np.inf
    return np.stack([np.lexsort((np.arange(len(row)), -row))[:k] for row in scores])


@pytest.fixture(scope="module")
def quantised():
    """Whole numbers: every product is exact and most scores are shared by many rows, on every device."""
    rng = np.random.default_rng(0)
    bank = rng.integers(-1, 2, (5000, 6)).astype(np.float32)
    return bank, rng.integers(-1, 2, (11, 6)).astype(np.float32), search.make_index(bank, normalise=False)


@pytest.mark.parametrize("k", [1, 7, 700])
@pytest.mark.parametrize("excluded", [(), (0, 3, 624, 625, 4999)])
def test_ties_go_to_the_lowest_index_within_and_across_devices(quantised, k, excluded):
    bank, queries, index = quantised
    assert index.mesh.size == 8
    scores, picks = index.top_k(queries, k, np.array(excluded, int))
    expected = reference(queries @ bank.T, k, excluded)
    np.testing.assert_array_equal(picks, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(queries @ bank.T, expected, axis=1))
    assert picks.dtype == np.int32 and scores.dtype == np.float32
    np.testing.assert_array_equal(picks, best(queries @ bank.T, k, np.array(excluded, int))[1])


def test_the_whole_bank_is_ranked_without_its_padding(quantised):
    bank, queries, index = quantised
    scores, picks = index.top_k(queries[:2], len(bank))
    np.testing.assert_array_equal(picks, reference(queries[:2] @ bank.T, len(bank)))
    assert np.isfinite(scores).all()
    small = search.make_index(-np.ones((3, 2), np.float32))  # every score below that of the zeros it is padded with
    scores, picks = small.top_k(np.ones((1, 2)), 3)
    np.testing.assert_array_equal(picks, [[0, 1, 2]])
    np.testing.assert_allclose(scores, -1, atol=1e-6)


def test_equal_rows_score_equally_wherever_they_lie():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 37)).astype(np.float32)
    bank = np.concatenate([rows] * 60)
    _, picks = search.make_index(bank).top_k(rng.normal(size=(5, 37)), 60)
    np.testing.assert_array_equal(picks, picks[:, :1] % 50 + 50 * np.arange(60)[None, :])


def test_cosines_and_blocks_and_device_counts_change_nothing():
    rng = np.random.default_rng(2)
    bank, queries = rng.normal(size=(3000, 20)), rng.normal(size=(30, 20))
    bank[17] = 0
    index = search.make_index(bank)
    scores, picks = index.top_k(queries, 9)
    np.testing.assert_array_equal(picks, reference(cosine(queries, bank), 9))
    np.testing.assert_allclose(scores, np.sort(cosine(queries, bank), axis=1)[:, ::-1][:, :9], atol=1e-6)
    tight = index.top_k(queries, 9, search_bytes=1)
    np.testing.assert_array_equal(tight[1], picks)
    one = jax.make_mesh((1, 1), AXES, (AxisType.Auto,) * 2, devices=jax.devices()[:1])
    alone = search.make_index(bank, mesh=one).top_k(queries, 9)
    np.testing.assert_array_equal(alone[1], picks)
    np.testing.assert_allclose(alone[0], scores, atol=1e-6)
    two_axes = search.make_index(bank, mesh=make_mesh(2, 4)).top_k(queries, 9)
    np.testing.assert_array_equal(two_axes[1], picks)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_banks_are_exact_for_their_rounded_rows(dtype):
    rng = np.random.default_rng(3)
    bank = rng.integers(-3, 4, (2000, 16)).astype(dtype)
    queries = rng.integers(-3, 4, (4, 16)).astype(np.float32)
    index = search.make_index(bank, normalise=False)
    assert index.bank.dtype == dtype
    np.testing.assert_array_equal(index.top_k(queries, 12)[1], reference(queries @ bank.astype(np.float32).T, 12))


def test_bad_banks_and_queries_are_one_clear_line(quantised):
    bank, queries, index = quantised
    with pytest.raises(UserError, match=r"5001 entries were asked for, 5000 are there"):
        index.top_k(queries, 5001)
    with pytest.raises(UserError, match=r"5000 entries were asked for, 4999"):
        index.top_k(queries, 5000, np.array([3, 3]))
    with pytest.raises(UserError, match="0 entries"):
        index.top_k(queries, 0)
    spoilt = np.array(bank)
    spoilt[4321, 2] = np.nan
    with pytest.raises(UserError, match="row 4321 of the bank holds NaN"):
        search.make_index(spoilt)
    with pytest.raises(UserError, match="query vector holds NaN"):
        index.top_k(np.full((1, 6), np.nan), 1)
    with pytest.raises(UserError, match="6 columns"):
        index.top_k(np.zeros((1, 5)), 1)
    with pytest.raises(UserError, match="no rows"):
        search.make_index(np.zeros((0, 4)))
    assert index.top_k(np.zeros((0, 6)), 3)[1].shape == (0, 3)


def test_groups_divide_the_rows_and_leave_little_to_read():
    for rows in (256, 1024, 125_184, 1_000_192):
        for k, width in ((1, 1), (10, 448), (100, 448)):
            size = search.group_size(rows, k, width)
            assert rows % size == 0
            assert rows // size + k * size * width < 40 * (rows * k * width) ** 0.5 + k * width
            for queries in (8, 1024):
                tile = search.tile_rows(rows, queries, size)
                assert rows % tile == 0 and tile % size == 0
                assert 4 * tile * queries <= max(search.CPU_TILE_BYTES, 4 * queries * max(search.ROW_TILE, size))


def test_the_scores_of_all_rows_are_never_there_at_once():
    bank, queries = np.ones((40_960, 4), np.float32), np.ones((64, 4), np.float32)
    index = search.make_index(bank, mesh=jax.make_mesh((1, 1), AXES, (AxisType.Auto,) * 2, devices=jax.devices()[:1]))
    size = search.group_size(40_960, 3, 4)
    tile = search.tile_rows(40_960, 64, size, 2**20)
    compiled = search._search.lower(index.bank, index.real, queries, 3, size, tile, index.mesh).compile()
    program = compiled.as_text() or ""
    shapes = [math.prod(map(int, shape.split(","))) for shape in re.findall(r"f32\[([\d,]+)\]", program)]
    assert max(shapes) < 64 * 40_960


@pytest.mark.parametrize(("columns", "k"), [(7, 3), (96, 5), (4096, 11), (8, 8)])
def test_places_of_the_best_are_those_of_a_sort(columns, k):
    values = np.random.default_rng(0).integers(0, 9, (6, columns)).astype(np.float32)
    places = np.asarray(search._best_places(values, k))
    np.testing.assert_array_equal(places, np.sort(reference(values, k), axis=1))
