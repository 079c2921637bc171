"""Trains and evaluates once more what a record holds, and says whether the same numbers come out.

A record is a JSON file: the complete configuration (its seeds among it), the fingerprint of the data with its speaker
vectors, versions and hardware, and what came out: the losses of every step, the evaluation, a digest and the level of
the mel of every held-out clip, a digest of the parameters. On the platform that made it all of it must be the same to
the bit; elsewhere losses and levels within `TOLERANCE`.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from copycat_jax.bench.history import environment
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError
from copycat_jax.files import json_text, plain, write_text
from copycat_jax.task import Params, Task
from copycat_jax.train.identity import code_digest, differences
from copycat_jax.train.loop import fit
from copycat_jax.train.state import smoothed_params
from copycat_jax.train.writer import METRICS_FILE, read_metrics

FORMAT = 1
SHIPPED = Path(__file__).parent / "records" / "small_cpu.json"
# Relative, of losses; in nats, of a clip's mean mel. Between two processors of one kind the small protocol differs by
# rounding, which forty steps do not carry far; another device multiplies in another precision.
TOLERANCE = 0.02
PLATFORM = ("jax", "numpy", "device", "devices", "processor", "flags")
_TIMES = ("frames_per_s", "step_ms", "device_gib", "utilisation")  # what differs from run to run, and fields in _s

Record = dict[str, Any]


def measure(
    task: Task,
    config: Mapping[str, Any],
    batches: Callable[[int], Any],
    held_out: list[Callable[[], Any]],
    names: Any,
    fingerprint: str,
    run_dir: str | Path,
) -> Record:
    """Trains in a fresh run folder, every step logged, and records what came out.

    Args:
      task: the model.
      config: the resolved configuration.
      batches, held_out, names, fingerprint: of `data.inputs.Inputs`.
      run_dir: where the run goes.

    Raises:
      UserError: nothing is held out, or as `train.loop.fit`.
    """
    if not held_out:
        raise UserError("nothing is held out", "data.held_out", "Give a share, and train.eval_every above 0.")
    config = dict(plain({**config, "train": {**config["train"], "log_every": 1}}))
    state = fit(task, config, batches, run_dir=run_dir, fingerprint=fingerprint, held_out=held_out, names=names)
    params = jax.device_get(smoothed_params(state))
    metrics = read_metrics(Path(run_dir) / METRICS_FILE)
    return {
        "format": FORMAT,
        "config": config,
        "fingerprint": fingerprint,
        "made_with": made_with(),
        "steps": [_figures(record) for record in metrics if record["kind"] == "train"],
        "evaluations": [_figures(record) for record in metrics if record["kind"] == "eval"],
        "clips": _clips(task, params, held_out, names),
        "parameters": _digest(*(np.asarray(leaf) for leaf in jax.tree.leaves(params))),
    }


def made_with() -> dict[str, Any]:
    """Versions, code and hardware."""
    flags = " ".join(os.environ.get(name, "") for name in ("XLA_FLAGS", "JAX_DEFAULT_MATMUL_PRECISION")).strip()
    return {**environment("float32"), "code": code_digest(), "processor": _processor(), "flags": flags}


def write_record(path: str | Path, record: Record) -> None:
    """Writes a record, whole or not at all."""
    write_text(path, json_text(record))


def read_record(path: str | Path) -> Record:
    """Reads a record; raises UserError where it is none of this format."""
    try:
        record = json.loads(read_text(path))
        sound = isinstance(record, dict) and record.get("format") == FORMAT
        sound = sound and all(name in record for name in ("config", "made_with", "steps", "clips", "parameters"))
    except ValueError:
        sound, record = False, {}
    if not sound:
        raise UserError("no record of a reproduction", str(path), "Give a file that --record wrote.")
    return record


def compare(stored: Record, now: Record) -> tuple[bool, list[str]]:
    """Whether the same came out, and what to say about it: the first step and clip that differ, and by how much.

    Raises:
      UserError: they are of other configurations or data: there is nothing to compare.
    """
    other = differences(stored["config"], now["config"], shared_only=True)  # a later code may know more fields
    if other:
        name, (then, here) = next(iter(other.items()))
        raise UserError(f"another experiment: {name} was {then}, is {here}", "record", "Compare runs of one page.")
    if stored["fingerprint"] != now["fingerprint"]:
        what = f"other data: fingerprint {stored['fingerprint'][:12]}, now {now['fingerprint'][:12]}"
        raise UserError(what, "record", "Build the corpus as it was, speaker vectors included.")
    made = [record["made_with"] for record in (stored, now)]
    elsewhere = [name for name in PLATFORM if made[0].get(name) != made[1].get(name)]
    lines = [f"{name}: {made[0].get(name)} then, {made[1].get(name)} now" for name in elsewhere]
    if made[0].get("code") != made[1].get("code"):
        lines.append("the code is another one")
    bitwise = not elsewhere
    found = [
        _first("step", stored["steps"], now["steps"], bitwise, lambda row: str(row["step"])),
        _first("evaluation at step", stored["evaluations"], now["evaluations"], bitwise, lambda row: str(row["step"])),
        _first("clip", stored["clips"], now["clips"], bitwise, lambda row: row["id"]),
    ]
    if bitwise and stored["parameters"] != now["parameters"]:
        found.append("the parameters differ")
    faults = [fault for fault in found if fault]
    how = "to the bit" if bitwise else f"within {100 * TOLERANCE:g} %"
    count = f"{len(now['steps'])} steps, {len(now['evaluations'])} evaluations, {len(now['clips'])} clips"
    lines += faults or [f"the same {how}: {count}"]
    return not faults, lines


def _first(what: str, stored: list, now: list, bitwise: bool, name: Callable[[Mapping], str]) -> str:
    """Of the first row that differs, beyond the tolerance where that is allowed; empty where none does."""
    if [name(row) for row in stored] != [name(row) for row in now]:
        return f"{what}s: {len(stored)} then, {len(now)} now, or others"
    for then, here in zip(stored, now, strict=True):
        for field in then:
            a, b = then[field], here.get(field)
            if a == b or (not bitwise and _close(field, a, b)):
                continue
            return f"the first {what} that differs is {name(then)}: {field} was {a}, is {b}"
    return ""


def _close(field: str, a: Any, b: Any) -> bool:
    if field == "sha256":
        return True  # other roundings, other bits
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        return False
    if field == "level":
        return abs(a - b) <= TOLERANCE
    # Norms of gradients and counts of active units hang on single roundings.
    return not field.startswith(("loss", "l1")) or abs(a - b) <= TOLERANCE * abs(a)


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("kind", "time", *_TIMES)
    return {name: value for name, value in record.items() if name not in left_out and not name.endswith("_s")}


def _clips(task: Task, params: Params, held_out: list[Callable[[], Any]], names: Any) -> list[dict[str, Any]]:
    make = task.reconstruct or task.synthesize
    if make is None:
        return []
    made, found = jax.jit(make), []
    for batch in (one() for one in held_out):
        mels = np.asarray(made(params, batch), np.float32)
        for row in np.flatnonzero(np.asarray(batch.mask).any(axis=1)):
            mel = mels[row, np.asarray(batch.mask)[row]]
            index = int(batch.index[row])
            clip = str(names[index]) if len(names) else str(index)
            found.append({"id": clip, "level": float(mel.mean(dtype=np.float64)), "sha256": _digest(mel)})
    return found


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _processor() -> str:
    """The processor's name, which decides what XLA compiles for it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
