import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.modules.discriminator import Discriminator, SpectralConv, choose_windows, cut_windows, spectral_norm
from copycat_jax.nn.initializers import initialise


@pytest.mark.parametrize("shape", [(20, 7), (7, 20), (16, 16), (9, 1)])
def test_spectral_norm_is_the_largest_singular_value(shape):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    left, values, right = np.linalg.svd(matrix)
    value, gradient = jax.value_and_grad(spectral_norm)(jnp.asarray(matrix))
    np.testing.assert_allclose(value, values[0], rtol=2e-3)
    np.testing.assert_allclose(gradient, np.outer(left[:, 0], right[0]), atol=0.05)  # d sigma / d W = u v^T


def test_convolution_is_used_with_norm_one():
    layer, x = SpectralConv(6, kernel=1), jax.random.normal(jax.random.key(0), (1, 3, 4, 5))
    params = {"kernel": 7.0 * jax.random.normal(jax.random.key(1), (1, 1, 5, 6)), "bias": jnp.zeros(6)}
    y = layer.apply({"params": params}, x)
    assert float(jnp.linalg.norm(y, axis=-1).max()) <= float(jnp.linalg.norm(x, axis=-1).max()) * 1.01


def test_windows_lie_in_speech_alone():
    batch = synthetic_batch(4, 90, 12)._replace(
        phonemes=np.array([[1, 1, 5, 6, 1, 0], [5, 6, 7, 8, 9, 9], [1, 5, 6, 1, 0, 0], [1, 1, 0, 0, 0, 0]]),
        durations=np.array([[5, 7, 20, 20, 10, 0], [15] * 6, [10, 15, 16, 9, 0, 0], [40, 40, 0, 0, 0, 0]]),
    )
    bounds = [(12, 52), (0, 90), (10, 41), None]
    draw = jax.jit(jax.vmap(lambda key: choose_windows(key, batch, 32, 1)))
    starts, usable = (np.asarray(x) for x in draw(jax.random.split(jax.random.key(0), 1000)))
    assert usable[0].tolist() == [True, True, False, False] and (usable == usable[:1]).all()
    for row in (0, 1):
        low, high = bounds[row]
        assert starts[:, row].min() == low and starts[:, row].max() == high - 32
    assert starts.min() >= 0 and starts.max() + 32 <= 90
    cut = cut_windows(jnp.asarray(batch.mel), jnp.asarray(starts[0]), 32)
    np.testing.assert_array_equal(cut[1], batch.mel[1, starts[0, 1] : starts[0, 1] + 32])


def test_attention_starts_at_zero_and_scores_are_per_window():
    network = Discriminator((4, 6, 6, 8))
    x = jax.random.normal(jax.random.key(0), (3, 32, 16))
    params = initialise(network, jax.random.key(1), x)
    assert float(params["attention"]["gamma"]) == 0.0
    apply = jax.jit(lambda p, x: network.apply({"params": p}, x))
    scores = apply(params, x)
    assert scores.shape == (3,)
    np.testing.assert_allclose(apply(params, x[::-1]), scores[::-1], atol=1e-5)
