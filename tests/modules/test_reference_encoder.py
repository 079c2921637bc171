import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.modules.reference_encoder import ReferenceEncoder
from copycat_jax.nn.initializers import initialise
from copycat_jax.nn.masks import length_mask

FRAMES = 24


def case(norm):
    keys = jax.random.split(jax.random.key(0), 4)
    network = ReferenceEncoder(latent=6, width=8, norm=norm)
    x, y, e = (jax.random.normal(k, s) for k, s in zip(keys, ((2, FRAMES, 5), (2, FRAMES, 4), (2, 3)), strict=False))
    mask = length_mask(jnp.array([FRAMES, 17]), FRAMES)
    params = initialise(network, keys[3], x, y, e, mask)
    return jax.jit(lambda *a: network.apply({"params": params}, *a)), x, y, e, mask


def test_speaker_changes_the_posterior_on_interior_frames_and_padding_does_not():
    apply, x, y, e, mask = case("instance")
    mean, log_variance = apply(x, y, e, mask)
    other, _ = apply(x, y, -e, mask)
    # Without "E_s after the last instance norm" the interior would not move at all.
    assert float(jnp.abs(other - mean)[0, 8:16].min(0).max()) > 1e-3
    assert mean.dtype == log_variance.dtype == jnp.float32 and not mean[1, 17:].any()
    dirty, _ = apply(jnp.where(mask[..., None], x, jnp.nan), jnp.where(mask[..., None], y, jnp.inf), e, mask)
    np.testing.assert_array_equal(dirty, mean)
    pad = ((0, 0), (0, 8), (0, 0))
    longer, _ = apply(jnp.pad(x, pad), jnp.pad(y, pad), e, length_mask(jnp.array([FRAMES, 17]), FRAMES + 8))
    np.testing.assert_allclose(longer[:, :FRAMES], mean, atol=1e-5)


def test_each_half_of_the_latent_hears_its_own_direction():
    apply, x, y, e, mask = case("none")  # an instance norm lets every frame hear every other
    changed, _ = apply(x.at[0, 12].add(1.0), y, e, mask)
    moved = np.asarray(jnp.abs(changed - apply(x, y, e, mask)[0])[0] > 1e-7)
    reach = 6  # frames heard by three convolutions of width 5
    assert not moved[: 12 - reach, :3].any() and moved[12:, :3].any()  # forward half: never from the future
    assert not moved[12 + reach + 1 :, 3:].any() and moved[:13, 3:].any()  # backward half: never from the past
