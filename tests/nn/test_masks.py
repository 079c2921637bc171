import jax.numpy as jnp
import numpy as np

from copycat_jax.nn.masks import last_real, length_mask, lengths_of, masked_mean, zero_padding


def test_padding_content_never_reaches_a_sum():
    mask = length_mask(jnp.array([3, 1, 0]), 4)
    assert mask.tolist() == [[True] * 3 + [False], [True] + [False] * 3, [False] * 4]
    assert lengths_of(mask).tolist() == [3, 1, 0]
    x = jnp.where(mask[..., None], jnp.arange(12.0).reshape(3, 4)[..., None] * jnp.array([[[1.0, 2.0]]]), jnp.nan)
    np.testing.assert_array_equal(masked_mean(x, mask), [[1.0, 2.0], [4.0, 8.0], [0.0, 0.0]])
    np.testing.assert_array_equal(zero_padding(x, mask)[0, 3], [0.0, 0.0])
    np.testing.assert_array_equal(last_real(x, mask)[:2], [[2.0, 4.0], [4.0, 8.0]])
