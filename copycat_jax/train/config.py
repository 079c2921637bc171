"""What a page of configs/ states: an experiment, and the sections of it that are the trainer's own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from copycat_jax.config import Config, setting

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("cosine", "constant")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Config, section="optimizer"):
    """One parameter group's optimizer.

    Attributes:
      name: "adam" or "adamw" (decoupled weight decay on arrays of two or more dimensions).
      lr: peak learning rate.
      schedule: after the warm-up, "cosine" down to lr * final_lr_ratio at the run's last step, or "constant".
      warmup_steps: linear from 0.
      final_lr_ratio: floor of the cosine.
      b1, b2, eps: Adam's.
      weight_decay: "adamw" only.
      clip_norm: largest global norm of the group's gradient; 0 = no clipping.
    """

    name: str = setting("adam", one_of=OPTIMIZERS)
    lr: float = 1e-3
    schedule: str = setting("cosine", one_of=SCHEDULES)
    warmup_steps: int = 0
    final_lr_ratio: float = 0.01
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0


@dataclasses.dataclass(frozen=True)
class TrainConfig(Config, section="train"):
    """A run: how long, from which random numbers, and what is written when.

    Attributes:
      steps: length of the run (schedules end here).
      seed: of every random stream.
      accumulate: a batch is computed in so many parts, one after another, whose gradients are added: the step of the
        whole batch but for rounding, in the memory of a part. Rows are shared out as if there were so many times the
        devices: 1 device in 8 parts trains on the batches of 8 devices.
      ema_decay: of the moving average of the group "model", ramped up by (1 + n) / (10 + n); 0 = none.
      guard: discard updates that are not finite. Off only to measure what it costs.
      skip_bad: how many discarded updates in 1000 steps are passed over, each with the utterances of its batch named;
        one more ends the run.
      log_every, eval_every, save_every, render_every: in steps; 0 = never (a run always saves its end). Where there is
        evaluation at all, what is saved by `save_every` and at the end is evaluated too.
      save_minutes: save also when so long nothing was saved, at the next step that is logged; 0 = never.
      compare_every: in steps: compare all devices' copies of the state, as before every save; 0 = only then.
      keep, keep_every: checkpoints kept beside the best: the latest so many, and all at multiples of so many steps (0 =
        none).
      threads: reader threads of the input pipeline.
      stall_s: a run in which no step, evaluated batch or save ends for so many seconds is given up; 0: measured, ten
        times the longest of its kind so far and at least five minutes.
      start_s: likewise for a part of start-up and a compilation; 0: 15 and 30 minutes.
      init_from: run folder whose parameters (EMA) this run starts from, for the groups both have; "" = fresh.
    """

    # What is computed.
    steps: int = setting(1000, at_least=1)
    seed: int = 0
    accumulate: int = setting(1, at_least=1)
    ema_decay: float = 0.999
    guard: bool = True
    skip_bad: int = setting(3, at_least=0)
    init_from: str = ""
    # What is written, and by how many hands read.
    log_every: int = 100
    eval_every: int = 1000
    save_every: int = 1000
    save_minutes: float = setting(30.0, at_least=0)
    render_every: int = 0
    compare_every: int = 1000
    keep: int = setting(3, at_least=1)
    keep_every: int = setting(0, at_least=0)
    threads: int = 8
    stall_s: float = setting(0.0, at_least=0)
    start_s: float = setting(0.0, at_least=0)


# A run of seconds, for tests.
TINY_TRAINING = TrainConfig(steps=40, log_every=10, eval_every=20, save_every=20, threads=2)


@dataclasses.dataclass(frozen=True)
class MeshConfig(Config, section="mesh"):
    """Sizes of the device mesh; -1 takes what the other axis leaves.

    Attributes:
      data: devices that share the batch only.
      fsdp: devices that share the parameters too.
    """

    data: int = -1
    fsdp: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What `get_config` of a page returns.

    Attributes:
      task: "package.module:function", called as (section `model`, sizes of the data) -> `Task`. Where to import from,
        no more: what a run is of is told by the name of its task.
      model: the model's own config.
      data: of what reads the data; the config of `inputs`.
      optimizer: of all groups of parameters.
      groups: fields of the optimizer that are others for one group, such as {"adversary": {"lr": 2e-4}}.
      train, mesh: of the trainer.
      inputs: "package.module:function" that opens the data, see `data.inputs.Inputs`.
    """

    task: str
    model: Config
    data: Config
    optimizer: OptimizerConfig = OptimizerConfig()
    groups: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    mesh: MeshConfig = MeshConfig()
    inputs: str = "copycat_jax.data.inputs:corpus_inputs"

    def to_dict(self) -> dict[str, Any]:
        """The whole configuration, every default filled in, as nested dictionaries."""
        fields = dataclasses.asdict(self)
        groups = fields.pop("groups")
        return {**fields, "optimizer": {**fields["optimizer"], **groups}}


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the defaults of the trainer's own sections filled in; raises UserError like `from_dict`."""
    optimizer = config.get("optimizer", {})
    groups = {name: dict(fields) for name, fields in optimizer.items() if isinstance(fields, Mapping)}
    shared = OptimizerConfig.from_dict({name: value for name, value in optimizer.items() if name not in groups})
    sections = {s.section: s.from_dict(config.get(s.section, {})).to_dict() for s in (TrainConfig, MeshConfig)}
    return {**config, **sections, "optimizer": {**shared.to_dict(), **groups}}
