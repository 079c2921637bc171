"""Counter-based random numbers of large arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.nn import noise
from copycat_jax.train.sharding import batch_sharding, make_mesh

SHAPE = (16, 50, 40)


def words(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.asarray(noise.bits(jax.random.key(seed), shape))


def test_every_bit_is_fair_and_every_byte_evenly_spread():
    drawn = words(shape=(64, 64, 64))
    shares = [((drawn >> bit) & 1).mean() for bit in range(32)]
    np.testing.assert_allclose(shares, 0.5, atol=0.005)  # 5 standard deviations
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((drawn >> shift) & 255).ravel(), minlength=256)
        expected = drawn.size / 256
        assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(2 * 255)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_keys_and_steps_are_unrelated(axis):
    a = words().astype(np.float64)
    for b in (np.roll(a, 1, axis), words(1), np.asarray(noise.bits(jax.random.fold_in(jax.random.key(0), 1), SHAPE))):
        flat = [x.astype(np.float64).ravel() for x in (a, b)]
        assert abs(np.corrcoef(*flat)[0, 1]) < 5 / np.sqrt(a.size)
        # nor is what differs between the words: half of the bits
        flipped = np.bitwise_count if hasattr(np, "bitwise_count") else lambda x: np.unpackbits(x.view(np.uint8)).sum()
        share = np.sum(flipped(np.ascontiguousarray(flat[0].astype(np.uint32) ^ flat[1].astype(np.uint32))))
        assert share / (32 * a.size) == pytest.approx(0.5, abs=0.005)


def test_a_row_keeps_its_numbers_in_a_longer_bucket_and_a_larger_batch():
    short = words()
    np.testing.assert_array_equal(words(shape=(20, 70, 40))[:16, :50], short)


def test_any_number_of_devices_draws_the_same_each_its_own_rows():
    key, rows = jax.random.key(3), batch_sharding(make_mesh())
    x = jax.device_put(np.ones(SHAPE, np.float32), rows)

    def compute(key, x):
        return jax.grad(lambda x: noise.dropout(key, x, 0.5).sum())(x) + noise.normal(key, x.shape)

    compiled = jax.jit(compute, out_shardings=rows).lower(key, x).compile()
    text = compiled.as_text()
    body = text[text.index("\n") :]  # the first line tells of the whole arrays
    assert "[2,50,40]" in body and "[16,50,40]" not in body
    assert not any(name in text for name in ("all-gather", "all-reduce", "all-to-all", "collective-permute"))
    alone = jax.jit(compute)(key, jnp.ones(SHAPE))
    np.testing.assert_array_equal(compiled(key, x), alone)


def test_normal_numbers_are_normal_and_finite():
    drawn = np.asarray(noise.normal(jax.random.key(1), (64, 100, 100))).ravel()
    assert np.isfinite(drawn).all() and np.abs(drawn).max() > 4
    moments = [drawn.mean(), drawn.var(), (drawn**3).mean(), (drawn**4).mean()]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.03)
    np.testing.assert_allclose(np.percentile(drawn, [2.5, 50, 97.5]), [-1.96, 0, 1.96], atol=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_the_rate(rate):
    y = np.asarray(noise.dropout(jax.random.key(0), jnp.ones((100, 1000)), rate))
    assert set(np.unique(y)) <= {0.0, np.float32(1 / (1 - rate))}
    assert (y == 0).mean() == pytest.approx(rate, abs=0.006) and y.mean() == pytest.approx(1.0, abs=0.06)


def test_the_gradient_of_dropout_meets_the_same_elements():
    x = jax.random.normal(jax.random.key(2), (5, 7, 3))
    y, pull = jax.vjp(lambda x: noise.dropout(jax.random.key(0), x, 0.4), x)
    (slope,) = pull(jnp.ones_like(x))
    np.testing.assert_allclose(slope * x, y, rtol=1e-6)
