"""Before the first step: every process has found the same, and the run has what it needs.

What was typed may be equal and yet lead to other things on another host: a folder that is not shared, a corpus with
other speaker vectors, an older checkout. Processes that differ would compute on mixed states, or wait for each other
for ever. Everything here raises one UserError that names the field, the odd process with its host, and both values.
"""

import collections
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.errors import UserError
from copycat_jax.files import plain, refusals_of
from copycat_jax.train import distributed, sharding

SHARED_S = 30  # how long a network file system may take to show what another host wrote
CLOCKS_S = 60
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "grain")
_SHOWN = 3


def environment() -> dict[str, Any]:
    """What this process runs on: {"python", "versions", "local devices"}."""
    devices = [f"{device.platform} {device.device_kind}" for device in jax.local_devices()]
    return {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "local devices": {kind: devices.count(kind) for kind in sorted(set(devices))},
    }


def check_start(run_dir: str | Path, checkpoints: str, facts: Mapping[str, Any]) -> list[int]:
    """All that can be told before the first compilation; the steps of the checkpoints that the run has.

    Args:
      run_dir: the run folder, made if absent.
      checkpoints: name of its folder of checkpoints.
      facts: what the run is made of; "commit" may differ, it is for people.

    Raises:
      UserError: the processes differ.
    """
    check({name: fact for name, fact in facts.items() if name != "commit"} | environment())
    check_clocks()
    return check_run_folder(run_dir, checkpoints)


def check(facts: Mapping[str, Any]) -> None:
    """Every process holds the same `facts`, nested dictionaries that are JSON-ready.

    Raises:
      UserError: they differ; on every process alike.
    """
    if jax.process_count() == 1:
        return
    everyone = distributed.exchanged({"host": socket.gethostname(), "facts": _flat(plain(facts))})
    differing = odd_ones([e["facts"] for e in everyone], [e["host"] for e in everyone])
    if differing:
        more = f"; {len(differing) - _SHOWN} more fields differ" if len(differing) > _SHOWN else ""
        remedy = "Start all processes with the same code, configuration, data and flags."
        raise UserError("; ".join(differing[:_SHOWN]) + more, "the processes differ", remedy)


def odd_ones(facts: Sequence[Mapping[str, str]], hosts: Sequence[str]) -> list[str]:
    """What differs, a line each: the field, the processes that are not as most of the others, and both values."""
    lines = []
    for name in sorted(set().union(*facts)):
        values = [own.get(name, "nothing") for own in facts]
        usual = collections.Counter(values).most_common(1)[0][0]
        odd = [i for i, value in enumerate(values) if value != usual]
        if odd:
            like = values.index(usual)
            more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            lines.append(
                f"{name} is {values[odd[0]]} on process {odd[0]} ({hosts[odd[0]]}){more}, "
                f"{usual} on process {like} ({hosts[like]})"
            )
    return lines


def check_clocks() -> None:
    """The clocks of all processes are within a minute of each other; raises UserError."""
    if jax.process_count() == 1:
        return
    distributed.barrier("clocks")
    everyone = distributed.exchanged({"host": socket.gethostname(), "time": time.time()})
    usual = statistics.median_low(e["time"] for e in everyone)
    process = max(range(len(everyone)), key=lambda i: abs(everyone[i]["time"] - usual))
    late = everyone[process]["time"] - usual
    if abs(late) > CLOCKS_S:
        where = f"the clock of process {process} ({everyone[process]['host']})"
        raise UserError(f"is {late:+.0f} s off that of the others", where, "Set the clocks of all hosts.")


def check_run_folder(run_dir: str | Path, checkpoints: str) -> list[int]:
    """All processes see one folder, made if absent, and the same steps in its sub-folder `checkpoints`; those steps.

    Raises:
      UserError: the folder of a process is another one, or shows other checkpoints; it cannot be written.
    """
    folder = Path(run_dir)
    if jax.process_count() == 1:
        return _steps(folder / checkpoints)
    first, token = jax.process_index() == 0, folder / f".token-{secrets.token_hex(8)}"
    if first:
        with refusals_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
            token.touch()
    try:
        named, steps = distributed.exchanged([token.name, _steps(folder / checkpoints)])[0]
        deadline = time.monotonic() + SHARED_S
        while not ((folder / named).exists() and _steps(folder / checkpoints) == steps):
            if time.monotonic() > deadline:
                break
            os.listdir(folder) if folder.is_dir() else None  # network file systems look anew then
            time.sleep(0.5)
        seen, found = (folder / named).exists(), _steps(folder / checkpoints)
        distributed.barrier("all have looked")
    finally:
        if first:
            token.unlink(missing_ok=True)
    distributed.barrier("the token is gone")  # whoever differs ends the job
    check({"what process 0 writes into the run folder": "seen" if seen else f"not seen in {folder}"})
    check({"the list of checkpoints in the run folder": found})
    return steps


def check_room(run_dir: str | Path, abstract: Any, checkpoints: int) -> None:
    """There is room in the run folder for so many more checkpoints of a state of these shapes; raises UserError."""
    if jax.process_index():
        return
    folder = Path(run_dir).absolute()
    while not folder.exists():
        folder = folder.parent
    size = bytes_of(abstract)
    free = shutil.disk_usage(folder).free
    if free < size * checkpoints:
        what = f"{free / 1e9:.3g} GB are free, {checkpoints} checkpoints take {size * checkpoints / 1e9:.3g} GB"
        raise UserError(what, str(run_dir), "Make room, choose another disk, or lower train.keep.")


def bytes_of(abstract: Any) -> int:
    """What a state of these shapes takes in a checkpoint."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(abstract))


def check_sum(mesh: jax.sharding.Mesh) -> None:
    """All devices add up 1, 2, 3, ... to what it is; raises UserError."""
    count = mesh.size
    if count == 1:
        return
    numbers = np.arange(1, count + 1, dtype=np.float32)
    parts = jax.make_array_from_callback((count,), sharding.batch_sharding(mesh), lambda index: numbers[index])
    total = float(jax.device_get(jax.jit(jnp.sum, out_shardings=sharding.replicated(mesh))(parts)))
    if total != count * (count + 1) / 2:
        what = f"the sum of 1 to {count} over all devices is {total:g}, not {count * (count + 1) // 2}"
        raise UserError(what, "devices", "Look for a broken device or link before you train on them.")


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Dotted names and values as text."""
    if isinstance(value, dict) and value:
        fields = (_flat(item, f"{prefix}.{key}" if prefix else str(key)) for key, item in value.items())
        return {name: text for field in fields for name, text in field.items()}
    return {prefix: json.dumps(value, ensure_ascii=False)}
