"""What a voice begins with: band-limited pulses at the fundamental frequency where it is voiced, noise where not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from copycat_jax.nn.noise import normal

BREATH = 0.03  # standard deviation of the noise under the pulses, whose own is 1
# Samples after which the noise comes again, three seconds that no ear tells apart: so another runtime, which has not
# our generator, holds it as a table, and makes the very same sound.
NOISE_PERIOD = 2**16
LOWEST_HZ = 40.0


@functools.lru_cache
def ramp_sums(hop: int) -> Float[np.ndarray, "3 hop"]:
    """Weights of (frequency at the hop's start, centre, end) in the phase of every sample, up to and with it.

    Between those three points frequency is a straight line; a sample's own weights are summed up over the hop.
    """
    place = (np.arange(hop) + 0.5) / hop
    start, end = np.maximum(1 - 2 * place, 0), np.maximum(2 * place - 1, 0)
    return np.cumsum([start, 1 - start - end, end], axis=1).astype(np.float32)


def whole_hop(hop: int) -> UInt32[np.ndarray, "3"]:
    """Four times what `ramp_sums` ends at, in whole numbers: hop, 2 * hop, hop."""
    return np.array([hop, 2 * hop, hop], np.uint32)


def _begun(points: Float[Array, "B T 3"], hop: int) -> Float[Array, "B T"]:
    """Cycles before every hop, in [0, 1): integers, whose sum is the same in any order and in any runtime."""
    steps = ((points * jnp.float32(2**30)).astype(jnp.uint32) * whole_hop(hop)[None, None]).sum(-1, dtype=jnp.uint32)
    summed = jnp.cumsum(steps, axis=1, dtype=jnp.uint32) - steps
    return (summed >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def excitation(f0_hz: Float[Array, "B T"], key: Array, hop: int, rate: int) -> Float[Array, "B N"]:
    """Pulses and noise, each of unit power; N = T * hop samples.

    A pulse train is the sum of all harmonics below half the rate, of equal amplitude (a Dirichlet kernel). What comes
    later changes nothing that comes before.

    Args:
      f0_hz: fundamental frequency at the centre of every hop, 0 where unvoiced.
      key: of the noise.
      hop: samples of a frame.
      rate: samples per second.
    """
    voiced = f0_hz > 0
    before = jnp.pad(f0_hz, ((0, 0), (1, 0)), mode="edge")[:, :-1]
    after = jnp.pad(f0_hz, ((0, 0), (0, 1)), mode="edge")[:, 1:]
    start = jnp.where(before > 0, (before + f0_hz) / 2, f0_hz)
    end = jnp.where(after > 0, (after + f0_hz) / 2, f0_hz)
    points = jnp.stack([start, f0_hz, end], -1) * jnp.float32(1 / rate)  # cycles per sample
    within = jnp.matmul(points, ramp_sums(hop), precision=jax.lax.Precision.HIGHEST)
    phase = _begun(points, hop)[..., None] + within
    phase = phase - jnp.round(phase)  # within half a cycle of a pulse, where the quotient below is exact
    # One number for a hop, from its highest frequency: a number for every sample would hang on the last bit.
    harmonics = jnp.floor(0.5 / jnp.maximum(points.max(-1, keepdims=True), jnp.float32(LOWEST_HZ / rate)))
    below = jnp.sin(jnp.pi * phase)
    peak = jnp.abs(below) < 1e-4  # where all harmonics meet, the quotient is 0 / 0
    ratio = jnp.sin((2 * harmonics + 1) * jnp.pi * phase) / (2 * jnp.where(peak, 1.0, below))
    pulses = jnp.where(peak, harmonics, ratio - 0.5) * jnp.sqrt(2 / harmonics)
    noise = normal(key, (len(f0_hz), f0_hz.shape[1] * hop), NOISE_PERIOD).reshape(pulses.shape)
    return jnp.where(voiced[..., None], pulses + BREATH * noise, noise).reshape(len(f0_hz), -1)
