"""A recording made ready for transfer, and how its making is followed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from copycat_jax.align import suspicion
from copycat_jax.align.pieces import Segment
from copycat_jax.analysis import Analysis, Survey

Progress = Callable[[float], object]  # hears of seconds done


def silently(seconds: float) -> None:
    """Hears of progress and says nothing."""


class Source(NamedTuple):
    """A recording made ready for transfer: what it is, whose voice it has, and how it is cut for the models."""

    analysis: Analysis | Survey  # a Survey of one longer than WHOLE_S
    register_hz: float
    vector: np.ndarray  # float32 [E]
    pieces: tuple[Segment, ...]
    lufs: float  # how loud it is

    @property
    def confidence(self) -> float:
        """How surely the text is what is said, 0..1; 1 where an alignment without a score was given."""
        return suspicion.confidence(self.analysis.alignment)
