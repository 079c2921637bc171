import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.modules.utterance_encoder import UtteranceEncoder
from copycat_jax.nn.initializers import initialise
from copycat_jax.nn.masks import length_mask


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_one_vector_whatever_the_padding_and_the_bucket(pooling):
    network = UtteranceEncoder((4, 6), ((2, 2), (2, 2)), 8, 5, pooling)
    x, mask = jax.random.normal(jax.random.key(0), (2, 21, 16)), length_mask(jnp.array([21, 13]), 21)
    params = initialise(network, jax.random.key(1), x, mask)
    apply = jax.jit(lambda *a: network.apply({"params": params}, *a))
    vector = apply(x, mask)
    assert vector.shape == (2, 5) and float(jnp.abs(vector[0] - vector[1]).max()) > 1e-3
    np.testing.assert_array_equal(apply(jnp.where(mask[..., None], x, jnp.nan), mask), vector)
    longer = jnp.pad(x, ((0, 0), (0, 7), (0, 0)), constant_values=5.0)
    np.testing.assert_allclose(apply(longer, length_mask(jnp.array([21, 13]), 28)), vector, atol=1e-5)
