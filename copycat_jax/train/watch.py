"""Eyes on a run: has the latent collapsed, and was the process asked to stop?"""

import signal
import threading
from typing import Any

import jax


class CollapseWatch:
    """Says once when the latent carries (nearly) nothing any more.

    Looks at the metrics named "active_..." (active units per direction on kept frames) and "kl_kept_..." (nats per kept
    frame); the paper's model loses most of its latents under too large a KL weight.

    Args:
      active: fewest active units.
      kl: smallest KL.
      after: step before which nothing is said (the end of annealing).
    """

    def __init__(self, active: float, kl: float, after: int):
        self.active, self.kl, self.after, self.said = active, kl, after, False

    def check(self, step: int, values: dict[str, float]) -> str:
        """A warning the first time that a metric lies below its threshold, else an empty string."""
        if self.said or step <= self.after:
            return ""
        low = [f"{n} = {v:.3g}" for n, v in values.items() if n.startswith("active_") and v < self.active]
        low += [f"{n} = {v:.3g}" for n, v in values.items() if n.startswith("kl_kept_") and v < self.kl]
        if not low:
            return ""
        self.said = True
        return f"the latent is collapsing at step {step}: {', '.join(low)}. Lower model.kl_weight or anneal longer"


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
