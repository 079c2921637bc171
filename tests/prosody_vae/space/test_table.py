"""Rows are found, cut out and averaged as they stand in the space, mapped or in memory."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_space import tiny_space

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from prosody_vae.space.files import open_space, write_space
from prosody_vae.space.table import Distances


@pytest.fixture
def space(tmp_path):
    return open_space(write_space(tmp_path / "space", tiny_space()))


def bundle_of(fingerprint):
    return Bundle("prosody_vae", {}, {}, HIFIGAN, {}, "", fingerprint)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 400), max_size=9), max_size=6), st.integers(0, 12))
def test_ragged_rows_survive_padding(rows, width):
    ragged = Distances.from_rows([np.array(row, np.int32) for row in rows])
    assert [ragged.row(i).tolist() for i in range(len(ragged))] == rows and ragged.values.dtype == np.int16
    padded = ragged.padded(width)
    assert padded.shape == (len(rows), width) and padded.dtype == np.float32
    for row, numbers in zip(padded, rows, strict=True):
        assert row.tolist() == (numbers + [0] * width)[:width]
    assert ragged.padded().shape[1] == max(map(len, rows), default=0)


def test_a_subset_has_the_rows_in_the_order_asked_for(space):
    part = space.subset([5, 0])
    assert part.ids == ("e5", "e0") and part.info.entries == 2 and len(part.trees) == 2
    assert np.array_equal(part.mean, space.mean[[5, 0]]) and not isinstance(part.mean, np.memmap)
    assert part.distances.row(0).tolist() == space.distances.row(5).tolist()
    assert np.array_equal(part.features["rate"], space.features["rate"][[5, 0]])
    assert len(space.subset([])) == 0
    assert space.find(["e5", "e0"]).tolist() == [5, 0]
    with pytest.raises(UserError, match="unknown utterance 'e9'"):
        space.find(["e1", "e9"])


def test_the_centroid_is_the_mean_of_all_or_of_a_speaker(space):
    np.testing.assert_allclose(space.centroid(), space.mean.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(space.centroid("b"), space.mean[1::2].mean(axis=0), atol=1e-6)
    with pytest.raises(UserError, match="unknown speaker 'c'"):
        space.centroid("c")


def test_columns_of_different_lengths_are_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="not every column"):
        dataclasses.replace(tiny_space(), texts=("one",))


def test_a_space_knows_its_bundle():
    space = tiny_space()
    space.check_bundle(bundle_of(space.info.bundle))
    with pytest.raises(UserError, match="another bundle"):
        space.check_bundle(bundle_of("f" * 64))
