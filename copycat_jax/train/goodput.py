"""What the time of a run goes into: one ledger a process and attempt, written while the run goes on, never rewritten.

`RUN/logs/ATTEMPT/process_N.jsonl`, ATTEMPT counting from 0001 through every start of the run: first a line of who and
where, then now and then the seconds that every phase has taken so far, at last how the attempt ended, unless it was
killed. At every moment exactly one phase is on, so that the phases of an attempt add up to its wall time.
`metrics.jsonl` forgets what a resume repeats; this remembers it.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from copycat_jax.files import refusals_of

LOGS = "logs"
# What the main thread was doing. "step" waits for the devices too; "input" may hide behind them, and is an upper bound
# of what they waited for data. What Orbax writes in the background costs nothing and counts nowhere.
PHASES: tuple[str, ...] = ("start", "compile", "input", "step", "evaluate", "render", "save")
_EVERY_S = 5.0  # a killed attempt has lost at most so much of its ledger, and the step it was in


class Ledger:
    """Measures and writes; a context manager around all that the attempt does.

    Args:
      path: the file, in a folder of its attempt; None: measures only.
      began: when the attempt began, in seconds since 1970; until now it was in the phase "start".
      **facts: of the first line ("process", "processes", ...), JSON-ready.
    """

    def __init__(self, path: Path | None, began: float, **facts: Any):
        self.step = 0
        self._path, self._file = path, None
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._seen = dict(self._seconds)
        self._phase, self._since = "start", time.perf_counter() - max(0.0, time.time() - began)
        self._written = time.perf_counter()
        if path is not None:
            with refusals_of(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("w", encoding="utf-8", buffering=1)
            self._line(began=round(began, 3), host=socket.gethostname(), pid=os.getpid(), **facts)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        self.write()
        how = "ended" if kind is None else f"{kind.__name__}: {error}".splitlines()[0][:300]
        with contextlib.suppress(Exception):  # what could not be written was told before
            self._line(end=how, time=round(time.time(), 3))
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()

    def enter(self, phase: str) -> str:
        """Ends the phase that is on and begins `phase`; returns the one that ended."""
        now, before = time.perf_counter(), self._phase
        self._seconds[before] += now - self._since
        self._phase, self._since = phase, now
        return before

    @contextlib.contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """`phase` while it lasts, then again what was on before."""
        before = self.enter(phase)
        try:
            yield
        finally:
            self.enter(before)

    def window(self) -> dict[str, float]:
        """The seconds of every phase since this was asked last."""
        self.enter(self._phase)
        spent = {phase: self._seconds[phase] - self._seen[phase] for phase in PHASES}
        self._seen = dict(self._seconds)
        return spent

    def stepped(self, step: int) -> None:
        """`step` steps are done; writes a line where the last is some seconds old."""
        self.step = step
        if time.perf_counter() - self._written > _EVERY_S:
            self.write()

    def write(self) -> None:
        """A line of what every phase has taken so far."""
        self.enter(self._phase)
        self._written = time.perf_counter()
        seconds = {phase: round(value, 4) for phase, value in self._seconds.items() if value}
        self._line(step=self.step, time=round(time.time(), 3), seconds=seconds)

    def _line(self, **values: Any) -> None:
        if self._file and self._path:
            with refusals_of(self._path):
                self._file.write(json.dumps(values) + "\n")


def ledger_path(run_dir: str | Path, attempt: int, process: int) -> Path:
    """Where process number `process` of the attempt writes its ledger; its log lies beside it, named .log."""
    return Path(run_dir) / LOGS / f"{attempt:04d}" / f"process_{process}.jsonl"


def attempts_of(run_dir: str | Path) -> list[int]:
    """The numbers of the attempts that have a folder, ascending."""
    return sorted(int(p.name) for p in Path(run_dir).joinpath(LOGS).glob("[0-9]*") if p.name.isdigit())


class Mark(NamedTuple):
    """A line of a ledger: at `time`, `step` steps were done, and the phases had taken `seconds`."""

    step: int
    time: float
    seconds: dict[str, float]


class Attempt(NamedTuple):
    """What one process wrote of one attempt."""

    number: int
    facts: dict[str, Any]  # "began", "process", "processes", "host", ...
    marks: list[Mark]  # ascending; the first is at the step it started from, none where it did not come so far
    end: str  # "" where the process was killed before it could say


def read_attempts(run_dir: str | Path) -> list[Attempt]:
    """All ledgers of a run, by attempt and process, without lines torn by a kill."""
    found = []
    for number in attempts_of(run_dir):
        folder = ledger_path(run_dir, number, 0).parent
        for path in sorted(folder.glob("process_*.jsonl"), key=lambda p: (len(p.name), p.name)):
            lines = []
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    lines.append(json.loads(line))
            if not lines or "began" not in lines[0]:
                continue
            facts = lines[0]
            marks = [Mark(line["step"], line["time"], line["seconds"]) for line in lines[1:] if "seconds" in line]
            end = next((line["end"] for line in lines if "end" in line), "")
            found.append(Attempt(number, facts, marks, end))
    return found
