"""Losses and gradients of a batch: at once, or in parts that follow each other and are added up.

A term is divided by its count over the whole batch, which a part does not know. So the counts of all parts are computed
first (they depend on masks; the traced program is reduced to what they need, which holds no network), and every part's
gradient is divided by them. Draws are those of the whole batch's rows (`nn.noise.part_of_batch`). The sum is the whole
batch's gradient but for the order of additions, in float32.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jax.interpreters import partial_eval
from jaxtyping import Array

from copycat_jax.nn.noise import part_of_batch
from copycat_jax.nn.placement import rows_apart
from copycat_jax.task import Rows, Task, Terms, total


class Gradients(NamedTuple):
    """Of every group: its loss, and the gradient of its parameters; and the (sum, count) of all terms."""

    loss: dict[str, Array]
    grads: dict[str, Any]
    sums: dict[str, tuple[Array, Array]]


def gradients(task: Task, params: Any, batch: Rows, rngs: Any, step: Array, counts: Any = None) -> Gradients:
    """Of all groups at the same parameters; every group receives what the one before it returned.

    Args:
      task: the pure functions.
      params: {group: parameters}.
      batch: the rows.
      rngs: {group: {stream: key}}.
      step: number of the step.
      counts: {term: count} to divide by in place of the batch's own.
    """
    losses, found, sums, carry = {}, {}, {}, None
    for group in task.groups:

        def loss_of(own: Any, group: str = group, carry: Any = carry) -> tuple[Array, tuple[Terms, Any]]:
            terms, following = task.loss[group]({**params, group: own}, batch, rngs[group], step, carry)
            shared = {n: t._replace(count=counts[n]) for n, t in terms.items()} if counts is not None else terms
            return total(shared), (terms, following)

        (loss, (terms, carry)), grads = jax.value_and_grad(loss_of, has_aux=True)(params[group])
        carry = jax.lax.stop_gradient(carry)
        losses[group], found[group] = loss, grads
        sums |= {name: (t.sum, t.count) for name, t in terms.items()}
    return Gradients(losses, found, sums)


def gradients_in_parts(task: Task, params: Any, batch: Rows, rngs: Any, step: Array, parts: int) -> Gradients:
    """`gradients` of a batch that is computed in `parts` equal parts, one after another: every `parts`-th row each.

    A device's rows stay on it; memory is that of one part, and of one more copy of the gradients.
    """

    def cut(x: Array) -> Array:
        rows = x.reshape(x.shape[0] // parts, parts, *x.shape[1:])
        return rows_apart(jnp.moveaxis(rows, 1, 0), 1)

    apart = type(batch)(*(cut(x) for x in batch))
    numbers = jnp.arange(parts, dtype=jnp.uint32)
    first = jax.tree.map(lambda x: x[0], apart)
    counted = _counts_alone(task, params, first, rngs, step, parts)

    def count(_: None, part: tuple[Array, Rows]) -> tuple[None, Any]:
        return None, counted(params, part[1], rngs, step, part[0])

    counts = jax.tree.map(lambda x: x.sum(0), jax.lax.scan(count, None, (numbers, apart))[1])

    def add(so_far: Gradients, part: tuple[Array, Rows]) -> tuple[Gradients, None]:
        number, rows = part
        with part_of_batch(number, parts):
            more = gradients(task, params, rows, rngs, step, counts)
        return jax.tree.map(jnp.add, so_far, more), None

    whole = jax.eval_shape(functools.partial(gradients, task), params, first, rngs, step)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), whole)
    return jax.lax.scan(add, zeros, (numbers, apart))[0]


def _counts_alone(task: Task, params: Any, rows: Rows, rngs: Any, step: Array, parts: int) -> Any:
    """The function (params, rows, rngs, step, number) -> {term: count} of one part, without what counts do not need."""

    def counts(params: Any, rows: Rows, rngs: Any, step: Array, number: Array) -> dict[str, Array]:
        with part_of_batch(number, parts):
            found, carry = {}, None
            for group in task.groups:
                terms, carry = task.loss[group](params, rows, rngs[group], step, carry)
                found |= {name: jnp.asarray(t.count, jnp.float32) for name, t in terms.items()}
            return found

    program, shape = jax.make_jaxpr(counts, return_shape=True)(params, rows, rngs, step, jnp.uint32(0))
    needed, used = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))

    compute = jaxpr_as_fun(program.replace(jaxpr=needed))

    def run(*given: Any) -> Any:
        leaves = [leaf for leaf, kept in zip(jax.tree.leaves(given), used, strict=True) if kept]
        return jax.tree.unflatten(jax.tree.structure(shape), compute(*leaves))

    return run
