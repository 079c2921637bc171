import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.modules.phoneme_encoder import PhonemeEncoder, rows_of
from copycat_jax.nn.initializers import initialise
from copycat_jax.nn.masks import length_mask


def test_phonemes_become_frames_and_padding_leaves_no_trace():
    network = PhonemeEncoder(10, width=6, states=4)
    ids, durations = jnp.array([[1, 5, 7], [2, 3, 0]]), jnp.array([[3, 4, 2], [2, 3, 0]])
    voice = jnp.ones((2, 3))
    mask = length_mask(jnp.array([9, 5]), 9)
    params = initialise(network, jax.random.key(0), ids, durations, mask, voice)
    apply = jax.jit(lambda *a: network.apply({"params": params}, *a))
    y = apply(ids, durations, mask, voice)
    assert y.shape == (2, 9, 8) and not y[1, 5:].any()
    longer_ids, longer = jnp.pad(ids, ((0, 0), (0, 2)), constant_values=9), jnp.pad(durations, ((0, 0), (0, 2)))
    np.testing.assert_allclose(
        apply(longer_ids, longer, length_mask(jnp.array([9, 5]), 12), voice)[:, :9], y, atol=1e-5
    )
    assert float(jnp.abs(apply(ids, durations, mask, -voice) - y)[0].max()) > 1e-3


def test_the_product_with_a_table_is_a_lookup_to_the_bit():
    table = jax.random.normal(jax.random.key(0), (10, 6)).astype(jnp.bfloat16)
    ids = jnp.array([[1, 5, 7, 0, 9]])
    np.testing.assert_array_equal(rows_of(table, ids), table[ids])
