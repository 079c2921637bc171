"""Counting what a function computes."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count_flops(function: Callable, *arguments: Any) -> float:
    """Floating-point operations of the matrix products and convolutions of `function`, two per multiply-add.

    The traced program is walked, loops times their length (the compiler's own cost analysis counts the body of a loop
    once, which leaves out nearly all of a recurrence). Elementwise work is not counted. `arguments` may be abstract.
    """
    return flops_of(jax.make_jaxpr(function)(*arguments))


def flops_of(traced: Any) -> float:
    """`count_flops` of what is traced already: a (closed) jaxpr."""
    jaxpr = getattr(traced, "jaxpr", traced)
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
            total += max((flops_of(branch) for branch in parameters["branches"]), default=0.0)
        else:
            total += _repeats(name, parameters) * sum(flops_of(inner) for inner in _inner(parameters))
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
