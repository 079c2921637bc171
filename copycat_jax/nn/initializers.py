"""Random initial weights: one distribution for every kernel, drawn all at once.

Every kernel is uniform with variance 1 / fan-in. `initialise` draws one random vector for a whole network instead of
one per parameter: the program that makes the parameters then compiles in a second rather than in tens, on every run
and in every test.
"""

import contextvars
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

_limits_only = contextvars.ContextVar("limits_only", default=False)
_RANDOM = ("kernel", "embedding")


def kernel_limit(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, batched: bool = False) -> Array:
    """An initializer in Flax's sense: uniform in +-sqrt(3 / fan-in), fan-in over all axes but the last.

    Args:
      key: PRNG key.
      shape: of the kernel, outputs last.
      dtype: of the parameter.
      batched: the first axis counts independent kernels.
    """
    limit = math.sqrt(3.0 / math.prod(shape[int(batched) : -1]))
    if _limits_only.get():
        return jnp.full(shape, limit, dtype)
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def batched_kernel_limit(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """`kernel_limit` of a stack of kernels along the first axis."""
    return kernel_limit(key, shape, dtype, batched=True)


def embedding_limit(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """Uniform with unit variance: rows of a table are looked up, not summed."""
    limit = math.sqrt(3.0)
    return jnp.full(shape, limit, dtype) if _limits_only.get() else jax.random.uniform(key, shape, dtype, -limit, limit)


def initialise(network: nn.Module, key: Array, *arguments: Any) -> dict:
    """The parameters of `network.init(key, *arguments)`, in distribution, from a single draw.

    Parameters whose name ends in "kernel" or "embedding" are random, all others are as their initializers make them.
    """

    def limits() -> dict:
        token = _limits_only.set(True)
        try:
            variables: Any = network.init(jax.random.key(0), *arguments)
            return variables["params"]
        finally:
            _limits_only.reset(token)

    leaves, tree = jax.tree_util.tree_flatten_with_path(jax.jit(limits)())
    random = [path[-1].key.endswith(_RANDOM) for path, _ in leaves]
    total = sum(leaf.size for (_, leaf), drawn in zip(leaves, random, strict=True) if drawn)
    noise = jax.random.uniform(key, (total,), jnp.float32, -1.0, 1.0)
    values, at = [], 0
    for (_, leaf), drawn in zip(leaves, random, strict=True):
        if drawn:
            leaf, at = leaf * noise[at : at + leaf.size].reshape(leaf.shape).astype(leaf.dtype), at + leaf.size
        values.append(leaf)
    return jax.tree_util.tree_unflatten(tree, values)
