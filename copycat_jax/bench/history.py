"""Records of benchmarks: one layout, a history of runs in one file, and what changed between two of them.

A record is a flat dictionary: `bench`, then what every figure depends on (`environment`), then what was asked for
(SETTINGS), then figures. A history has one JSON line a run: when, and all records that the run printed.
"""

import datetime
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from copycat_jax import __version__, console
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError
from copycat_jax.files import check_folder, check_local, locked_file, refusals_of
from copycat_jax.train.distributed import source_commit

_SIZES = ("rows", "frames", "phones", "batch", "batch_size", "queries", "k", "width", "tile_mib", "sentences", "words")
_INPUT = ("corpus", "threads", "in_memory", "voice", "bundle", "vocoder", "encoder", "parser")
SETTINGS = ("bench", "config", "size", "work", *_SIZES, *_INPUT, "peer", "peer_dtype", "runtime", "dtype")

Record = Mapping[str, Any]


def environment(dtype: str) -> dict[str, Any]:
    """What a figure depends on: the versions of this code and of what it runs on, the devices, the compute type."""
    return {
        "copycat_jax": __version__,
        "commit": source_commit(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
        "dtype": dtype,
    }


def report(records: Iterable[Record], only_json: bool, history: str | None) -> None:
    """Shows every record as soon as it is there, and adds all of them to a history where there is one.

    Raises:
      UserError: the history cannot be written, or is something else; before anything is measured.
    """
    if history is not None:
        check_history(history)
    shown = []
    for record in records:
        if not only_json:
            console.say("  ".join(f"{name} {_shown(value)}" for name, value in record.items()))
        console.say(json.dumps(record))
        shown.append(record)
    if history is not None:
        append_run(history, shown)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def check_history(path: str | Path) -> None:
    """Raises UserError unless a line can be added to a history at `path`."""
    path = check_local(path)
    if path.is_dir():
        raise UserError("is a folder", str(path), "Give a file in it.")
    check_folder(path.absolute().parent)
    if path.exists() and path.stat().st_size:
        read_runs(path)


def append_run(path: str | Path, records: Sequence[Record]) -> None:
    """Adds one line to a history: this run's records, and when it was.

    Raises:
      UserError: the file cannot be written.
    """
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = json.dumps({"when": when, "records": list(records)})
    with refusals_of(path), locked_file(path) as file:
        file.write(line + "\n")


def read_runs(path: str | Path) -> list[dict[str, Any]]:
    """The runs of a history, oldest first; records as a benchmark printed them (`--json`) are one run.

    Raises:
      UserError: no such file, or something else is in it.
    """
    runs, loose = [], []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("records"), list):
            runs.append(found)
        elif isinstance(found, dict) and "bench" in found:
            loose.append(found)
        else:
            remedy = "Give a file that --append or --json wrote."
            raise UserError("is no record of a benchmark", f"{path}, line {number}", remedy)
    if loose:
        runs.append({"when": "", "records": loose})
    return runs


def find_run(name: str) -> dict[str, Any]:
    """FILE, its last run, or FILE:N, the N-th, from the end with -1, -2, ...

    Raises:
      UserError: no such file or no such run.
    """
    path, _, number = name.rpartition(":")
    if not path or not number.lstrip("-").isdigit() or Path(name).exists():
        path, number = name, "-1"
    runs, place = read_runs(path), int(number)
    place = place - 1 if place > 0 else len(runs) + place
    if not 0 <= place < len(runs):
        raise UserError(f"has {len(runs)} runs", name, f"Give {path}:1 to {path}:{len(runs)}." if runs else "")
    return runs[place]


def compare(first: str, second: str) -> str:
    """What changed from one run to another: of the machine and the code, and every figure that both have.

    Args:
      first, second: see `find_run`.

    Raises:
      UserError: a run that is not there, or runs that measured nothing in common.
    """
    runs = [find_run(name) for name in (first, second)]
    kept = [{_asked(record): record for record in run["records"]} for run in runs]
    shared = [asked for asked in kept[0] if asked in kept[1]]
    if not shared:
        raise UserError(f"measured nothing that {second} did", first, "Give runs of the same benchmark and sizes.")
    lines = [f"{name}  {run['when']}".rstrip() for name, run in zip((first, second), runs, strict=True)]
    known = environment_names()
    heads = [{name: kept[i][shared[0]].get(name, "-") for name in known} for i in range(2)]
    differing = [name for name in known if heads[0][name] != heads[1][name]]
    lines += [f"{name}: {heads[0][name]} -> {heads[1][name]}" for name in differing]
    lines += [] if differing else ["same code, versions and device"]
    for asked in shared:
        a, b = (part[asked] for part in kept)
        lines += ["", "  ".join(f"{name} {value}" for name, value in asked)]
        lines += [f"  {name:<22} {_change(a[name], b[name])}" for name in a if name in b and _is_figure(name, a[name])]
    alone = [sum(asked not in kept[1 - i] for asked in kept[i]) for i in range(2)]
    lines += [f"{n} records only in {name}" for n, name in zip(alone, (first, second), strict=True) if n]
    return "\n".join(lines)


def environment_names() -> tuple[str, ...]:
    """Fields of a record that tell where it was made."""
    return ("copycat_jax", "commit", "python", "jax", "numpy", "device", "devices", "cores")


def _asked(record: Record) -> tuple[tuple[str, Any], ...]:
    return tuple((name, record[name]) for name in SETTINGS if name in record)


def _is_figure(name: str, value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and name not in SETTINGS and name not in environment_names()


def _change(before: Any, after: Any) -> str:
    ratio = f"{after / before:.3f} times" if before and isinstance(after, int | float) else ""
    return f"{before:>14,} -> {after:>14,}  {ratio}".rstrip() if before != after else f"{before:>14,}  the same"
