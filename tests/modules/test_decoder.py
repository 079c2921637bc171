import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.modules.decoder import Decoder
from copycat_jax.nn.initializers import initialise
from copycat_jax.nn.masks import length_mask


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_voice_is_heard_under_every_norm_and_padding_under_none(norm):
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = ((2, 20, 4), (2, 20, 6), (2, 3))
    y, z, e = (jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=False))
    mask = length_mask(jnp.array([20, 13]), 20)
    network = Decoder(5, width=8, states=4, norm=norm)
    params = initialise(network, keys[3], y, z, e, mask)
    apply = jax.jit(lambda *a: network.apply({"params": params}, *a))
    mel = apply(y, z, e, mask)
    assert mel.shape == (2, 20, 5) and not mel[1, 13:].any()
    assert float(jnp.abs(apply(y, z, -e, mask) - mel)[0, 8:12].max()) > 1e-3
    hole = jnp.where(mask[..., None], 0.0, jnp.nan)
    np.testing.assert_array_equal(apply(y + hole, z + hole, e, mask), mel)
