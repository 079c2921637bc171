"""Random numbers of large arrays: each element's is a function of the key, its row and its place in the row.

`jax.random` draws an array as a whole: "rbg" makes every device draw the whole batch's numbers, "threefry" takes twenty
rounds an element. Here a counter is hashed where it is used: XLA fuses the few integer operations with what consumes
them, a device draws its own rows and no others, and a row has the same numbers on any number of devices. Dropout draws
again in the backward pass, so that no mask is stored. Good enough for dropout and for noise; not for secrets.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

_PART: contextvars.ContextVar = contextvars.ContextVar("part of the batch", default=(0, 1))


@contextlib.contextmanager
def part_of_batch(number: UInt32[Array, ""] | int, parts: int) -> Iterator[None]:
    """While something is traced: the rows drawn for are every `parts`-th row of a batch, from row `number` on."""
    token = _PART.set((number, parts))
    try:
        yield
    finally:
        _PART.reset(token)


def _mixed(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A bijection of 32-bit words, each output bit as likely to flip with any input bit (Wellons' `lowbias32`)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def bits(key: Key[Array, ""], shape: tuple[int, ...], period: int = 2**32) -> UInt32[Array, "..."]:
    """Random words of an array [B, ...].

    Args:
      key: a typed key, split or folded before; the same key gives the same words.
      shape: at most 2**32 elements a row. What follows along the second axis does not change what comes before.
      period: a power of two; the words of a row come again after so many.
    """
    number, parts = _PART.get()
    return _bits(key, jnp.asarray(number, jnp.uint32), shape, period, parts)


def _bits(key: Array, number: Array, shape: tuple[int, ...], period: int, parts: int) -> UInt32[Array, "..."]:
    first, second = jax.random.key_data(key)[:2]
    place, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(1, len(shape))):
        place += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
        stride *= shape[axis]
    row = jax.lax.broadcasted_iota(jnp.uint32, shape, 0) * jnp.uint32(parts) + number
    return _mixed(_mixed((place & jnp.uint32(period - 1)) ^ first) + _mixed(row ^ second))


def normal(key: Key[Array, ""], shape: tuple[int, ...], period: int = 2**32) -> Float[Array, "..."]:
    """Standard normal float32 numbers of an array [B, ...], of 2**23 values between -5.3 and 5.3; see `bits`."""
    centred = ((bits(key, shape, period) >> 9).astype(jnp.float32) + 0.5) * jnp.float32(2**-22) - 1.0  # in (-1, 1)
    return jnp.float32(2**0.5) * jax.lax.erf_inv(centred)


def uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform float32 numbers of an array [B, ...], of 2**24 values in [0, 1); see `bits`."""
    return (bits(key, shape) >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def dropout(key: Key[Array, ""], x: Float[Array, "*S"], rate: float) -> Float[Array, "*S"]:
    """Zeros a share `rate` of the elements of [B, ...] and scales the others up, so that the mean stays."""
    number, parts = _PART.get()
    return _dropout(key, jnp.asarray(number, jnp.uint32), x, rate, parts)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _dropout(key: Array, number: Array, x: Array, rate: float, parts: int) -> Array:
    kept = _bits(key, number, x.shape, 2**32, parts) >= jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
    return jnp.where(kept, x * jnp.asarray(1.0 / (1.0 - rate), x.dtype), jnp.zeros((), x.dtype))


def _forward(key: Array, number: Array, x: Array, rate: float, parts: int) -> tuple[Array, tuple[Array, Array]]:
    return _dropout(key, number, x, rate, parts), (key, number)


def _backward(rate: float, parts: int, saved: tuple[Array, Array], slope: Array) -> tuple[None, None, Array]:
    return None, None, _dropout(*saved, slope, rate, parts)


_dropout.defvjp(_forward, _backward)
