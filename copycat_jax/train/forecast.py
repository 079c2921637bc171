"""What a run will take on machines that are not there: compiled for as many virtual CPU devices, timed by a model.

Compiled, hence exact for the program as XLA lays it out for CPUs: how the state and the batch are shared, which
collectives there are and what they carry. Estimated: working memory (CPUs hold bfloat16 as float32 and fuse less, so a
GPU or TPU needs less) and time. The model of a step, for one bucket of T frames on n devices:

  computing   T * recurrent_s + flops / (n * peak * efficiency). Fitted to the `base` CopyCat at 128 rows of 800 frames
              on one H100, 37.2 ms [measured], and to how a prototype's step grew with its rows (14.7 and 33.8 ms at 32
              and 128, H200) [measured]. Where the persistent recurrences do not run, on anything but Hopper, the
              scan's: 34.4 and 65.6 ms at 32 and 128 rows on an H100 [measured]; that it is alike on other chips is a
              guess, as it is for models with other recurrences.
  waiting     SYNC_S once there are two devices, fitted to two H100s at 32 rows each (1.88 times one). The same constant
              gives 1.94 at 128 rows and 1.89 with the faster step, measured: 1.94, and 1.88 to 1.90.
  reducing    2 bytes / bandwidth along the links of a host (or slice), then each device's share between hosts, at
              LINK_EFFICIENCY of the data sheet, and HOP_S for each of log2(hosts) stages of each collective. A guess.

Nothing is taken to overlap. Left out: stragglers, which grow with the hosts; input, checkpoints, evaluation.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from copycat_jax.console import duration
from copycat_jax.records import allocate, sizes_of
from copycat_jax.task import Rows, Task
from copycat_jax.train.collectives import Collectives, collectives_of
from copycat_jax.train.flops import flops_of
from copycat_jax.train.topology import Topology
from copycat_jax.train.trainer import Trainer

PERSISTENT = ("h100", "h200")  # where the recurrences keep their weights in shared memory, see nn/persistent.py


class Pace(NamedTuple):
    """Seconds a frame, for what is serial in time; share of the peak, for the rest."""

    recurrent_s: float
    efficiency: float


KERNELS, SCAN = Pace(10.4e-6, 0.304), Pace(30.0e-6, 0.211)
SYNC_S, LINK_EFFICIENCY, HOP_S = 2.0e-3, 0.7, 10e-6


def step_seconds(topology: Topology, flops: float, frames: int, sent: Collectives) -> dict[str, float]:
    """Seconds of "computing", "waiting" and "reducing" of one step.

    Args:
      topology: the machines.
      flops: of the step, over all devices.
      frames: T, to which the rows are padded.
      sent: between devices.
    """
    chip, devices = topology.chip, topology.devices
    pace = KERNELS if topology.name in PERSISTENT else SCAN
    computing = frames * pace.recurrent_s + flops / (devices * chip.flops * pace.efficiency)
    return {
        "computing": computing,
        "waiting": SYNC_S if devices > 1 else 0.0,
        "reducing": _reducing(topology, sent) if devices > 1 else 0.0,
    }


def _reducing(topology: Topology, sent: Collectives) -> float:
    chip = topology.chip
    near, far = (topology.devices, 1) if chip.slices else (topology.per_host, topology.hosts)
    ring = lambda n, size, speed: 2 * size * (n - 1) / n / (speed * LINK_EFFICIENCY)  # noqa: E731
    within = ring(near, sent.bytes, chip.link_bytes_per_s)
    between = ring(far, sent.bytes / near, chip.network_bytes_per_s)
    return within + between + sent.count * HOP_S * math.ceil(math.log2(topology.devices))


class Forecast(NamedTuple):
    """What a run takes; see the module's docstring for what of it is estimated."""

    topology: Topology
    rows: int  # of the largest batch, over all devices
    frames: int
    parameters: int
    state_gib: float  # on one device
    batch_gib: float
    working_gib: float
    sent: Collectives  # in a step of the largest batch
    step_s: dict[str, float]  # mean over an epoch's steps: "computing", "waiting", "reducing"
    epoch_steps: float | None
    steps: int


def forecast(
    task: Task,
    config: dict[str, Any],
    batch: Rows,
    topology: Topology,
    shapes: Sequence[tuple[int, int, int]] = (),
    epoch_steps: Sequence[float] = (),
) -> Forecast:
    """Compiles the largest batch for the virtual devices and counts the work of all.

    Args:
      task: the model's pure functions.
      config: the resolved configuration.
      batch: a whole batch (of arrays, or of their shapes), for what the shapes do not say.
      topology: as many devices as JAX shows now.
      shapes: (rows, frames, phonemes) of the buckets; that of `batch` alone by default.
      epoch_steps: steps of an epoch in each of them.

    Raises:
      UserError: the batches cannot be shared by the devices.
    """
    trainer = Trainer(task, config, batch)
    batches = [_shaped(batch, shape) for shape in shapes] or [_abstract(batch)]
    weights = list(epoch_steps) or [1.0] * len(batches)
    largest = max(range(len(batches)), key=lambda i: batches[i].mask.size)
    traced = [trainer.traced(b) for b in batches]
    flops, compiled = [flops_of(t.jaxpr) for t in traced], traced[largest].lower().compile()
    sent, memory = collectives_of(compiled.as_text()), compiled.memory_analysis()
    spent = [step_seconds(topology, f, b.mask.shape[1], sent) for f, b in zip(flops, batches, strict=True)]
    mean = {k: sum(w * s[k] for w, s in zip(weights, spent, strict=True)) / sum(weights) for k in spent[0]}
    rows, frames = batches[largest].mask.shape[:2]
    state = [(x.sharding.shard_shape(x.shape), x.dtype.itemsize) for x in jax.tree.leaves(trainer.abstract)]
    batch_bytes = sum(math.prod(x.shape) * x.dtype.itemsize for x in batches[largest])
    return Forecast(
        topology=topology,
        rows=rows,
        frames=frames,
        parameters=sum(x.size for x in jax.tree.leaves(trainer.abstract.params)),
        state_gib=sum(math.prod(shape) * size for shape, size in state) / 2**30,
        batch_gib=batch_bytes / topology.devices / 2**30,
        working_gib=memory.temp_size_in_bytes / 2**30,
        sent=sent,
        step_s=mean,
        epoch_steps=sum(epoch_steps) or None,
        steps=trainer.train.steps,
    )


def _abstract(batch: Any) -> Any:
    return type(batch)(*(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in batch))


def _shaped(batch: Any, shape: tuple[int, int, int]) -> Any:
    return allocate(type(batch), sizes_of(batch) | dict(zip("BTP", shape, strict=True)), jax.ShapeDtypeStruct)


def page(found: Forecast) -> str:
    """The forecast as lines for the terminal."""
    t, sent, step = found.topology, found.sent, sum(found.step_s.values())
    needed = found.state_gib + found.batch_gib + found.working_gib
    parts = ", ".join(f"{1e3 * s:.1f} {name}" for name, s in found.step_s.items())
    lines = [
        f"{t.devices} x {t.name} (hosts x devices: {t.hosts} x {t.per_host}), {found.parameters:,} parameters",
        f"largest batch     {found.rows:,} rows of {found.frames} frames, {found.rows / t.devices:g} a device",
        f"memory a device   state {found.state_gib:.3f} GiB, batch {found.batch_gib:.3f}, working at most "
        f"{found.working_gib:.2f} (estimated): {needed:.2f} of {t.chip.memory_gib:g} GiB",
        f"sent a step       {sent.bytes / 1e6:.1f} MB in {sent.count} collectives"
        + (f", {sent.in_loops} of them inside loops" if sent.in_loops else ""),
        f"step (estimated)  {1e3 * step:.1f} ms: {parts}",
    ]
    if found.epoch_steps:
        lines.append(f"epoch (estimated) {found.epoch_steps:,.0f} steps, {duration(found.epoch_steps * step)}")
    lines.append(
        f"run (estimated)   {found.steps:,} steps, {duration(found.steps * step)}, without compiling and saving"
    )
    if needed > t.chip.memory_gib:
        lines.append(f"warning: more than the {t.chip.memory_gib:g} GiB of the device, by this estimate")
    return "\n".join(lines)
