"""The training state: a plain struct of arrays, and randomness that is computed from it instead of stored in it."""

import zlib
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int, Key

EMA_GROUP = "model"


class TrainState(NamedTuple):
    """Everything that a step changes and a checkpoint holds; no functions inside.

    Attributes:
      step: int32 scalar, number of steps taken; also the number of the next batch.
      params: {group: tree of float32 arrays}.
      opt_state: {group: optimizer state}.
      ema: moving average of params["model"], or an empty dict where it is switched off.
    """

    step: Int[Array, ""]
    params: dict[str, Any]
    opt_state: dict[str, Any]
    ema: dict[str, Any]


def stream_key(seed: int, name: str, step: int | Int[Array, ""]) -> Key[Array, ""]:
    """The key of stream `name` at `step`: any step's randomness can be recomputed alone, on any number of hosts.

    Args:
      seed: the run's seed.
      name: the stream ("init", "model/dropout", ...).
      step: step number; may be traced.
    """
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF), step)


def smoothed_params(state: TrainState) -> dict[str, Any]:
    """`state.params` with the moving average in place of the "model" group where there is one."""
    return {**state.params, EMA_GROUP: state.ema} if state.ema else state.params
