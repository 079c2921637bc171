"""Contract 2: the pure functions that a model hands to the trainer, which never sees a Flax module."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from copycat_jax.batch import Array

Rows = Any  # a NamedTuple of arrays whose first axis is the rows, with a field `mask` of what is real: a `Batch`, ...
Params = Any  # {group: nested dict of arrays}
Rngs = Any  # {name: typed PRNG key}, already folded with the step


class Term(NamedTuple):
    """One named loss or metric as (sum, count), divided once, at the very end; weight 0 = only logged.

    Both are over what is real: a row whose `mask` is False throughout only fills up a batch and counts nowhere.
    """

    sum: Array  # float32 scalar
    count: Array  # float32 scalar; 0 = nothing there to be counted
    weight: Array | float = 0.0


Terms = dict[str, Term]


def total(terms: Terms) -> Array:
    """The scalar to minimise: sum over terms of weight * sum / count; what was not counted adds nothing."""
    weighted = [t for t in terms.values() if not (isinstance(t.weight, float) and t.weight == 0)]
    return sum(t.weight * t.sum / t.count.clip(1e-30) for t in weighted)


class Floor(NamedTuple):
    """The least that a metric should be: whoever trains is told when it is less.

    Attributes:
      minimum: smallest value about which nothing is said.
      after: nothing is said up to this step.
      meaning: what it means that the metric is lower, and what to do.
    """

    minimum: float
    after: int
    meaning: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A model as the trainer sees it.

    Attributes:
      name: what it is of ("copycat", "speaker", ...): the kind that checkpoints and bundles carry.
      init: (rng, batch) -> {group: parameters}. Shapes only depend on the configuration, never on the batch's content.
      loss: group -> function (params, batch, rngs, step, carry) -> (terms, carry), in the order in which one step
        updates the groups. The trainer minimises total(terms) with respect to params[group] alone. `carry` is None for
        the first group and what the previous group returned, gradient stopped, for the next (the generator's windows
        for the adversary).
      evaluate: (params, batch) -> terms, deterministic (posterior mean, no dropout).
      synthesize: (params, batch) -> float32 [B, T, M] log-mel, deterministic, for plots during training; None where a
        task makes no mel.
      reconstruct: (params, batch) -> float32 [B, T, M] log-mel, deterministic, with all that is known of the recording
        given: what a vocoder is fine-tuned on; None where a task makes no mel.
      sharding_rules: (regular expression on the parameter path, PartitionSpec axes as a tuple), first match wins;
        what matches none takes the trainer's default (largest divisible dimension over "fsdp").
      rng_names: the streams the losses draw from.
      floors: by the names of metrics.
      frames_multiple, min_frames: what it asks of the frames of every batch; checked before anything is compiled.
    """

    name: str
    init: Callable[[Array, Rows], Params]
    loss: dict[str, Callable[[Params, Rows, Rngs, Array, Any], tuple[Terms, Any]]]
    evaluate: Callable[[Params, Rows], Terms]
    synthesize: Callable[[Params, Rows], Array] | None = None
    reconstruct: Callable[[Params, Rows], Array] | None = None
    sharding_rules: tuple[tuple[str, tuple], ...] = ()
    rng_names: tuple[str, ...] = ("dropout", "sample")
    floors: Mapping[str, Floor] = dataclasses.field(default_factory=dict)
    frames_multiple: int = 1
    min_frames: int = 1

    @property
    def groups(self) -> tuple[str, ...]:
        """Top keys of parameters and optimizer state."""
        return tuple(self.loss)
