"""What a training run is fed: the configuration with what the data decides, and the functions that make batches."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Inputs(NamedTuple):
    """Batches of one process, and what they presuppose.

    A configuration may name a function of its own for this, `inputs = "package.module:function"`, called as
    (path, config, process, processes); without one, `copycat train` reads a built corpus.
    """

    config: dict[str, Any]  # resolved: with the section `shapes`, and what else the task's bundle needs to know
    batches: Callable[[int], Any]  # step -> this process's rows of the step's batch
    held_out: Callable[[int], Any] | None  # index -> held-out batch, any index
    shapes: Sequence[tuple[int, int, int]] | None  # (rows, frames, phonemes) to compile ahead, for `Batch` only
    fingerprint: str  # of the data
    summary: str  # one line for the terminal
