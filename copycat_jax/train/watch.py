"""Watches a run: warns of a metric below its floor, and notes a request to stop the process."""

import signal
import threading
from collections.abc import Mapping
from typing import Any

import jax

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
    """Notices SIGTERM so that the loop can save and leave; a context manager around the loop.

    In a job of several processes JAX's preemption service spreads the notice and names a step that all can reach.
    """

    def __init__(self):
        self.received, self._previous = False, None

    def __enter__(self) -> "StopSignal":
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _note(self, *_: Any) -> None:
        self.received = True

    def requested(self, step: int) -> bool:
        """Whether to save and stop before `step`."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            self.received = self.received or multihost_utils.reached_preemption_sync_point(step)
        return self.received
