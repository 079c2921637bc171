"""Random initial weights: one distribution for every kernel, drawn all at once.

Every kernel is uniform with variance 1 / fan-in. `initialise` draws one random vector for a whole network instead of
one per parameter: the program that makes the parameters then compiles in a second rather than in tens, on every run
and in every test. While it traces the network, the initializers of this file give the limits of their distributions,
marked so that the parameters they make are known whatever their names.
"""

import contextvars
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Var, jaxpr_as_fun
from jaxtyping import Array

_limits_only = contextvars.ContextVar("limits_only", default=False)
_MARK = "limit of a random parameter"


def kernel_limit(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, batched: bool = False) -> Array:
    """An initializer in Flax's sense: uniform in +-sqrt(3 / fan-in), fan-in over all axes but the last.

    Args:
      key: PRNG key.
      shape: of the kernel, outputs last.
      dtype: of the parameter.
      batched: the first axis counts independent kernels.
    """
    limit = math.sqrt(3.0 / math.prod(shape[int(batched) : -1]))
    return _uniform(key, shape, dtype, limit)


def batched_kernel_limit(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """`kernel_limit` of a stack of kernels along the first axis."""
    return kernel_limit(key, shape, dtype, batched=True)


def embedding_limit(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """Uniform with unit variance: rows of a table are looked up, not summed."""
    return _uniform(key, shape, dtype, math.sqrt(3.0))


def _uniform(key: Array, shape: tuple[int, ...], dtype: Any, limit: float) -> Array:
    if _limits_only.get():
        return checkpoint_name(jnp.full(shape, limit, dtype), _MARK)
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def initialise(network: nn.Module, key: Array, *arguments: Any) -> dict:
    """The parameters of `network.init(key, *arguments)`, in distribution, from a single draw.

    Raises:
      ValueError: a parameter is random and no initializer of this file makes it.
    """

    def limits(key: Array) -> dict:
        token = _limits_only.set(True)
        try:
            variables: Any = network.init(key, *arguments)
            return variables["params"]
        finally:
            _limits_only.reset(token)

    program, shapes = jax.make_jaxpr(limits, return_shape=True)(jax.random.key(0))
    paths, tree = jax.tree_util.tree_flatten_with_path(shapes)
    marked, foreign = _random_outputs(program.jaxpr)
    if any(foreign):
        named = ", ".join(jax.tree_util.keystr(path) for (path, _), other in zip(paths, foreign, strict=True) if other)
        raise ValueError(f"{named}: drawn by an initializer that is not of copycat_jax.nn.initializers")
    leaves = jax.jit(jaxpr_as_fun(program))(jax.random.key(0))
    total = sum(leaf.size for leaf, drawn in zip(leaves, marked, strict=True) if drawn)
    noise = jax.random.uniform(key, (total,), jnp.float32, -1.0, 1.0)
    values, at = [], 0
    for leaf, drawn in zip(leaves, marked, strict=True):
        if drawn:
            leaf, at = leaf * noise[at : at + leaf.size].reshape(leaf.shape).astype(leaf.dtype), at + leaf.size
        values.append(leaf)
    return jax.tree_util.tree_unflatten(tree, values)


def _random_outputs(program: Any) -> tuple[list[bool], list[bool]]:
    """Of every output of a traced initialisation: is it marked as a limit, and does it depend on the key?"""
    marked, depending = set(), set(program.invars)
    for equation in program.eqns:
        if equation.params.get("name") == _MARK:
            marked.update(equation.outvars)
        if any(isinstance(given, Var) and given in depending for given in equation.invars):
            depending.update(equation.outvars)
    outputs = [out if isinstance(out, Var) else None for out in program.outvars]
    return [out in marked for out in outputs], [out in depending for out in outputs]
