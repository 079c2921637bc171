"""Between phonemes and frames by durations, and the temporal bottleneck (CopyCat section 2.2.2).

To add a bottleneck, write the two functions of a `Bottleneck` and put them into `BOTTLENECKS`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from copycat_jax.nn.masks import lengths_of, zero_padding


def phoneme_of_frame(durations: Int[Array, "B P"], frames: int) -> tuple[Int[Array, "B T"], Bool[Array, "B T"]]:
    """The position of the phoneme that each frame belongs to, and whether it belongs to any.

    Phonemes of duration 0 (padding) own no frame. Counting the phonemes that have ended is a comparison and a sum, no
    loop and no scatter, and `frames` is static.
    """
    ends = jnp.cumsum(durations, axis=1)
    time = jnp.arange(frames, dtype=ends.dtype)
    ended = (ends[:, None, :] <= time[None, :, None]).sum(-1, dtype=jnp.int32)
    real = time[None, :] < ends[:, -1:]
    return jnp.minimum(ended, durations.shape[1] - 1), real


def upsample(values: Shaped[Array, "B P *D"], durations: Int[Array, "B P"], frames: int) -> Shaped[Array, "B T *D"]:
    """Repeats each phoneme's id or vector for its duration; frames beyond the sum of durations are zero.

    Args:
      values: ids [B, P] or vectors [B, P, D].
      durations: frames of each phoneme.
      frames: T, static.
    """
    index, real = phoneme_of_frame(durations, frames)
    extra = (1,) * (values.ndim - 2)
    taken = jnp.take_along_axis(values, index.reshape(index.shape + extra), axis=1)
    return jnp.where(real.reshape(real.shape + extra), taken, jnp.zeros((), values.dtype))


def membership(durations: Int[Array, "B P"], frames: int, dtype: Any = jnp.float32) -> Float[Array, "B T P"]:
    """1 where a frame belongs to a phoneme, else 0: a product with it repeats vectors over frames, or sums over them.

    Unlike that of a lookup, the gradient of a product adds in an order that does not vary on an accelerator.
    """
    index, real = phoneme_of_frame(durations, frames)
    same = index[:, :, None] == jnp.arange(durations.shape[1])[None, None, :]
    return (same & real[:, :, None]).astype(dtype)


def over_time(vector: Float[Array, "B E"], frames: int) -> Float[Array, "B T E"]:
    """The same vector at every frame."""
    return jnp.broadcast_to(vector[:, None, :], (vector.shape[0], frames, vector.shape[1]))


def kept_frames(mask: Bool[Array, "B T"], tau: int) -> tuple[Bool[Array, "B T"], Bool[Array, "B T"]]:
    """Which frames the bottleneck reads: (forward, backward).

    Forward keeps tau-1, 2 tau-1, ... and, where the last block is partial, the row's last real frame; backward keeps
    0, tau, 2 tau, ...
    """
    time = jnp.arange(mask.shape[1])
    last = time[None, :] == lengths_of(mask)[:, None] - 1
    return mask & ((time % tau == tau - 1)[None, :] | last), mask & (time % tau == 0)[None, :]


def temporal_bottleneck(z: Float[Array, "B T Z"], mask: Bool[Array, "B T"], tau: int) -> Float[Array, "B T Z"]:
    """Keeps one latent of each block of tau frames and repeats it over the block (CopyCat section 2.2.2).

    The first half of the channels belongs to the forward direction, which has seen a block when it reaches its end:
    frames tau-1, 2 tau-1, ... are kept. The second half belongs to the backward direction: 0, tau, 2 tau, ... The paper
    does not say what becomes of a last, partial block: its forward index is clamped to the row's last real frame, so
    that the result does not depend on how far the row is padded.

    Returns:
      The repeated latents; zeros on padding.
    """
    rows, frames, width = z.shape
    forward, backward = kept_frames(mask, tau)
    read = jnp.where((jnp.arange(width) < width // 2)[None, None], forward[..., None], backward[..., None])
    # The sum of a block in which one frame is read: no gather, whose gradient would be a scatter.
    blocks = -(-frames // tau)  # frames may be a symbol, in exports
    alone = jnp.pad(jnp.where(read, z, jnp.zeros((), z.dtype)), ((0, 0), (0, blocks * tau - frames), (0, 0)))
    kept = alone.reshape(rows, blocks, tau, width).sum(2)
    return zero_padding(jnp.repeat(kept, tau, axis=1)[:, :frames], mask)


class Bottleneck(NamedTuple):
    """A way of narrowing the latents of each block of tau frames.

    Attributes:
      narrow: (latents [B, T, Z], mask, tau) -> latents that are the same at all frames of a block, zeros on padding.
      kept: (mask, tau) -> the frames that it reads, of the forward and of the backward half of the channels.
    """

    narrow: Callable[[Array, Array, int], Array]
    kept: Callable[[Array, int], tuple[Array, Array]]


BOTTLENECKS = {"last": Bottleneck(temporal_bottleneck, kept_frames)}
"""By the names that configurations have for them."""
