"""A recording made ready for transfer, and how its making is followed."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from copycat_jax.align import aligner
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
        return confidence(self.analysis.alignment.score)


def confidence(score: float) -> float:
    """How surely a text is what is said, 0..1: 0.5 where the aligner's threshold lies, 1 for a given alignment."""
    if math.isnan(score):
        return 1.0
    return 1.0 / (1.0 + math.exp(min(60.0, (aligner.SCORE_THRESHOLD - score) / 3.0)))
