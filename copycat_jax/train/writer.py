"""Metrics as JSON lines and TensorBoard events; process 0 only, every other process writes nothing.

`metrics.jsonl` holds one object a line: {"kind": "train" | "eval" | "note" | "begin", "step": n, "time": seconds,
...}. A run that resumes at step k first drops the lines of later steps (and a line torn by a kill), so that the file
reads as if the run had never stopped; only the "begin" of every start and resume stays.
"""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.files import refusals_of, write_text

METRICS_FILE, RUN_PAGE = "metrics.jsonl", "config.json"


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The records of a metrics file, without a torn last line; empty where there is no file."""
    records = []
    if Path(path).is_file():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records


def write_run_page(run_dir: str | Path, meta: dict[str, Any]) -> None:
    """Writes `config.json`: the resolved configuration, commit and data fingerprint of the run."""
    write_text(Path(run_dir) / RUN_PAGE, json.dumps(meta, indent=2, sort_keys=True, default=str) + "\n")


class MetricsWriter:
    """Where a run's numbers, pictures and sounds go; a context manager.

    Args:
      run_dir: the run folder, made if absent.
      start_step: the step the run (re)starts at; what was written for later steps is dropped.
      active: False on every process but the first.
      tensorboard: False for JSON lines alone.
    """

    def __init__(self, run_dir: str | Path, start_step: int = 0, active: bool = True, tensorboard: bool = True):
        self.active, self._events, self._lines = active, None, None
        if not active:
            return
        folder = Path(run_dir)
        self._path = folder / METRICS_FILE
        with refusals_of(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            kept = [r for r in read_metrics(self._path) if r.get("step", 0) <= start_step or r["kind"] == "begin"]
            write_text(self._path, "".join(json.dumps(r) + "\n" for r in kept))
            self._lines = self._path.open("a", encoding="utf-8", buffering=1)
        if tensorboard:
            from tensorboardX import SummaryWriter

            self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=start_step + 1 if start_step else None)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lines:
            with contextlib.suppress(OSError):  # what could not be written was told before
                self._lines.close()
        if self._events:
            self._events.close()

    def record(self, kind: str, step: int, **values: Any) -> None:
        """One JSON line; numbers also become TensorBoard scalars under `kind/`."""
        if not self.active:
            return
        line = json.dumps({"kind": kind, "step": step, "time": round(time.time(), 3), **values}) + "\n"
        with refusals_of(self._path):
            self._lines.write(line)
        if self._events:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(f"{kind}/{name}", value, step)
                else:
                    self._events.add_text(f"{kind}/{name}", str(value), step)
            self._events.flush()

    def configuration(self, config: dict[str, Any]) -> None:
        """The configuration as a text for TensorBoard; where it is to be read again, it stands in config.json."""
        if self.active and self._events:
            self._events.add_text("config", "```\n" + json.dumps(config, indent=1, default=str) + "\n```", 0)
            self._events.flush()

    def media(self, step: int, items: dict[str, Any]) -> None:
        """Pictures (uint8 or float [H, W, 3]) and sounds ((samples [N] in [-1, 1], rate)), by name."""
        if not (self.active and self._events):
            return
        for name, item in items.items():
            if isinstance(item, tuple):
                samples, rate = item
                samples = np.clip(np.asarray(samples, np.float32), -1, 1)
                self._events.add_audio(name, samples[:, None], step, sample_rate=int(rate))
            else:
                self._events.add_image(name, np.asarray(item), step, dataformats="HWC")
        self._events.flush()
