"""Trains the toy task in a process of its own: toy_run.py RUN '{"adversary": true, "pause": 0.1}'.

With {"mishap": [PLACE, WHAT]} a misfortune befalls it: WHAT ("stop", "kill", "raise", "mistake", "hang", "slow")
happens at PLACE ("start", "compile", "batch", "save", "write": while a checkpoint is written beside the steps).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.console import run_command
from copycat_jax.errors import UserError
from copycat_jax.nn.placement import whole
from copycat_jax.train import agreement, distributed, watchdog
from copycat_jax.train.checkpoint import Checkpoints
from copycat_jax.train.loop import Trainer, exit_code, fit

MISHAP_STEP = 5


def befall(what: str) -> None:
    if what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "raise":
        raise ValueError("a fault of the program")
    elif what == "mistake":
        raise UserError("a mistake", "toy", "Mend it.")
    elif what == "hang":
        time.sleep(10_000)
    elif what == "slow":
        time.sleep(1.0)


def befalls(owner, name: str, what: str) -> None:
    """Calls of `owner.name` meet it first."""
    real = getattr(owner, name)
    setattr(owner, name, lambda *a, **k: (befall(what), real(*a, **k))[1])


def disagree(options) -> None:
    """This host's clock is off by "clock_s"; it does not see the checkpoint "unseen"; it looks for "shared_s"."""
    agreement.SHARED_S = options.get("shared_s", agreement.SHARED_S)
    now, steps = time.time, agreement._steps
    agreement.time.time = lambda: now() + options.get("clock_s", 0)
    agreement._steps = lambda folder: [step for step in steps(folder) if step != options.get("unseen")]


def main() -> int:
    run, options = sys.argv[1], json.loads(sys.argv[2])
    Path(run).mkdir(parents=True, exist_ok=True)
    Path(run, "joining").touch()
    for name in ("JOIN_S", "SILENT_S"):
        setattr(distributed, name, options.get(name.lower(), getattr(distributed, name)))
    with distributed.joined():
        watchdog.limit(options.get("stall_s", 0), options.get("start_s", 0))
        return train(run, options)


def train(run, options) -> int:
    processes, process = jax.process_count(), jax.process_index()
    config = toy_config(
        **{
            k: options[k]
            for k in ("save_every", "steps", "stall_s", "start_s", "render_every", "accumulate")
            if k in options
        }
    )
    config["mesh"]["fsdp"] = options.get("fsdp", 1)
    task = toy_task(options.get("adversary", False), rules=(("kernel", ("fsdp",)),) if options.get("rules") else ())
    pause, poison = options.get("pause", 0.0), options.get("poison", ())
    place, what = options.get("mishap", ("", ""))

    def batches(step):
        time.sleep(pause)
        if place == "batch" and step == MISHAP_STEP:
            Path(run, "befallen").touch()
            befall(what)
        return toy_batch(step, process=process, processes=processes, poison=step if step in poison else -1)

    if place == "start":
        Path(run, "befallen").touch()
        befall(what)
    elif place == "compile":
        befalls(Trainer, "_compile", what)
    elif place == "save":
        befalls(Checkpoints, "save", what)
    elif place == "write":
        befalls(Checkpoints, "_seal", what)
    if "dump" in options:
        with Checkpoints(run, {}) as checkpoints:
            state = checkpoints.restore(Trainer(task, config, batches(0)).abstract, force=True).state
        leaves = jax.tree_util.tree_leaves_with_path(state.params)
        np.savez(options["dump"], **{jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves})

    def draw(step, params):
        """As a model does: with arrays that are to lie on the whole mesh."""
        jax.block_until_ready(jax.jit(lambda p, b: whole(task.synthesize(p, b)))(params, toy_batch(0, rows=1)))
        Path(run, f"drawn-{process}-{step}").touch()
        return {}

    disagree(options)
    named = {name: options[name] for name in ("fingerprint", "max_steps") if name in options}
    names = [f"row {i}" for i in range(8)]
    state = fit(task, config, batches, run_dir=run, tensorboard=False, render=draw, names=names, **named)
    return exit_code(state, config, options.get("max_steps"))


if __name__ == "__main__":
    sys.exit(run_command("toy", main))
