"""Counting what a function computes, and what the machine can: the two sides of a utilisation figure."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp


def count_flops(function: Callable, *arguments: Any) -> float:
    """Floating-point operations of the matrix products and convolutions of `function`, two per multiply-add.

    The traced program is walked, loops times their length (the compiler's own cost analysis counts the body of a loop
    once, which leaves out nearly all of a recurrence). Elementwise work is not counted. `arguments` may be abstract.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[d] for d in contracted)
        elif name == "conv_general_dilated":
            kernel, numbers = equation.invars[1].aval.shape, parameters["dimension_numbers"]
            features = kernel[numbers.rhs_spec[0]]
            total += 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / features
        elif name == "cond":
            total += max((_count(branch.jaxpr) for branch in parameters["branches"]), default=0.0)
        else:
            total += _repeats(name, parameters) * sum(_count(inner) for inner in _inner(parameters))
    return total


def _repeats(name: str, parameters: dict[str, Any]) -> int:
    if name == "scan":
        return parameters["length"]
    if name == "pallas_call":
        return math.prod(n for n in parameters["grid_mapping"].grid if isinstance(n, int))
    return 1


def _inner(parameters: dict[str, Any]) -> Iterator[Any]:
    for value in parameters.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(item, "jaxpr", item)  # closed or open
            if hasattr(inner, "eqns"):
                yield inner


def matmul_ceiling(dtype: str = "bfloat16", size: int | None = None, repeats: int = 10) -> float:
    """FLOP/s of one large square matrix product on one device, median of `repeats`: measured, not the data sheet's."""
    size = size or (8192 if jax.default_backend() in ("gpu", "tpu") else 1024)
    a = jax.random.normal(
        jax.random.key(0), (size, size), jnp.dtype(dtype)
    )  # constants draw less power, and run faster
    product = jax.jit(lambda x, y: x @ y)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2.0 * size**3 / statistics.median(seconds)
