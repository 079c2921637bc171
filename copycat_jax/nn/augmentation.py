"""A random recording channel on log-mels, on device: what the speaker classifier must not listen to."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.config import Config
from copycat_jax.nn.masks import lengths_of
from copycat_jax.nn.noise import normal, uniform

_NOTHING = -30.0  # log-magnitude far below any floor


@dataclasses.dataclass(frozen=True)
class ChannelConfig(Config, section="model.channel"):
    """Strength of each effect; zeros switch it off. Levels are nats of magnitude (1 nat = 8.7 dB).

    Attributes:
      probability: of a row being changed at all.
      gain: overall gain, uniform within +- this.
      curve: standard deviation of each coefficient of a smooth gain over the bins.
      curve_order: number of those coefficients (cosines over the bins; more bend faster).
      noise_snr: range of the level of a stationary noise below the row's mean energy; large = quiet.
      noise_probability: of a row having that noise.
      band_probability: of a row being limited to a band.
      band_low, band_high: largest number of bins lost at the bottom and at the top.
      floor: the log-mel's lowest value.
    """

    probability: float = 0.9
    gain: float = 1.5
    curve: float = 0.35
    curve_order: int = 6
    noise_snr: tuple[float, float] = (1.0, 6.0)
    noise_probability: float = 0.6
    band_probability: float = 0.25
    band_low: int = 6
    band_high: int = 24
    floor: float = math.log(1e-5)


def smooth_curves(weights: Float[Array, "B K"], bins: int) -> Float[Array, "B M"]:
    """Smooth curves over the bins: sums of the cosines of order 1 to K with the given weights."""
    order = weights.shape[1]
    angle = jnp.pi / bins * (jnp.arange(bins, dtype=jnp.float32)[:, None] + 0.5)
    angle = angle * jnp.arange(1, order + 1, dtype=jnp.float32)[None, :]
    return jnp.einsum("bk,mk->bm", weights, jnp.cos(angle))


def random_channel(
    key: Array, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], config: ChannelConfig
) -> Float[Array, "B T M"]:
    """Each row through a gain, an equaliser, a noise and a band limit of its own, constant over its frames.

    A gain adds to a log-mel; a noise adds its magnitude, an upper bound of what a sum of powers would give and close
    enough for a random level.
    """
    rows, _, bins = mel.shape
    uniform_key, curve_key, ripple_key = jax.random.split(key, 3)
    draw = uniform(uniform_key, (rows, 7, 1))
    bend = config.curve * normal(curve_key, (rows, 2, config.curve_order))
    ripple = 0.3 * normal(ripple_key, mel.shape)  # of a noise's magnitude from frame to frame

    gain = config.gain * (2.0 * draw[:, 0] - 1.0)
    changed = mel + (smooth_curves(bend[:, 0], bins) + gain)[:, None, :]
    real = jnp.where(mask[..., None], changed, _NOTHING)
    count = jnp.maximum(lengths_of(mask), 1).astype(jnp.float32) * bins
    level = jax.nn.logsumexp(real, axis=(1, 2)) - jnp.log(count)  # of the mean magnitude over bins and frames
    quiet, loud = config.noise_snr[1], config.noise_snr[0]
    noise = level[:, None] - (loud + (quiet - loud) * draw[:, 1]) + smooth_curves(2.0 * bend[:, 1], bins)
    noise = jnp.where(draw[:, 2] < config.noise_probability, noise, _NOTHING)
    changed = jnp.logaddexp(changed, noise[:, None, :] + ripple)

    low, high = (config.band_low + 1) * draw[:, 3], bins - (config.band_high + 1) * draw[:, 4]
    place = jnp.arange(bins, dtype=jnp.float32)[None, :]
    passed = ((place >= jnp.floor(low)) & (place < high)) | (draw[:, 5] >= config.band_probability)
    changed = jnp.where(passed[:, None, :], changed, config.floor)
    changed = jnp.where((draw[:, 6] < config.probability)[:, :, None], changed, mel)
    return jnp.maximum(changed, config.floor)
