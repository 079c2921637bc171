"""Watches a run: warns of a metric below its floor, and notes a request to stop the process."""

import signal
from collections.abc import Mapping
from typing import Any

import jax

from copycat_jax import signals
from copycat_jax.task import Floor


class FloorWatch:
    """Says once of every metric that it lies below the floor which its task declares.

    Args:
      floors: by the names of the metrics.
    """

    def __init__(self, floors: Mapping[str, Floor]):
        self.waiting = dict(floors)

    def check(self, step: int, values: Mapping[str, float]) -> list[str]:
        """A warning for every meaning of the floors that are passed for the first time."""
        low: dict[str, list[str]] = {}
        for name, floor in list(self.waiting.items()):
            if step > floor.after and values.get(name, floor.minimum) < floor.minimum:
                del self.waiting[name]
                low.setdefault(floor.meaning, []).append(f"{name} = {values[name]:.3g} (below {floor.minimum:g})")
        return [f"step {step}: {', '.join(metrics)}: {meaning}" for meaning, metrics in low.items()]


class StopSignal:
    """Notices SIGTERM and Ctrl-C so that the loop can save and leave; a context manager around the loop.

    A second one ends the process where it stands. In a job of several processes JAX's preemption service spreads the
    notice of SIGTERM and names a step that all can reach; Ctrl-C ends each of them at once.
    """

    def __init__(self):
        self._noted: list[int] = []
        self._context = signals.noting("stopping after this step; once more to leave without saving")

    def __enter__(self) -> "StopSignal":
        if jax.process_count() == 1:
            self._noted = self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if jax.process_count() == 1:
            self._context.__exit__(*error)

    @property
    def received(self) -> bool:
        """Whether any signal was noted."""
        return bool(self._noted)

    @property
    def by_hand(self) -> bool:
        """Whether it was Ctrl-C."""
        return signal.SIGINT in self._noted

    def requested(self, step: int) -> bool:
        """Whether to save and stop before `step`."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            if multihost_utils.reached_preemption_sync_point(step):
                self._noted.append(signal.SIGTERM)
        return self.received
