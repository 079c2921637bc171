"""An optax chain and its schedule from plain fields."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from copycat_jax.train.config import OptimizerConfig


def optimizer_configs(fields: dict, groups: Sequence[str]) -> dict[str, OptimizerConfig]:
    """One OptimizerConfig per group: the section's own fields, overridden by the sub-section named after the group.

    Raises:
      UserError: an unknown field, optimizer or schedule.
    """
    shared = {k: v for k, v in fields.items() if not isinstance(v, dict)}
    return {group: OptimizerConfig.from_dict({**shared, **fields.get(group, {})}) for group in groups}


def _promoting(function: Callable) -> Callable:
    """`function` of optax, which mixes counts with floats, whatever the caller says of implicit promotion."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*arguments, **named)

    return call


def make_schedule(config: OptimizerConfig, steps: int) -> Callable[[Any], Any]:
    """Step -> learning rate of a run of `steps` steps."""
    warmup = config.warmup_steps
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(config.lr, max(1, steps - warmup), alpha=config.final_lr_ratio)
    else:
        after = optax.constant_schedule(config.lr)
    if not warmup:
        return _promoting(after)
    # Step 0 already learns: the ramp ends at lr on step `warmup`, and starts one notch above zero.
    ramp = optax.linear_schedule(config.lr / (warmup + 1), config.lr, warmup)
    return _promoting(optax.join_schedules([ramp, after], [warmup]))


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The chain: clip by global norm, Adam, decoupled weight decay on matrices, schedule."""
    chain = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm > 0 else []
    chain.append(optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps, mu_dtype=jnp.float32))
    if config.name == "adamw" and config.weight_decay > 0:
        chain.append(
            optax.add_decayed_weights(config.weight_decay, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p))
        )
    chain.append(optax.scale_by_learning_rate(make_schedule(config, steps)))
    chained = optax.chain(*chain)
    return optax.GradientTransformation(chained.init, _promoting(chained.update))
