import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.nn.masks import length_mask
from copycat_jax.nn.regulate import kept_frames, temporal_bottleneck, upsample


def slow_bottleneck(z, lengths, tau):
    """The paper's words, a frame at a time."""
    out, half = np.zeros_like(z), z.shape[2] // 2
    for row, length in enumerate(lengths):
        for t in range(length):
            start = t // tau * tau
            out[row, t, :half] = z[row, min(start + tau - 1, length - 1), :half]
            out[row, t, half:] = z[row, start, half:]
    return out


def test_ramp_shows_which_frames_are_kept():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None], (1, 8, 2))
    out = np.asarray(temporal_bottleneck(ramp, jnp.ones((1, 8), bool), 4))
    assert out[0, :, 0].tolist() == [3, 3, 3, 3, 7, 7, 7, 7]  # forward: tau-1, 2 tau-1
    assert out[0, :, 1].tolist() == [0, 0, 0, 0, 4, 4, 4, 4]  # backward: 0, tau


@pytest.mark.parametrize("frames, tau", [(12, 4), (11, 4), (5, 8), (6, 1)])
def test_bottleneck_is_the_slow_one(frames, tau):
    lengths = [frames, max(frames - 3, 1), 1]
    z = np.random.default_rng(0).standard_normal((3, frames, 6)).astype(np.float32)
    mask = length_mask(jnp.array(lengths), frames)
    np.testing.assert_array_equal(temporal_bottleneck(jnp.asarray(z), mask, tau), slow_bottleneck(z, lengths, tau))


def test_bottleneck_reads_only_kept_frames():
    mask = length_mask(jnp.array([11, 4]), 12)
    forward, backward = (np.asarray(kept) for kept in kept_frames(mask, 4))
    assert np.flatnonzero(forward[0]).tolist() == [3, 7, 10] and np.flatnonzero(backward[0]).tolist() == [0, 4, 8]
    assert np.flatnonzero(forward[1]).tolist() == [3] and np.flatnonzero(backward[1]).tolist() == [0]
    kept = np.stack([forward, backward], -1)
    z = np.random.default_rng(1).standard_normal((2, 12, 2)).astype(np.float32)
    disturbed = np.where(kept, z, np.nan).astype(np.float32)
    a, b = (np.asarray(temporal_bottleneck(jnp.asarray(x), mask, 4)) for x in (z, disturbed))
    np.testing.assert_array_equal(a, b)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_upsample_is_repeat(durations):
    ids = np.array([7, 3, 9, 2, 5], np.int32)
    expected = np.repeat(ids, durations)
    out = np.asarray(upsample(jnp.asarray(ids)[None], jnp.asarray([durations], jnp.int32), 20))[0]
    assert out.tolist() == expected.tolist() + [0] * (20 - len(expected))


def test_upsample_of_vectors():
    vectors = jnp.arange(6.0).reshape(1, 3, 2)
    out = upsample(vectors, jnp.array([[2, 1, 0]]), 4)
    assert out[0].tolist() == [[0, 1], [0, 1], [2, 3], [0, 0]]
