"""A task on a mesh: configuration checked, shapes traced, functions compiled. No arrays live here, and no loop.

Abstract first, allocate once: shapes come from `eval_shape`, shardings from the shapes, and only then a jitted
initialisation makes every array where it belongs.
"""

import concurrent.futures
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.records import allocate, sizes_of
from copycat_jax.task import Rows, Task
from copycat_jax.train import sharding, watchdog
from copycat_jax.train.checkpoint import restore_params
from copycat_jax.train.config import MeshConfig, TrainConfig
from copycat_jax.train.flops import flops_of
from copycat_jax.train.optimizer import make_optimizer, make_schedule, optimizer_configs
from copycat_jax.train.state import EMA_GROUP, TrainState
from copycat_jax.train.step import empty_metrics, jit_step, make_eval_step, make_init, make_train_step


class Trainer:
    """A task on a mesh: its abstract state, shardings and compiled functions. Holds no arrays.

    Batches are NamedTuples of arrays whose first axis is the rows, with a field `mask` of what is real: `Batch`, or the
    type of a task that is fed something else. Buckets can be compiled ahead where the type declares its axes (see
    `records`).

    Args:
      task: the model's pure functions.
      config: the resolved configuration as a plain dictionary with sections optimizer, train, mesh.
      sample: one of this process's batches (any bucket), for shapes only.
    """

    def __init__(self, task: Task, config: dict[str, Any], sample: Rows):
        self.task, self.config = task, config
        self.train = TrainConfig.from_dict(config.get("train", {}))
        self.mesh = sharding.make_mesh(**MeshConfig.from_dict(config.get("mesh", {})).to_dict())
        configs = optimizer_configs(dict(config.get("optimizer", {})), task.groups)
        optimizers = {g: make_optimizer(c, self.train.steps) for g, c in configs.items()}
        schedules = {g: make_schedule(c, self.train.steps) for g, c in configs.items()}
        self._init = make_init(task, optimizers, self.train)
        self._abstract_batch = self._global_shapes(sample)
        rows, frames = self._abstract_batch.mask.shape[:2]
        self.check(rows, frames, self.train.accumulate)
        abstract = jax.eval_shape(self._init, self._abstract_batch)
        self.shardings = sharding.state_shardings(abstract, task.sharding_rules, self.mesh)
        self.abstract = jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), abstract, self.shardings
        )
        self.step_function = make_train_step(task, optimizers, schedules, self.train)
        self._empty = empty_metrics(
            self.step_function, self.abstract, self._abstract_batch, slots=self.train.skip_bad + 1
        )
        self._jitted = jit_step(self.step_function, self.shardings, self.mesh)
        self._compiled: dict[tuple, Any] = {}
        self._flops: dict[tuple, float] = {}
        self._rows = sharding.batch_sharding(self.mesh)
        whole = sharding.replicated(self.mesh)
        self.evaluate = jax.jit(
            make_eval_step(task), in_shardings=(self.shardings.params, self._rows), out_shardings=whole
        )

    def _global_shapes(self, batch: Rows) -> Rows:
        processes = jax.process_count()
        return _like(batch, (jax.ShapeDtypeStruct((x.shape[0] * processes, *x.shape[1:]), x.dtype) for x in batch))

    def check(self, rows: int, frames: int, parts: int = 1) -> None:
        """Raises UserError where a batch of so many rows and frames, in parts, does not fit the devices or the task."""
        if rows % (self.mesh.size * parts):
            each = f" in {parts} parts" if parts > 1 else ""
            what = f"{rows} rows do not divide over {self.mesh.size} devices{each}"
            times = ", times train.accumulate" if parts > 1 else ""
            raise UserError(what, "data", f"Use a multiple of the devices{times}.")
        if frames < self.task.min_frames:
            what = f"batches of {frames} frames, '{self.task.name}' needs {self.task.min_frames}"
            raise UserError(what, "data", "Raise data.min_frames; of a vocoder data.window_frames.")
        if frames % self.task.frames_multiple:
            what = f"batches of {frames} frames, '{self.task.name}' needs a multiple of {self.task.frames_multiple}"
            raise UserError(what, "data", f"Set data.multiple_of={self.task.frames_multiple}.")

    def summary(self, shapes: Sequence[tuple[int, int, int]] = ()) -> str:
        """One line: the mesh, the rows of every device, the parameters."""
        rows = {n // self.mesh.size for n, _, _ in shapes} or {self._abstract_batch[0].shape[0] // self.mesh.size}
        each = f"{min(rows)} to {max(rows)}" if len(rows) > 1 else f"{min(rows)}"
        sizes = {g: sum(x.size for x in jax.tree.leaves(self.abstract.params[g])) for g in self.task.groups}
        parameters = ", ".join(f"{n:,} parameters of '{group}'" for group, n in sizes.items())
        mesh = " x ".join(f"{name} {size}" for name, size in self.mesh.shape.items())
        return f"mesh {mesh}, {each} rows a device, {parameters}"

    def init(self) -> TrainState:
        """A fresh state, made in its shardings: nothing is ever whole on one device."""
        sample = self._abstract_batch
        with jax.set_mesh(self.mesh):
            zeros = lambda: _like(sample, (jnp.zeros(x.shape, x.dtype) for x in sample))  # noqa: E731
            # Runs once: on CPU, optimising it takes five times as long as compiling it plainly [measured].
            options = {"xla_backend_optimization_level": 0} if self.mesh.devices.flat[0].platform == "cpu" else None
            return jax.jit(lambda: self._init(zeros()), out_shardings=self.shardings, compiler_options=options)()

    def metrics(self) -> dict[str, Any]:
        """An empty metrics window on the devices."""
        return jax.device_put(self._empty, sharding.replicated(self.mesh))

    def put(self, batch: Rows) -> Rows:
        """This process's rows as its part of the global batch."""
        self.check(batch[0].shape[0] * jax.process_count(), batch.mask.shape[1])
        if jax.process_count() == 1:
            return jax.device_put(batch, self._rows)
        with jax.transfer_guard("allow"):  # the helper's own copies count as implicit
            return _like(batch, (jax.make_array_from_process_local_data(self._rows, np.asarray(x)) for x in batch))

    def step_for(self, state: TrainState, metrics: Any, batch: Rows) -> tuple[Any, float]:
        """The compiled step for this batch's shapes, and the seconds its compilation took (0 if it was there)."""
        key = tuple(x.shape for x in batch)
        if key in self._compiled:
            return self._compiled[key], 0.0
        rows, frames = batch.mask.shape[:2]
        self.check(rows, frames, self.train.accumulate)
        began = time.perf_counter()
        watchdog.reached("compile")
        self._compile(key, self._jitted.trace(state, metrics, batch))
        return self._compiled[key], time.perf_counter() - began

    def flops_of(self, batch: Rows) -> float:
        """Floating-point operations of the compiled step for this batch's shapes, over all devices; see `flops`."""
        return self._flops[tuple(x.shape for x in batch)]

    def traced(self, batch: Rows) -> Any:
        """The step traced for a batch of these shapes, of arrays or abstract: nothing is allocated."""
        whole = sharding.replicated(self.mesh)
        metrics = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), self._empty)
        rows = _like(batch, (jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._rows) for x in batch))
        with jax.set_mesh(self.mesh):
            return self._jitted.trace(self.abstract, metrics, rows)

    def _compile(self, key: tuple, traced: Any) -> None:
        self._flops[key], self._compiled[key] = flops_of(traced.jaxpr), traced.lower().compile()

    def compile_ahead(self, shapes: Sequence[tuple[int, int, int]]) -> float:
        """Compiles the step for every (rows of all hosts, frames, phonemes) at once; returns the seconds it took.

        XLA compiles outside Python's lock: as many buckets as there are cores cost little more than the slowest.
        """
        for rows, frames, _ in shapes:
            self.check(rows, frames, self.train.accumulate)
        began = time.perf_counter()

        def compile_one(shape: tuple[int, int, int]) -> None:
            sizes = sizes_of(self._abstract_batch) | dict(zip("BTP", shape, strict=True))
            batch = allocate(type(self._abstract_batch), sizes, jax.ShapeDtypeStruct)
            self._compile(tuple(x.shape for x in batch), self.traced(batch))

        pool = concurrent.futures.ThreadPoolExecutor(max(1, min(len(shapes), os.cpu_count() or 1)))
        try:
            list(pool.map(compile_one, shapes))
        finally:  # an interrupt waits for no compilation
            pool.shutdown(wait=False, cancel_futures=True)
        return time.perf_counter() - began


def _like(batch: Any, fields: Iterable[Any]) -> Any:
    """Other fields in the batch's own type: a `Batch`, or the NamedTuple of a task that is fed something else."""
    return type(batch)(*fields)


def initial_state(trainer: Trainer) -> TrainState:
    """A fresh state, with the parameters of `train.init_from` where both have the group."""
    state, source = trainer.init(), trainer.train.init_from
    if not source:
        return state
    params, _, step = restore_params(source, ema=True)
    shared = [g for g in trainer.task.groups if g in params]
    if not shared:
        raise UserError(f"has none of the groups {trainer.task.groups}", source, "Start from a run of the same task.")
    new = dict(state.params)
    for group in shared:
        old_shapes = jax.tree.map(np.shape, params[group])
        if old_shapes != jax.tree.map(lambda x: x.shape, state.params[group]):
            raise UserError(
                f"parameters of '{group}' have other shapes", source, "Use the same model section as that run."
            )
        new[group] = jax.tree.map(jax.device_put, params[group], trainer.shardings.params[group])
    ema = state.ema
    if ema and EMA_GROUP in shared:
        ema = jax.tree.map(jax.device_put, params[EMA_GROUP], trainer.shardings.ema)
    console.say(f"started from the parameters of {source} at step {step}: {', '.join(shared)}")
    return state._replace(params=new, ema=ema)
