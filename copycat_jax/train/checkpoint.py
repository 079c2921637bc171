"""Checkpoints: the only file that imports Orbax.

A run folder holds `checkpoints/STEP/{state,meta}`. Saving is asynchronous; a step appears under its final name only
when it is complete and carries its checksums (`seal`), so that a process killed at any moment leaves the last complete
one. `meta` holds what the run is made of (`identity`), under which alone it resumes unless forced, and the loss of that
very state where it was evaluated: it decides which checkpoint is the best, now and after a resume. Restoring works on
any number of devices: the values are read straight into the shardings asked for. What is not what was written is put
aside, and the newest that is takes its place.
"""

import atexit
import contextlib
import gc
import logging
import math
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from copycat_jax.console import warn
from copycat_jax.errors import UserError
from copycat_jax.files import check_local, locked_file, plain, refusals_of
from copycat_jax.train import distributed, identity, seal, unleaked
from copycat_jax.train.state import EMA_GROUP, TrainState

# Orbax tells through absl's logger what it was asked to do, and what goes wrong, which it also raises; of every array
# that a full disk refuses asyncio tells too.
for _name in ("absl", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

unleaked.mend()

FOLDER = "checkpoints"
DAMAGED = "damaged"
LOCK = "lock"


class Restored(NamedTuple):
    """What a run goes on from.

    Attributes:
      state: the values.
      step: the checkpoint's.
      meta: what was stored with it.
      changes: {dotted name: [then, now]} of what the run is made of.
    """

    state: TrainState
    step: int
    meta: dict[str, Any]
    changes: dict[str, list]


def _folder(run_dir: str | Path) -> Path:
    return check_local(run_dir).expanduser().absolute() / FOLDER


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
      meta: {"config", "code", "fingerprint", ...}, JSON-ready; stored with every checkpoint.
      keep: how many of the latest to keep, beside the one with the lowest evaluation loss.
      keep_every: those of all multiples of so many steps are kept for good; 0 = none.
    """

    def __init__(self, run_dir: str | Path, meta: dict[str, Any], keep: int = 3, keep_every: int = 0):
        self.meta = plain(meta)  # stored and live configurations compare equal
        self.run_dir = Path(run_dir)
        self._losses = _losses(run_dir) if _folder(run_dir).is_dir() else {}
        kept: list[Any] = [checkpoint_managers.LatestN(keep), _Best(self._losses)]
        if keep_every:
            kept.append(checkpoint_managers.EveryNSteps(keep_every))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(kept),
            enable_async_checkpointing=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),  # on process 0, before it is named
            cleanup_tmp_directories=True,
        )
        with self._writing():
            self._manager = ocp.CheckpointManager(_folder(run_dir), options=options, item_names=("state", "meta"))

    def __enter__(self) -> "Checkpoints":
        self._hook, sys.unraisablehook = sys.unraisablehook, self._told_once
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        refused = kind is not None
        try:
            with self._writing():
                try:
                    self._manager.wait_until_finished()
                finally:
                    self._manager.close()
        except UserError:
            refused = True
            raise
        finally:
            if refused:  # what a save left unfinished tells of itself until its modules are gone
                gc.collect()
                atexit.register(setattr, sys, "unraisablehook", lambda _: None)
            else:
                sys.unraisablehook = self._hook

    def _told_once(self, unraisable: Any) -> None:
        """Every array that is written when another one was refused would print a traceback of its own, from C++."""
        if not (unraisable.exc_type is RuntimeError and str(unraisable.exc_value) == "Event loop is closed"):
            self._hook(unraisable)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        """Makes one line of what Orbax says where the disk refuses; it hands on TensorStore's ValueError."""
        return refusals_of(self.run_dir / FOLDER, ValueError)

    def _seal(self) -> None:
        for unnamed in _folder(self.run_dir).glob("*.orbax-checkpoint-tmp*"):
            seal.write_seal(unnamed)

    def latest(self) -> int | None:
        """The last complete step, or None."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """All complete steps, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: TrainState, loss: float | None = None, **facts: Any) -> None:
        """Starts writing `state` as `step`; returns once the values are copied off the device.

        Args:
          step: number of steps taken.
          state: what is saved.
          loss: what the evaluation of this very state gave, if there was one; only such states can be the best.
          facts: JSON-ready, stored in `meta`.

        Raises:
          UserError: this one or the one before cannot be written; `wait` and the end of the block raise it too.
        """
        if loss is not None and math.isfinite(loss):
            facts["loss"] = self._losses[step] = float(loss)
        with self._writing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    meta=ocp.args.JsonSave({**self.meta, **plain(facts), "step": step}),
                ),
                force=True,
            )
        for gone in self._losses.keys() - set(self._manager.all_steps()):
            del self._losses[gone]

    def wait(self) -> None:
        """Blocks until everything handed to `save` is on disk."""
        with self._writing():
            self._manager.wait_until_finished()

    def restore(self, abstract: TrainState, force: bool = False) -> Restored:
        """The newest whole state, read into the shardings that `abstract`'s leaves carry.

        What is newer and damaged is moved to `damaged/` in the run folder, and a line says so.

        Raises:
          UserError: no checkpoint is whole; the stored configuration, code or data fingerprint is another and `force`
            is not set; or the arrays have other shapes.
        """
        first = jax.process_index() == 0
        chosen, damages = _newest_whole(self._manager, self.run_dir) if first else (None, {})
        step = distributed.of_first(-1 if chosen is None else chosen)
        if step < 0:
            raise _none_whole(self.run_dir, damages)
        meta = _meta(self._manager, step)
        changed = identity.changes(meta, self.meta)
        self._refuse_mismatch(changed, step, force)
        try:
            args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            state = self._manager.restore(step, args=args)["state"]
        except (ValueError, KeyError, TypeError) as error:
            line = str(error).strip().splitlines()[0][:200]
            raise UserError(
                f"checkpoint {step} does not fit this model ({line})",
                str(self.run_dir),
                "Use the run's own configuration.",
            ) from error
        if first:
            self._put_aside(damages, step)
        distributed.barrier("damaged checkpoints are put aside")
        self._manager.reload()
        return Restored(state, step, meta, changed)

    def _put_aside(self, damages: dict[int, str], step: int) -> None:
        for damaged, why in damages.items():
            place = self.run_dir / DAMAGED / str(damaged)
            with refusals_of(place):
                place.parent.mkdir(exist_ok=True)
                if place.exists():
                    place = place.with_name(f"{damaged}.{len(list(place.parent.iterdir()))}")
                (_folder(self.run_dir) / str(damaged)).rename(place)
            warn(f"checkpoint {damaged} is damaged ({why}): moved to {place}; resuming from checkpoint {step}")

    def _refuse_mismatch(self, changed: dict[str, list], step: int, force: bool) -> None:
        others = identity.binding(changed)
        if not others:
            return
        what = f"checkpoint {step} was made with another {', '.join(others[:5])}"
        if not force:
            raise UserError(what, str(self.run_dir), "Restore it, or continue regardless with --force.")
        if jax.process_index() == 0:
            warn(f"{what}; continuing because of --force")


class _Best:
    """A rule of Orbax's for what to preserve: the checkpoint of lowest loss among those that have one."""

    def __init__(self, losses: dict[int, float]):
        self.losses = losses

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        _, best = _lowest({c.step: self.losses[c.step] for c in checkpoints if c.step in self.losses})
        return [c.step == best for c in checkpoints]


def _lowest(losses: dict[int, float]) -> tuple[float | None, int | None]:
    return min(((loss, step) for step, loss in losses.items()), default=(None, None))


def read_task_name(run_dir: str | Path) -> str:
    """What a run is of: the name of its task ("copycat", "speaker", ...); raises UserError like `restore_params`."""
    with _reading(run_dir) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            with contextlib.suppress(Exception):  # damaged; every checkpoint of a run is of the same task
                return _meta(manager, step)["task"]
        raise _none_whole(run_dir, {})


def restore_params(
    run_dir: str | Path, ema: bool = True, step: int | None = None
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Parameters of a run as NumPy arrays, on any machine, whatever devices it was trained on.

    Args:
      run_dir: the run folder.
      ema: take the moving average for the "model" group where the run kept one.
      step: which checkpoint; the latest that is whole by default.

    Returns:
      ({group: tree of arrays}, the run's resolved configuration, step).

    Raises:
      UserError: no checkpoint there, or it is damaged.
    """
    with _reading(run_dir) as manager:
        chosen = _chosen(manager, run_dir, step)
        config = _meta(manager, chosen)["config"]
        state = _arrays(manager, chosen, ("params", "ema"))
    params = dict(state["params"])
    if ema and state.get("ema"):
        params[EMA_GROUP] = state["ema"]
    return params, config, chosen


def best_step(run_dir: str | Path) -> tuple[int | None, float | None]:
    """(step, held-out loss) of the checkpoint that evaluated best; (None, None) where none was evaluated.

    Raises:
      UserError: no checkpoints there.
    """
    loss, step = _lowest(_losses(run_dir))
    return step, loss


def _losses(run_dir: str | Path) -> dict[int, float]:
    """{step: held-out loss} of the checkpoints that were evaluated."""
    found = {}
    with _reading(run_dir) as manager:
        for step in manager.all_steps():
            with contextlib.suppress(Exception):  # damaged: told of where it is to be restored
                found[step] = _meta(manager, step).get("loss")
    return {step: loss for step, loss in found.items() if loss is not None}


def _reading(run_dir: str | Path) -> ocp.CheckpointManager:
    folder = _folder(run_dir)
    if not folder.is_dir():
        raise UserError("no checkpoints here", str(run_dir), "Give the --run-dir of `copycat train`.")
    own = jax.process_index()  # whoever reads does not wait for other processes
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"reader_{own}"
    )
    handlers = {
        "state": ocp.PyTreeCheckpointHandler(multiprocessing_options=alone),
        "meta": ocp.JsonCheckpointHandler(multiprocessing_options=alone),
    }
    options = ocp.CheckpointManagerOptions(read_only=True, multiprocessing_options=alone)
    return ocp.CheckpointManager(folder, item_handlers=handlers, options=options)


def _chosen(manager: ocp.CheckpointManager, run_dir: str | Path, step: int | None) -> int:
    steps = sorted(manager.all_steps())
    if step is None:
        chosen, damages = _newest_whole(manager, run_dir)
        for damaged, why in damages.items():
            warn(f"checkpoint {damaged} of {run_dir} is damaged ({why})")
        if chosen is None:
            raise _none_whole(run_dir, damages)
        return chosen
    if step not in steps:
        raise UserError(f"no complete checkpoint {step}", str(run_dir), f"There are: {steps}.")
    if why := _damage(manager, run_dir, step):
        raise UserError(f"checkpoint {step} is damaged ({why})", str(run_dir), f"There are: {steps}.")
    return step


def _newest_whole(manager: ocp.CheckpointManager, run_dir: str | Path) -> tuple[int | None, dict[int, str]]:
    """(the newest checkpoint that is what was written, or None, {newer one: what is wrong with it})."""
    damages: dict[int, str] = {}
    for step in sorted(manager.all_steps(), reverse=True):
        if not (why := _damage(manager, run_dir, step)):
            return step, damages
        damages[step] = why
    return None, damages


def _none_whole(run_dir: str | Path, damages: dict[int, str]) -> UserError:
    if not damages:
        return UserError("no complete checkpoint", str(run_dir), "Start the run first.")
    told = "; ".join(f"{step} ({why})" for step, why in damages.items())
    return UserError(f"every checkpoint is damaged: {told}", str(run_dir), "Start anew with another --run-dir.")


def _damage(manager: ocp.CheckpointManager, run_dir: str | Path, step: int) -> str:
    """What is wrong with a checkpoint; empty if nothing is."""
    folder = _folder(run_dir) / str(step)
    if seal.is_sealed(folder):
        return seal.damage(folder)
    try:  # of before there were checksums: it is as good as it can be read
        with _reading(run_dir) as reader:
            _meta(reader, step)["config"]
            _arrays(reader, step)
    except Exception as error:  # whatever Orbax and TensorStore make of what they find
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    warn(f"checkpoint {step} of {run_dir} carries no checksums: it can be read, more is not known")
    return ""


def _arrays(manager: ocp.CheckpointManager, step: int, fields: tuple[str, ...] = TrainState._fields) -> dict[str, Any]:
    """{field: tree of NumPy arrays} of a state, by a manager of `_reading`."""
    stored = manager.item_metadata(step)["state"]
    tree = getattr(stored, "tree", stored)
    wanted = {field: tree.get(field) or {} for field in fields if field in tree}
    restore_args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    args = ocp.args.PyTreeRestore(item=wanted, restore_args=restore_args, partial_restore=True)
    return manager.restore(step, args=ocp.args.Composite(state=args))["state"]


def _meta(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    return manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
