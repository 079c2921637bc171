"""Watches a run: warns of a metric below its floor, and notes a request to stop the process."""

from collections.abc import Mapping
from typing import Any

from copycat_jax import signals
from copycat_jax.task import Floor
from copycat_jax.train import watchdog


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
    """Notices a request to stop so that the loop can save and leave; a context manager around the loop and its end.

    A second signal ends the process where it stands. In a job of several processes the referee spreads the notice and
    names a step that all can reach, see `watchdog`.
    """

    def __init__(self):
        self._noted: list[int] = []
        self._context = signals.noting("stopping after this step; once more to leave without saving")

    def __enter__(self) -> "StopSignal":
        own, watch = self._context.__enter__(), watchdog.current()
        self._job = watch if watch is not None and watch.connection else None
        if self._job is None:
            self._noted = own
        if watch is not None:
            watch.starting = False
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    @property
    def received(self) -> bool:
        """Whether any signal was noted."""
        return bool(self._noted)

    def requested(self, step: int) -> bool:
        """Whether to save and stop before `step`."""
        number = self._job.stop_at(step) if self._job else 0
        if number:
            self._noted.append(number)
        return self.received
