"""Checkpoints: the only file that imports Orbax.

A run folder holds `checkpoints/STEP/{state,meta}`. Saving is asynchronous; a step appears under its final name only
when it is complete, so that a process killed at any moment leaves the last complete one. `meta` carries the resolved
configuration, the source commit and the fingerprint of the data: a run resumes only under the same ones unless forced.
Restoring works on any number of devices: the values are read straight into the shardings asked for.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from copycat_jax.console import warn
from copycat_jax.errors import UserError
from copycat_jax.files import locked_file, plain, refusals_of, refuse_object_store
from copycat_jax.train.state import EMA_GROUP, TrainState

# Orbax tells through absl's logger what it was asked to do, and what goes wrong, which it also raises.
logging.getLogger("absl").setLevel(logging.CRITICAL)

FOLDER = "checkpoints"
LOCK = "lock"
# Fields that may change between a run and its continuation without changing what is computed. `task` and `inputs` say
# where to import from: a module may move, the name of the task and the fingerprint of the data may not change.
FREE_FIELDS = {
    "task": None,
    "inputs": None,
    "mesh": None,
    "data": {"in_memory_gib", "needs_speaker_vectors", "needs_f0", "needs_audio"},
    "train": {
        "log_every",
        "eval_every",
        "eval_batches",
        "save_every",
        "render_every",
        "keep",
        "threads",
        "stall_s",
        "init_from",
    },
}


def _folder(run_dir: str | Path) -> Path:
    refuse_object_store(run_dir)
    return Path(run_dir).expanduser().absolute() / FOLDER


def differences(old: Any, new: Any, prefix: str = "", shared_only: bool = False) -> list[str]:
    """Dotted names of the fields in which two nested dictionaries differ; of those that both have, if `shared_only`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(set(old) & set(new) if shared_only else set(old) | set(new)):
            name = f"{prefix}.{key}" if prefix else str(key)
            found += differences(old.get(key), new.get(key), name, shared_only)
        return found
    return [] if old == new else [prefix]


def _binding(name: str) -> bool:
    section, _, field = name.partition(".")
    if section not in FREE_FIELDS:
        return True
    return FREE_FIELDS[section] is not None and field not in FREE_FIELDS[section]


def _short(name: str) -> str:
    return name[:12] + "+dirty" * name.endswith("+dirty")


@contextlib.contextmanager
def holding_run(run_dir: str | Path) -> Iterator[None]:
    """While it lasts no other process trains in the run folder, which is made if absent.

    Raises:
      UserError: another one does, or the folder cannot be written.
    """
    path = Path(run_dir) / LOCK
    with contextlib.ExitStack() as stack:
        with refusals_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = stack.enter_context(locked_file(path, wait=False))
            except BlockingIOError:
                holder = path.read_text(encoding="utf-8").strip() or "another process"
                remedy = "Wait for it, stop it, or choose another --run-dir."
                raise UserError(f"{holder} is training in it", str(run_dir), remedy) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)


class Checkpoints:
    """The checkpoints of one run; a context manager.

    Args:
      run_dir: the run folder (a local or mounted path; every process sees the same one).
      meta: {"config", "commit", "fingerprint", ...}, JSON-ready; stored with every checkpoint.
      keep: how many of the latest to keep, beside the one with the lowest evaluation loss.
    """

    def __init__(self, run_dir: str | Path, meta: dict[str, Any], keep: int = 3):
        self.meta = plain(meta)  # stored and live configurations compare equal
        self.run_dir = Path(run_dir)
        best = checkpoint_managers.BestN(
            get_metric_fn=lambda m: m["loss"], reverse=True, n=1, keep_checkpoints_without_metrics=False
        )
        latest = checkpoint_managers.LatestN(max(1, keep))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy([latest, best]),
            enable_async_checkpointing=True,
            cleanup_tmp_directories=True,
        )
        with self._writing():
            self._manager = ocp.CheckpointManager(_folder(run_dir), options=options, item_names=("state", "meta"))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        with self._writing():
            try:
                self._manager.wait_until_finished()
            finally:
                self._manager.close()

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        """Makes one line of what Orbax says where the disk refuses; it hands on TensorStore's ValueError."""
        return refusals_of(self.run_dir / FOLDER, ValueError)

    def latest(self) -> int | None:
        """The last complete step, or None."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """All complete steps, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: TrainState, loss: float | None = None) -> None:
        """Starts writing `state` as `step`; returns once the values are copied off the device.

        Raises:
          UserError: this one or the one before cannot be written; `wait` and the end of the block raise it too.
        """
        with self._writing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave({**self.meta, "step": step})
                ),
                metrics=None if loss is None else {"loss": float(loss)},
                force=True,
            )

    def wait(self) -> None:
        """Blocks until everything handed to `save` is on disk."""
        with self._writing():
            self._manager.wait_until_finished()

    def restore(self, abstract: TrainState, force: bool = False) -> TrainState:
        """The latest state, read into the shardings that `abstract`'s leaves carry.

        Raises:
          UserError: the stored configuration, commit or data fingerprint is another and `force` is not set; or the
            arrays have other shapes.
        """
        step = self._manager.latest_step()
        if step is None:
            raise UserError("no complete checkpoint", str(self.run_dir), "Start the run first.")
        meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        self._refuse_mismatch(meta, step, force)
        try:
            args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            return self._manager.restore(step, args=args)["state"]
        except (ValueError, KeyError, TypeError) as error:
            line = str(error).strip().splitlines()[0][:200]
            raise UserError(
                f"checkpoint {step} does not fit this model ({line})",
                str(self.run_dir),
                "Use the run's own configuration.",
            ) from error

    def _refuse_mismatch(self, stored: dict[str, Any], step: int, force: bool) -> None:
        changed = []
        for name, title in (("task", "task"), ("commit", "commit"), ("fingerprint", "data fingerprint")):
            old, new = stored.get(name), self.meta.get(name)
            if old and new and old != new:
                changed.append(f"{title} ({_short(old)} then, {_short(new)} now)")
        # Another commit may know more fields, or fewer: what one side cannot state is told by the commits.
        other_code = stored.get("commit") != self.meta.get("commit")
        names = differences(stored.get("config"), self.meta.get("config"), shared_only=other_code)
        changed += [f"config field {name}" for name in names if _binding(name)]
        if not changed:
            return
        what = f"checkpoint {step} was made with another {', '.join(changed[:5])}"
        if not force:
            raise UserError(what, str(self.run_dir), "Restore it, or continue regardless with --force.")
        warn(f"{what}; continuing because of --force")


def read_task_name(run_dir: str | Path) -> str:
    """What a run is of: the name of its task ("copycat", "speaker", ...); raises UserError like `restore_params`."""
    with _reading(run_dir) as manager:
        return _meta(manager, _chosen(manager, run_dir, None))["task"]


def restore_params(
    run_dir: str | Path, ema: bool = True, step: int | None = None
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Parameters of a run as NumPy arrays, on any machine, whatever devices it was trained on.

    Args:
      run_dir: the run folder.
      ema: take the moving average for the "model" group where the run kept one.
      step: which checkpoint; the latest by default.

    Returns:
      ({group: tree of arrays}, the run's resolved configuration, step).

    Raises:
      UserError: no checkpoint there.
    """
    with _reading(run_dir) as manager:
        chosen = _chosen(manager, run_dir, step)
        config = _meta(manager, chosen)["config"]
        stored = manager.item_metadata(chosen)["state"]
        tree = getattr(stored, "tree", stored)
        wanted = {"params": tree["params"], "ema": tree.get("ema") or {}}
        restore_args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
        args = ocp.args.PyTreeRestore(item=wanted, restore_args=restore_args, partial_restore=True)
        state = manager.restore(chosen, args=ocp.args.Composite(state=args))["state"]
    params = dict(state["params"])
    if ema and state.get("ema"):
        params[EMA_GROUP] = state["ema"]
    return params, config, chosen


def _reading(run_dir: str | Path) -> ocp.CheckpointManager:
    folder = _folder(run_dir)
    if not folder.is_dir():
        raise UserError("no checkpoints here", str(run_dir), "Give the --run-dir of `copycat train`.")
    handlers = {"state": ocp.PyTreeCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
    return ocp.CheckpointManager(folder, item_handlers=handlers, options=ocp.CheckpointManagerOptions(read_only=True))


def _chosen(manager: ocp.CheckpointManager, run_dir: str | Path, step: int | None) -> int:
    steps = sorted(manager.all_steps())
    chosen = steps[-1] if step is None and steps else step
    if chosen is None or chosen not in steps:
        what = f"no complete checkpoint {'' if step is None else step}".strip()
        raise UserError(what, str(run_dir), f"There are: {steps}.")
    return chosen


def _meta(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    return manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
