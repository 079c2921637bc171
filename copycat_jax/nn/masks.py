"""Which frames are real: lengths to masks, and sums that padding cannot touch.

Padding lies at the end of a row. Values on padding are replaced (`jnp.where`), never multiplied by zero, so that not
even a NaN there changes a bit of the result.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def length_mask(lengths: Int[Array, "B"], frames: int) -> Bool[Array, "B T"]:
    """True on the first `lengths[b]` of `frames` positions."""
    return jnp.arange(frames)[None, :] < lengths[:, None]


def lengths_of(mask: Bool[Array, "B T"]) -> Int[Array, "B"]:
    """Number of real frames of each row."""
    return mask.sum(1, dtype=jnp.int32)


def zero_padding(x: Float[Array, "B T *D"], mask: Bool[Array, "B T"]) -> Float[Array, "B T *D"]:
    """`x` with zeros on padding, whatever stood there."""
    return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 2)), x, jnp.zeros((), x.dtype))


def masked_sum(x: Float[Array, "B T D"], mask: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Sum over real frames, in float32."""
    return zero_padding(x.astype(jnp.float32), mask).sum(1)


def masked_mean(x: Float[Array, "B T D"], mask: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Mean over real frames, in float32; zeros for a row without any."""
    return masked_sum(x, mask) / jnp.maximum(lengths_of(mask), 1).astype(jnp.float32)[:, None]


def last_real(x: Float[Array, "B T D"], mask: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """The value at each row's last real frame."""
    last = jnp.maximum(lengths_of(mask) - 1, 0)
    return jnp.take_along_axis(x, last[:, None, None], axis=1)[:, 0]
