"""Where the wall time of a run went (goodput), from the ledgers of its attempts.

Every second between the first start and the last sign of life is in exactly one row: the phases of the steps that
count; what had been done after the checkpoint from which a later attempt went on, and was done again ("lost"); and the
time in which nothing ran ("down"), with what a killed attempt did not come to write, a few seconds.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from copycat_jax.train.goodput import PHASES, Attempt, Mark

ROWS = {
    "step": "steps that count",
    "lost": "lost, done again",
    "input": "input wait",
    "compile": "compile",
    "start": "start, restore",
    "evaluate": "evaluate",
    "save": "save",
    "render": "pictures",
    "down": "down",
}
SLOW = 1.5  # a window this many times as long as the median is named


class Account(NamedTuple):
    """Where the time went.

    Attributes:
      wall_s: from the first start to the last line of any attempt.
      seconds: of every row of ROWS; they add up to `wall_s`.
      steps: that count.
      lost_steps: made, and made again.
      attempts: starts of the run.
      ends: how each attempt ended, "killed" where it could not say.
    """

    wall_s: float
    seconds: dict[str, float]
    steps: int
    lost_steps: int
    attempts: int
    ends: list[str]


def account(attempts: Sequence[Attempt]) -> Account:
    """The account of a run from its attempts, one ledger (of process 0) each, ascending; at least one."""
    seconds = dict.fromkeys(ROWS, 0.0)
    steps = lost_steps = 0
    for i, attempt in enumerate(attempts):
        following = attempts[i + 1 :]
        start, last = _first(attempt), _last(attempt)
        # What comes after the earliest step that any later attempt began at was done again.
        kept_to = min([last.step, *(later.marks[0].step for later in following if later.marks)])
        kept = next((mark for mark in reversed(attempt.marks) if mark.step <= kept_to), start)
        for phase in PHASES:
            seconds[phase] += kept.seconds.get(phase, 0.0)
        seconds["lost"] += sum(last.seconds.values()) - sum(kept.seconds.values())
        steps += max(0, kept_to - start.step)
        lost_steps += last.step - max(kept_to, start.step)
        if following:
            seconds["down"] += max(0.0, following[0].facts["began"] - last.time)
    wall = _last(attempts[-1]).time - attempts[0].facts["began"]
    return Account(wall, seconds, steps, lost_steps, len(attempts), [a.end or "killed" for a in attempts])


def _first(attempt: Attempt) -> Mark:
    return attempt.marks[0] if attempt.marks else Mark(0, attempt.facts["began"], {})


def _last(attempt: Attempt) -> Mark:
    return attempt.marks[-1] if attempt.marks else Mark(0, attempt.facts["began"], {})


class Host(NamedTuple):
    """How fast one process of an attempt went. In a synchronous step all wait for the slowest, which waits least."""

    process: int
    host: str
    step_ms: float  # median of its windows: input and step
    input_ms: float  # of it waiting for input
    slowest_ms: float  # its slowest window
    slowest: tuple[int, int]  # steps between which that was
    slow: bool  # the slowest is SLOW times the median or more
    starved: bool  # waits for its input visibly longer than the others do


def hosts(attempts: Sequence[Attempt]) -> list[Host]:
    """One row for every process of one attempt that made steps, from its windows of some seconds each."""
    rows = []
    for attempt in attempts:
        windows = []
        for a, b in zip(attempt.marks, attempt.marks[1:], strict=False):
            if b.step > a.step:
                spent = [b.seconds.get(p, 0.0) - a.seconds.get(p, 0.0) for p in ("step", "input")]
                step_ms, input_ms = (1e3 * s / (b.step - a.step) for s in (sum(spent), spent[1]))
                windows.append((step_ms, input_ms, a.step, b.step))
        if windows:
            median = statistics.median(w[0] for w in windows)
            slowest = max(windows)
            facts = attempt.facts
            input_ms = statistics.median(w[1] for w in windows)
            far = slowest[0] > SLOW * median
            rows.append(Host(facts["process"], facts["host"], median, input_ms, slowest[0], slowest[2:], far, False))
    usual = statistics.median(r.input_ms for r in rows) if rows else 0.0
    starved = [len(rows) > 1 and r.input_ms > max(2 * usual, 0.05 * r.step_ms) for r in rows]
    return [row._replace(starved=late) for row, late in zip(rows, starved, strict=True)]
