"""What a run is made of, code, configuration and data, and in what it differs from its continuation."""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("copycat_jax", "prosody_vae")
# Fields that may change between a run and its continuation without changing what is computed. `task` and `inputs` say
# where to import from: a module may move, the name of the task and the fingerprint of the data may not change.
FREE_FIELDS = {
    "task": None,
    "inputs": None,
    "mesh": None,
    "data": {
        *("batch_size", "batch_frames", "rows_multiple", "per_device"),  # the section `rows` says what they decide
        *("evaluated", "in_memory_gib", "needs_speaker_vectors", "needs_f0", "needs_audio"),
    },
    "train": {
        *("log_every", "eval_every", "save_every", "save_minutes", "render_every", "compare_every"),
        *("keep", "keep_every", "skip_bad", "threads", "stall_s", "start_s", "init_from"),
    },
}
BINDING_FACTS = {"task": "task", "code": "code", "fingerprint": "data fingerprint"}


def code_digest(packages: tuple[str, ...] = PACKAGES) -> str:
    """SHA-256 of all Python sources of the packages as they are installed, whatever else lies beside them."""
    sources = hashlib.sha256()
    for package in packages:
        spec = importlib.util.find_spec(package)
        for root in map(Path, (spec and spec.submodule_search_locations) or ()):
            for path in sorted(root.rglob("*.py")):
                content = path.read_bytes()
                sources.update(f"{package}/{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return sources.hexdigest()


def differences(old: Any, new: Any, prefix: str = "", shared_only: bool = False) -> dict[str, list]:
    """{dotted name: [old, new]} of where two nested dictionaries differ; of what both have, if `shared_only`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = {}
        for key in sorted(set(old) & set(new) if shared_only else set(old) | set(new)):
            name = f"{prefix}.{key}" if prefix else str(key)
            found |= differences(old.get(key), new.get(key), name, shared_only)
        return found
    return {} if old == new else {prefix: [old, new]}


def changes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list]:
    """{dotted name: [then, now]} of what a checkpoint and the run that goes on from it both state and differ in.

    Another code may know more fields of the configuration, or fewer: what one side cannot state is told by the codes.
    """
    old, new = dict(stored), dict(now)
    if "code" not in old and "commit" in old:  # of a run from before sources were hashed
        old["code"] = f"commit {old['commit']}"
    other_code = old.get("code") != new.get("code")
    found = differences(old.pop("config", None), new.pop("config", None), "config", shared_only=other_code)
    return differences(old, new, shared_only=True) | found


def binding(changed: Mapping[str, list]) -> list[str]:
    """Those of the `changes` that make it another run, in words."""
    facts = [f"{title} ({_short(*changed[name])})" for name, title in BINDING_FACTS.items() if name in changed]
    names = [name.removeprefix("config.") for name in changed if name.startswith("config.")]
    return facts + [f"config field {name}" for name in names if _is_binding(name)]


def _is_binding(name: str) -> bool:
    section, _, field = name.partition(".")
    if section not in FREE_FIELDS:
        return True
    return FREE_FIELDS[section] is not None and field not in FREE_FIELDS[section]


def _short(old: str, new: str) -> str:
    return f"{old[:16]} then, {new[:16]} now"
