"""Every judge gives a map of scores and features; strided products are the convolutions they stand for."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.models.wave_discriminators import PERIOD_CHANNELS, PeriodDiscriminator, SpectrumDiscriminator


@pytest.mark.parametrize("length,channels", [(100, 1), (101, 3), (102, 2)])
def test_blocks_of_three_are_a_convolution_of_stride_three(length, channels):
    class OneLayer(PeriodDiscriminator):
        @nn.compact
        def __call__(self, x):
            return self._layer(x, "conv", 5, 4, 3)

    x = np.random.default_rng(0).standard_normal((2, length, channels)).astype(np.float32)
    x = jnp.asarray(x)
    layer = OneLayer(2, np.float32)
    params = layer.init(jax.random.key(0), x)
    wanted = jax.lax.conv_general_dilated(
        x, params["params"]["conv_kernel"], (3,), [(2, 2)], dimension_numbers=("NWC", "WIO", "NWC")
    )
    np.testing.assert_allclose(layer.apply(params, x), wanted, atol=1e-5)


def test_a_period_judge_sees_its_own_period():
    judge = PeriodDiscriminator(5, np.float32)
    samples = np.random.default_rng(0).standard_normal((2, 1203)).astype(np.float32)
    samples = jnp.asarray(samples)
    params = judge.init(jax.random.key(0), samples)
    (score,), features = judge.apply(params, samples)
    assert score.shape[0] == 2 * 5 and len(features) == len(PERIOD_CHANNELS)
    moved = samples.at[0, 7].add(1.0)  # of the row 7 mod 5 = 2 alone
    (other,), _ = judge.apply(params, moved)
    changed = np.abs(np.asarray(other) - np.asarray(score)).max((1, 2)) > 0
    assert changed.tolist() == [False, False, True] + [False] * 7


def test_a_spectrum_judge_hears_the_quiet_as_well_as_the_loud():
    judge = SpectrumDiscriminator(512, np.float32)
    samples = 0.1 * np.random.default_rng(0).standard_normal((1, 4096)).astype(np.float32)
    samples = jnp.asarray(samples)
    params = judge.init(jax.random.key(0), samples)
    (score,), features = judge.apply(params, samples)
    assert score.ndim == 4 and len(features) == 5
    _, quiet = judge.apply(params, samples * 0.01)
    ratio = float(np.abs(quiet[0]).mean() / np.abs(features[0]).mean())
    assert 0.01**0.5 < ratio < 0.5  # compressed: 40 dB less is not a hundredth
