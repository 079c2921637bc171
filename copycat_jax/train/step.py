"""One training step and one evaluation step: pure, jitted, shardings declared, state donated.

All groups of a step see the parameters as they were when the step began: the adversary judges what the generator made
*before* this step's update, whose output it receives as `carry`. So the two gradients are taken at one point, neither
waits for the other's update, and a step is a function of (state, batch) alone. They are still applied in the order of
`task.groups`.

A step whose loss or gradient norm is not finite in any group changes nothing but the step count, and notes its number
in the metrics, as does the step of the highest loss; the loop reads that when it next looks at the metrics.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int

from copycat_jax.task import Rows, Task, Term, Terms, total
from copycat_jax.train.config import TrainConfig
from copycat_jax.train.gradients import gradients, gradients_in_parts
from copycat_jax.train.sharding import batch_sharding, replicated
from copycat_jax.train.state import EMA_GROUP, TrainState, stream_key

Metrics = dict[str, tuple[Array, Array]]


def make_init(
    task: Task, optimizers: dict[str, optax.GradientTransformation], config: TrainConfig
) -> Callable[[Rows], TrainState]:
    """batch -> TrainState at step 0; jit it with out_shardings so that nothing is ever whole on one device."""

    def init(batch: Rows) -> TrainState:
        params = task.init(stream_key(config.seed, "init", 0), batch)
        # Copies: the state is donated, and no buffer may be donated twice.
        ema = jax.tree.map(jnp.copy, params[EMA_GROUP]) if config.ema_decay > 0 else {}
        opt_state = {g: optimizers[g].init(params[g]) for g in task.groups}
        return TrainState(jnp.zeros((), jnp.int32), {g: params[g] for g in task.groups}, opt_state, ema)

    return init


def _finite(values: list) -> Bool[Array, ""]:
    return jnp.all(jnp.isfinite(jnp.stack([jnp.asarray(v, jnp.float32) for v in values])))


def _average(ema: Any, params: Any, step: Int[Array, ""], decay: float) -> Any:
    n = step.astype(jnp.float32)
    d = jnp.minimum(decay, (1.0 + n) / (10.0 + n))
    return jax.tree.map(lambda e, p: e + (1.0 - d) * (p - e), ema, params)


def make_train_step(
    task: Task, optimizers: dict[str, optax.GradientTransformation], schedules: dict[str, Callable], config: TrainConfig
) -> Callable:
    """The pure step (state, metrics, batch) -> (state, metrics); `compile_step` jits it.

    `metrics` is a window that every step adds to on the device:

    * "terms", {name: (sum, count)}: the task's, and "loss/GROUP", "grad_norm/GROUP" (before clipping), "lr/GROUP" and
      "frames" (real ones); without the discarded steps;
    * "bad": how many steps were discarded, and the numbers of the first `skip_bad + 1` of them;
    * "peak": the highest loss of the first group, its step, and the sum of the squares of that loss.
    """
    lead = f"loss/{task.groups[0]}"

    def step(state: TrainState, metrics: dict[str, Any], batch: Rows) -> tuple[TrainState, dict[str, Any]]:
        params, opt_state = dict(state.params), dict(state.opt_state)
        rngs = {g: {n: stream_key(config.seed, f"{g}/{n}", state.step) for n in task.rng_names} for g in task.groups}
        parts = {} if config.accumulate == 1 else {"parts": config.accumulate}
        found = (gradients_in_parts if parts else gradients)(task, state.params, batch, rngs, state.step, **parts)
        added: Metrics = {"frames": (jnp.sum(batch.mask, dtype=jnp.float32), jnp.float32(1)), **found.sums}
        watched = []
        for group in task.groups:
            loss, grads = found.loss[group], found.grads[group]
            norm = optax.global_norm(grads)
            updates, opt_state[group] = optimizers[group].update(grads, opt_state[group], params[group])
            params[group] = optax.apply_updates(params[group], updates)
            watched += [loss, norm]
            added[f"loss/{group}"], added[f"grad_norm/{group}"] = (loss, jnp.float32(1)), (norm, jnp.float32(1))
            added[f"lr/{group}"] = (jnp.asarray(schedules[group](state.step), jnp.float32), jnp.float32(1))
        ema = _average(state.ema, params[EMA_GROUP], state.step, config.ema_decay) if config.ema_decay > 0 else {}
        new = TrainState(state.step, params, opt_state, ema)
        bad = metrics["bad"]
        if config.guard:
            good = _finite(watched)
            new = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, state)
            added = jax.tree.map(lambda x: jnp.where(good, x, jnp.zeros_like(x)), added)
            bad = _noted(bad, state.step, good)
        sums = {k: (metrics["terms"][k][0] + s, metrics["terms"][k][1] + c) for k, (s, c) in added.items()}
        window = {"terms": sums, "bad": bad, "peak": _risen(metrics["peak"], state.step, *added[lead])}
        return new._replace(step=state.step + 1), window

    return step


def _noted(bad: tuple, step: Int[Array, ""], good: Bool[Array, ""]) -> tuple:
    count, steps = bad
    here = (jnp.arange(len(steps), dtype=jnp.int32) == count) & ~good
    return count + jnp.where(good, 0, 1).astype(jnp.int32), jnp.where(here, step, steps)


def _risen(peak: tuple, step: Int[Array, ""], loss: Array, count: Array) -> tuple:
    highest, at, squares = peak
    rises = (loss > highest) & (count > 0)
    return jnp.where(rises, loss, highest), jnp.where(rises, step, at), squares + loss * loss


def empty_metrics(step: Callable, state: Any, batch: Any, slots: int) -> dict[str, Any]:
    """An empty window of the metrics that `step` (from `make_train_step`) adds to, as NumPy values; only traced.

    Args:
      step: the pure step.
      state, batch: what it is traced with; abstract ones do.
      slots: how many discarded steps are noted by number, `skip_bad + 1`.
    """

    class _Any(dict):  # any name reads as (0, 0), so that one trace tells which names there are
        def __missing__(self, key):
            return np.float32(0), np.float32(0)

    bad = np.int32(0), np.full(slots, -1, np.int32)
    peak = np.float32(-np.inf), np.int32(-1), np.float32(0)

    def probe(s, b):
        return step(s, {"terms": _Any(), "bad": bad, "peak": peak}, b)[1]["terms"]

    names = jax.eval_shape(probe, state, batch)
    return {"terms": {k: (np.float32(0), np.float32(0)) for k in names}, "bad": bad, "peak": peak}


def jit_step(step: Callable, shardings: Any, mesh: Mesh) -> Callable:
    """`step` jitted over `mesh`: declared shardings in and out, state and metrics donated."""
    whole = replicated(mesh)
    return jax.jit(
        step,
        in_shardings=(shardings, whole, batch_sharding(mesh)),
        out_shardings=(shardings, whole),
        donate_argnums=(0, 1),
    )


def make_eval_step(task: Task) -> Callable[[Any, Rows], tuple[Terms, Int[Array, ""]]]:
    """The pure (params, batch) -> the task's terms, and how many rows of the batch are real."""

    def evaluate(params: Any, batch: Rows) -> tuple[Terms, Int[Array, ""]]:
        terms = task.evaluate(params, batch)
        real = batch.mask.reshape(len(batch.mask), -1).any(1).sum(dtype=jnp.int32)
        return {name: Term(*(jnp.asarray(x, jnp.float32) for x in term)) for name, term in terms.items()}, real

    return evaluate


def evaluation_of(batches: Sequence[tuple[Terms, Any]]) -> dict[str, float]:
    """Metrics over all rows of all batches (what `make_eval_step` gave, on the host), each row weighing as any other.

    "loss" is the weighted total of them, "rows" how many rows there were.
    """

    def over_all(name: str, part: int) -> Any:
        return np.sum([terms[name][part] for terms, _ in batches], dtype=np.float64)

    whole = {
        name: Term(over_all(name, 0), over_all(name, 1), float(term.weight)) for name, term in batches[0][0].items()
    }
    values = divide({name: (term.sum, term.count) for name, term in whole.items()})
    return {**values, "loss": float(total(whole)), "rows": int(sum(rows for _, rows in batches))}


def divide(metrics: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """The one division: {name: sum / count} of what was counted, as Python floats; call it on host values."""
    return {name: float(s) / float(c) for name, (s, c) in metrics.items() if float(c)}
