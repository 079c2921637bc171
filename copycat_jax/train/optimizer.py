"""An optax chain and its schedule from plain fields."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from copycat_jax.errors import UserError, refuse_unknown

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """One parameter group's optimizer.

    Attributes:
      name: "adam" or "adamw" (decoupled weight decay on arrays of two or more dimensions).
      lr: peak learning rate.
      schedule: after the warm-up, "constant" or "cosine" down to lr * final_lr_ratio at the run's last step.
      warmup_steps: linear from 0.
      final_lr_ratio: floor of the cosine.
      b1, b2, eps: Adam's.
      weight_decay: "adamw" only.
      clip_norm: largest global norm of the group's gradient; 0 = no clipping.
    """

    name: str = "adam"
    lr: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    final_lr_ratio: float = 0.01
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0


def optimizer_configs(fields: dict, groups: Sequence[str]) -> dict[str, OptimizerConfig]:
    """One OptimizerConfig per group: the section's own fields, overridden by the sub-section named after the group.

    Raises:
      UserError: an unknown field, optimizer or schedule.
    """
    shared = {k: v for k, v in fields.items() if not isinstance(v, dict)}
    configs = {}
    for group in groups:
        merged = {**shared, **fields.get(group, {})}
        refuse_unknown(merged, (f.name for f in dataclasses.fields(OptimizerConfig)), "optimizer")
        configs[group] = OptimizerConfig(**merged)
        for value, choices in ((configs[group].name, OPTIMIZERS), (configs[group].schedule, SCHEDULES)):
            if value not in choices:
                raise UserError(f"unknown value '{value}'", "optimizer", f"Choose one of {', '.join(choices)}.")
    return configs


def make_schedule(config: OptimizerConfig, steps: int) -> Callable[[Any], Any]:
    """Step -> learning rate of a run of `steps` steps."""
    warmup = config.warmup_steps
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(config.lr, max(1, steps - warmup), alpha=config.final_lr_ratio)
    else:
        after = optax.constant_schedule(config.lr)
    if not warmup:
        return after
    # Step 0 already learns: the ramp ends at lr on step `warmup`, and starts one notch above zero.
    ramp = optax.linear_schedule(config.lr / (warmup + 1), config.lr, warmup)
    return optax.join_schedules([ramp, after], [warmup])


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The chain: clip by global norm, Adam, decoupled weight decay on matrices, schedule."""
    chain = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm > 0 else []
    chain.append(optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps, mu_dtype=jnp.float32))
    if config.name == "adamw" and config.weight_decay > 0:
        chain.append(
            optax.add_decayed_weights(config.weight_decay, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p))
        )
    chain.append(optax.scale_by_learning_rate(make_schedule(config, steps)))
    return optax.chain(*chain)
