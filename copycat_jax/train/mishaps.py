"""Steps that went wrong, told with the utterances they were made of: discarded updates, and losses that jumped."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from copycat_jax.task import Rows

WINDOW = 1000  # steps in which discarded updates are counted together
SIGMAS = 8.0  # a loss so many standard deviations above the mean has jumped
_SETTLED = 200  # steps before anything is called a jump
_HALF_LIFE = 300  # steps after which a loss counts half
_NAMED = 4  # utterances in a line; the record has all of them


class Mishap(NamedTuple):
    """One step, what happened in it, and what was in its batch: of all processes where it is known, else empty."""

    step: int
    message: str
    utterances: list[str]


class BadSteps:
    """The steps whose updates were discarded, of the last WINDOW.

    Args:
      limit: how many of them are passed over.
      earlier: those that a resumed run knows of.
    """

    def __init__(self, limit: int, earlier: Sequence[int] = ()):
        self.limit, self.steps = limit, list(earlier)

    def add(self, found: Sequence[int]) -> bool:
        """Whether these are too many."""
        for step in found:
            self.steps = [s for s in self.steps if s > step - WINDOW] + [step]
            if len(self.steps) > self.limit:
                return True
        return False


class Jumps:
    """Tells a loss that is far above what it was before, by running moments of the loss of every step."""

    def __init__(self):
        self.count = self.sum = self.squares = 0.0

    def check(self, peak: float, total: float, squares: float, count: float) -> str:
        """What to say of a window's highest loss, empty if it is as usual; `total` and `squares` are sums over it."""
        said = ""
        if self.count >= _SETTLED and math.isfinite(peak):
            mean = self.sum / self.count
            deviation = math.sqrt(max(0.0, self.squares / self.count - mean * mean, (0.01 * mean) ** 2))
            if peak > mean + SIGMAS * deviation:
                said = f"the loss jumped to {peak:.4g} (it was {mean:.4g}, standard deviation {deviation:.2g})"
        if math.isfinite(total) and math.isfinite(squares):
            fade = 0.5 ** (count / _HALF_LIFE)
            self.count, self.sum, self.squares = (
                fade * self.count + count,
                fade * self.sum + total,
                fade * self.squares + squares,
            )
        return said


class Mishaps:
    """What the metrics windows of a run tell of steps that went wrong.

    Args:
      group: whose loss is watched.
      limit: how many discarded updates are passed over in WINDOW steps.
      batches: step -> this process's rows, to name them by.
      names: of what the field `index` of a batch counts; empty where there are none.
      earlier: discarded steps that a resumed run knows of.
    """

    def __init__(
        self,
        group: str,
        limit: int,
        batches: Callable[[int], Rows],
        names: Sequence[str] | np.ndarray,
        earlier: Sequence[int] = (),
    ):
        self.loss, self.batches, self.names = f"loss/{group}", batches, names
        self.bad, self.jumps, self.too_many = BadSteps(limit, earlier), Jumps(), False

    def check(self, metrics: dict[str, Any]) -> Iterator[Mishap]:
        """The mishaps of one window, on the host; every process of a job must ask, and gets the same."""
        count, steps = metrics["bad"]
        found = [int(step) for step in steps[: int(count)]]
        self.too_many = self.bad.add(found)
        for step in found:
            yield self._mishap(step, "loss or gradient not finite, the update is discarded")
        peak, at, squares = (float(x) for x in metrics["peak"])
        total, steps_counted = (float(x) for x in metrics["terms"][self.loss])
        if said := self.jumps.check(peak, total, squares, steps_counted):
            yield self._mishap(int(at), said)

    def _mishap(self, step: int, message: str) -> Mishap:
        index, wrong = rows_of_all(self.batches(step))
        known = len(self.names) > 0
        name = lambda places: [str(self.names[i]) for i in places] if known else []  # noqa: E731
        utterances, damaged = name(index), name(index[wrong])
        if wrong.any():
            message += f"; not finite in the data: {_some(damaged) or f'{wrong.sum()} of its rows'}"
        elif utterances:
            message += f"; its batch: {_some(utterances)}"
        return Mishap(step, message, utterances)


def rows_of_all(batch: Rows) -> tuple[np.ndarray, np.ndarray]:
    """What the rows of all processes are, int32 [B], and which of them hold numbers that are not finite, bool [B]."""
    wrong = np.zeros(len(batch.mask), bool)
    for field in map(np.asarray, batch):
        if np.issubdtype(field.dtype, np.floating):
            wrong |= ~np.isfinite(field).reshape(len(field), -1).all(axis=1)
    rows = np.stack([np.asarray(batch.index, np.int32), wrong.astype(np.int32)], axis=1)
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        rows = np.asarray(multihost_utils.process_allgather(rows, tiled=True))
    return rows[:, 0], rows[:, 1].astype(bool)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
    return ", ".join(names[:_NAMED]) + more
