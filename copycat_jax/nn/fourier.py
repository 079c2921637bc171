"""Short-time Fourier transforms as matrix products, real and imaginary part apart: any size, any runtime, no FFT.

The sizes of speech are small enough for it: on a GPU a product with the basis is faster than many short FFTs, and it
exports to any format that knows a matrix product.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from copycat_jax.mel_spec import hann

EXACT = "highest"  # float32 throughout: logarithms of quiet bins beside loud ones do not forgive less


@functools.lru_cache
def analysis_basis(size: int) -> Float[np.ndarray, "n W"]:
    """From a frame to the real and imaginary parts of its windowed spectrum, W = 2 * (size // 2 + 1), float32."""
    angle = 2 * np.pi / size * np.outer(np.arange(size), np.arange(size // 2 + 1))
    return (hann(size)[:, None] * np.concatenate([np.cos(angle), -np.sin(angle)], 1)).astype(np.float32)


@functools.lru_cache
def synthesis_basis(size: int, hop: int) -> Float[np.ndarray, "W n"]:
    """Inverts `analysis_basis` and windows again, divided by the sum of squared windows at this hop, float32."""
    angle = 2 * np.pi / size * np.outer(np.arange(size // 2 + 1), np.arange(size))
    share = np.full((size // 2 + 1, 1), 2.0 / size)
    share[[0, -1]] = 1.0 / size
    power = np.square(hann(size)).sum() / hop
    return (np.concatenate([share * np.cos(angle), -share * np.sin(angle)]) * hann(size) / power).astype(np.float32)


def frames(padded: Float[Array, "B n"], size: int, hop: int, count: int | None = None) -> Float[Array, "B t size"]:
    """Frames of `size` samples every `hop`: all whole ones, or `count`, silence behind the end. Slices, no gather."""
    count = (padded.shape[1] - size) // hop + 1 if count is None else count
    parts = -(-size // hop)
    length = (count + parts - 1) * hop
    if padded.shape[1] < length:
        padded = jnp.pad(padded, ((0, 0), (0, length - padded.shape[1])))
    blocks = padded[:, :length].reshape(len(padded), -1, hop)
    return jnp.concatenate([blocks[:, k : k + count] for k in range(parts)], axis=-1)[..., :size]


def spectrum(
    samples: Float[Array, "B n"], size: int, hop: int, pad: int, precision: str = EXACT
) -> tuple[Float[Array, "B t F"], Float[Array, "B t F"]]:
    """Real and imaginary parts of the Hann-windowed frames of a signal reflected by `pad` samples at either end."""
    padded = jnp.pad(samples, ((0, 0), (pad, pad)), mode="reflect")
    both = jnp.matmul(frames(padded, size, hop), analysis_basis(size), precision=precision)
    return both[..., : size // 2 + 1], both[..., size // 2 + 1 :]


def overlap_add(pieces: Float[Array, "B T n"], hop: int) -> Float[Array, "B m"]:
    """Adds frames up at their places, every `hop` samples; whole hops: m = (T - 1 + ceil(n / hop)) * hop."""
    batch, count, size = pieces.shape
    parts = -(-size // hop)
    blocks = jnp.pad(pieces, ((0, 0), (0, 0), (0, parts * hop - size))).reshape(batch, count, parts, hop)
    placed = [jnp.pad(blocks[:, :, k], ((0, 0), (k, parts - 1 - k), (0, 0))) for k in range(parts)]
    return sum(placed).reshape(batch, -1)  # type: ignore[union-attr]


def waveform(real: Float[Array, "B T F"], imaginary: Float[Array, "B T F"], size: int, hop: int) -> Float[Array, "B N"]:
    """The signal of a spectrum in the framing of a mel: frame t lies about the hop t, N = T * hop samples.

    What is beyond either end counts as silence, so that a signal does not depend on how long a silence follows.
    """
    pieces = jnp.matmul(jnp.concatenate([real, imaginary], -1), synthesis_basis(size, hop), precision=EXACT)
    pad = (size - hop) // 2
    return overlap_add(pieces, hop)[:, pad : pad + real.shape[1] * hop]
