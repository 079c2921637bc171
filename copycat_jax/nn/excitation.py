"""What a voice begins with: band-limited pulses at the fundamental frequency where it is voiced, noise where not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from copycat_jax.nn.noise import normal

BREATH = 0.03  # standard deviation of the noise under the pulses, whose own is 1
_LOWEST_HZ = 40.0


@functools.lru_cache
def _ramps(hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights [3, hop] of (frequency at the hop's start, centre, end) in that of every sample, and their running sums.

    Between those three points frequency is a straight line; the sums, each up to and with its sample, are its phase.
    """
    place = (np.arange(hop) + 0.5) / hop
    start, end = np.maximum(1 - 2 * place, 0), np.maximum(2 * place - 1, 0)
    weights = np.stack([start, 1 - start - end, end])
    return weights.astype(np.float32), np.cumsum(weights, axis=1).astype(np.float32)


def _cycles(increments: Float[Array, "B T"]) -> UInt32[Array, "B T"]:
    """Phase before every hop in units of 2**-32 cycles: sums of integers wrap, and are the same in any order."""
    fraction = increments - jnp.floor(increments)
    steps = (fraction * jnp.float32(2**24)).astype(jnp.uint32) << 8
    return jnp.cumsum(steps, axis=1, dtype=jnp.uint32) - steps


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
    points = jnp.stack([start, f0_hz, end], -1) / rate  # cycles per sample
    weights, sums = _ramps(hop)
    exact = jax.lax.Precision.HIGHEST
    within = jnp.matmul(points, sums, precision=exact)
    begun = (_cycles(within[..., -1]) >> 8).astype(jnp.float32) * jnp.float32(2**-24)
    phase = begun[..., None] + within
    phase = phase - jnp.floor(phase)
    frequency = jnp.matmul(points, weights, precision=exact) * rate
    harmonics = jnp.floor(rate / 2 / jnp.maximum(frequency, _LOWEST_HZ))
    below = jnp.sin(jnp.pi * phase)
    peak = jnp.abs(below) < 1e-4  # where all harmonics meet, the quotient is 0 / 0
    ratio = jnp.sin((2 * harmonics + 1) * jnp.pi * phase) / (2 * jnp.where(peak, 1.0, below))
    pulses = jnp.where(peak, harmonics, ratio - 0.5) * jnp.sqrt(2 / harmonics)
    noise = normal(key, (len(f0_hz), f0_hz.shape[1] * hop)).reshape(pulses.shape)
    return jnp.where(voiced[..., None], pulses + BREATH * noise, noise).reshape(len(f0_hz), -1)
