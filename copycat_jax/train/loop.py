"""fit(): evaluate, save, next batch, step. The only impure file of training.

The order never changes: what is saved at step k is what `evaluate` saw, and batch k has not been drawn yet, so that
(state, k) is the whole truth about a run. Between two looks at the metrics nothing waits for the device.

Metrics are looked at, and their window begins anew, at log steps and before every save (a state that is not known to be
finite, and the same on all devices, is never saved). Both happen at fixed steps, so a resumed run writes the same
records as one never stopped; only the window in which a signal interrupted the run is written in two parts.
"""

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.files import check_local
from copycat_jax.task import Rows, Task
from copycat_jax.train import agreement, distributed, outcomes, sharding, watchdog
from copycat_jax.train.checkpoint import FOLDER, Checkpoints, Restored, holding_run
from copycat_jax.train.config import TrainConfig, completed
from copycat_jax.train.goodput import Ledger, attempts_of, ledger_path
from copycat_jax.train.hardware import peak_flops
from copycat_jax.train.identity import code_digest
from copycat_jax.train.mishaps import WINDOW, Mishaps
from copycat_jax.train.replicas import make_checksums, odd_devices
from copycat_jax.train.state import TrainState, smoothed_params
from copycat_jax.train.step import divide, evaluation_of
from copycat_jax.train.trainer import Trainer, initial_state
from copycat_jax.train.watch import FloorWatch, StopSignal
from copycat_jax.train.writer import MetricsWriter, write_run_page

__all__ = ["TrainConfig", "Trainer", "exit_code", "fit"]

Batches = Callable[[int], Rows]
SLOW_DISK = 5e6  # bytes a second; a save that takes longer hangs


class _Run:
    """The loop, with what it keeps at hand: the metrics window, clocks, and the places results go to."""

    def __init__(
        self,
        trainer: Trainer,
        writer: MetricsWriter,
        checkpoints: Checkpoints,
        ledger: Ledger,
        start: int,
        bar: Any,
        held_out: Any,
        render: Any,
        mishaps: Mishaps,
        epoch_steps: float | None,
    ):
        self.mishaps = mishaps
        self.checksums = make_checksums(trainer.shardings, trainer.mesh) if trainer.mesh.size > 1 else None
        self.trainer, self.writer, self.checkpoints, self.bar = trainer, writer, checkpoints, bar
        self.ledger, self.held_out, self.render, self.epoch_steps = ledger, held_out, render, epoch_steps
        self.metrics, self.start, self.seen = trainer.metrics(), start, start
        self.watch = FloorWatch(trainer.task.floors)
        self.losses, self.saved_s, self.flops, self.padded = {}, time.monotonic(), 0.0, 0
        self.end, self.told = start, (start, 0.0)  # where it ends; of which step something was said last, and when
        self.peak_flops = peak_flops(jax.devices()[0].device_kind) * jax.device_count()

    def to(self, end: int, state: TrainState, batches: Iterator[Rows], stop: StopSignal) -> TrainState:
        """Evaluate, save, next batch, step; until step `end` or a signal."""
        settings, step = self.trainer.train, self.start
        self.end, self.told = end, (step, time.perf_counter())
        while True:
            stopping = step >= end or stop.requested(step)
            if step > self.start:  # what is due at the first step was done before the run was stopped there
                saving = _due(step, settings.save_every) or step == settings.steps
                if self.held_out and settings.eval_every and (_due(step, settings.eval_every) or saving):
                    with self.aside("evaluate", step):
                        self.evaluate(step, state)
                if self.render and _due(step, settings.render_every):
                    with self.aside("render", step):
                        self.draw(step, state)
                if stopping or saving or self.long_unsaved(step):
                    with self.aside("save", step):
                        self.save(step, state)
                elif _due(step, settings.compare_every):
                    with self.aside("save", step):
                        self.compare(step, state)
            if stopping:
                break
            watchdog.reached("batch", step)
            with self.ledger.during("input"):
                batch = self.trainer.put(next(batches))
            watchdog.reached("step", step)
            state = self.step(state, batch)
            step += 1
            self.ledger.stepped(step)
            self.bar.update(1)
            if _due(step, settings.log_every) or step == end:
                self.look(step)
            elif self.bar.disable and time.perf_counter() - self.told[1] > console.SILENCE_S:
                self.tell(step, state)
        if stop.received and step < end and self.writer.active:
            console.say(f"stopped by a signal at step {step}; the next run with this --run-dir resumes there")
        return state

    def step(self, state: TrainState, batch: Rows) -> TrainState:
        """One step, compiled first where this bucket is new; returns before the device is done."""
        with self.ledger.during("compile"):
            compiled, seconds = self.trainer.step_for(state, self.metrics, batch)
        self.flops, self.padded = self.flops + self.trainer.flops_of(batch), self.padded + batch.mask.size
        if seconds:
            rows, frames = batch.mask.shape
            self.say(f"compiled the step for {rows} x {frames} frames in {seconds:.1f} s")
        state, self.metrics = compiled(state, self.metrics, batch)
        return state

    def tell(self, step: int, state: TrainState) -> None:
        """Where the run is, between two looks at the metrics that lie far apart, where no progress bar shows it."""
        jax.block_until_ready(state.step)
        (since, then), now = self.told, time.perf_counter()
        step_s = (now - then) / (step - since)
        self.say(f"step {step}/{self.end}: {step_s:.3g} s a step, {console.duration((self.end - step) * step_s)} left")
        self.told = step, now

    @contextlib.contextmanager
    def aside(self, phase: str, step: int) -> Iterator[None]:
        """What is done beside the steps; they are waited for first, so that each phase's seconds are its own."""
        self.look(step)
        watchdog.reached(phase, step)
        with self.ledger.during(phase):
            yield
        self.ledger.write()
        self.told = step, time.perf_counter()  # the pace that is told is of steps alone

    def save(self, step: int, state: TrainState) -> None:
        """A checkpoint, of a state known to be finite and the same on all devices."""
        self.compare(step, state)
        with jax.transfer_guard("allow"):
            self.checkpoints.save(step, state, self.losses.get(step), bad_steps=self.mishaps.bad.steps)
        self.saved_s = time.monotonic()

    def long_unsaved(self, step: int) -> bool:
        """Whether `train.save_minutes` have passed, by the clock of process 0; asked for at logged steps only."""
        settings = self.trainer.train
        if not settings.save_minutes or not _due(step, settings.log_every):
            return False
        with jax.transfer_guard("allow"):
            return bool(distributed.of_first(time.monotonic() - self.saved_s > 60 * settings.save_minutes))

    def compare(self, step: int, state: TrainState) -> None:
        """Ends the run where devices that should hold the same do not."""
        if self.checksums is None:
            return
        odd = odd_devices(jax.device_get(self.checksums(state)), self.trainer.mesh)
        if odd:
            message = f"the copies of the training state differ on {', '.join(odd)}"
            self.writer.record("note", step, message=message)
            remedy = "Run it without the machine that has them, and look at its memory."
            raise UserError(f"{message} at step {step}; {self.kept()}", str(self.checkpoints.run_dir), remedy)

    def kept(self) -> str:
        """What there is to go on from."""
        good = self.checkpoints.latest()
        return f"the checkpoint of step {good} is kept" if good is not None else "no checkpoint was made yet"

    def draw(self, step: int, state: TrainState) -> None:
        """Pictures and sounds, drawn by process 0 on a device of its own, from parameters that all bring together."""
        with jax.transfer_guard("allow"):
            params = smoothed_params(state)
            if jax.process_count() > 1:
                from jax.experimental import multihost_utils

                params = multihost_utils.process_allgather(params, tiled=True)
            if self.writer.active:
                with jax.set_mesh(sharding.own_mesh()):
                    self.writer.media(step, self.render(step, jax.device_get(params)))

    def say(self, line: str) -> None:
        """A line beside the progress bar, from process 0."""
        if self.writer.active:
            console.say(line) if self.bar.disable else self.bar.write(console.noted(line), file=sys.stderr)

    def look(self, step: int) -> None:
        """Fetches the window's metrics, writes them, and begins a new window; the only wait on the device."""
        if step == self.seen:
            return
        watchdog.reached("metrics", step)
        host = jax.device_get(self.metrics)
        spent = self.ledger.window()
        elapsed = max(1e-9, spent["step"] + spent["input"])
        self.heed(step, host)
        values = {n: v for n, v in divide(host["terms"]).items() if not math.isnan(v)}  # of discarded steps alone
        frames = float(host["terms"]["frames"][0])
        steps = step - self.seen
        values |= {
            "frames_per_s": frames / elapsed,
            "step_ms": 1e3 * elapsed / steps,
            "padding_efficiency": frames / self.padded,
            **{f"{phase}_s": round(spent[phase], 3) for phase in ("compile", "input", "evaluate", "render", "save")},
            **self.machine(elapsed),
        }
        if self.epoch_steps:
            values["epoch"] = step / self.epoch_steps
        self.writer.record("train", step, **values)
        loss = values.get(f"loss/{self.trainer.task.groups[0]}", float("nan"))
        line = f"loss {loss:.4g}, {values['frames_per_s']:.0f} frames/s"
        self.bar.set_postfix_str(line, refresh=False)
        if self.bar.disable:
            self.say(f"step {step}/{self.end}: {line}, {console.duration((self.end - step) * elapsed / steps)} left")
            self.told = step, time.perf_counter()
        for message in self.watch.check(step, values) if self.writer.active else ():
            console.warn(message)
            self.writer.record("note", step, message=message)
        with jax.transfer_guard("allow"):
            self.metrics = self.trainer.metrics()
        self.seen, self.flops, self.padded = step, 0.0, 0

    def machine(self, elapsed: float) -> dict[str, float]:
        """What the devices tell: their peak memory, and the share of their arithmetic that the window's steps used."""
        told: dict[str, float] = {}
        memory = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        if memory:
            told["device_gib"] = memory / 2**30
        if self.peak_flops:
            told["utilisation"] = self.flops / elapsed / self.peak_flops
        return told

    def heed(self, step: int, metrics: dict[str, Any]) -> None:
        """Tells of the window's mishaps; ends the run where too many updates were discarded."""
        for mishap in self.mishaps.check(metrics):
            if self.writer.active:
                console.warn(f"step {mishap.step}: {mishap.message}")
            told = {"message": mishap.message, "utterances": mishap.utterances}
            self.writer.record("note", step, at=mishap.step, **told)
        if self.mishaps.too_many:
            discarded = self.mishaps.bad.steps
            steps = f"step {discarded[0]}" if len(discarded) == 1 else f"steps {', '.join(map(str, discarded))}"
            limit = self.trainer.train.skip_bad
            many = f", more than train.skip_bad = {limit} in {WINDOW} steps" if limit else ""
            raise UserError(
                f"loss or gradient is not finite at {steps}{many}; {self.kept()}",
                str(self.checkpoints.run_dir),
                "Lower optimizer.lr, check the data, or train the model in float32.",
            )

    def evaluate(self, step: int, state: TrainState) -> None:
        """Metrics of what is held out, all of it together, under the moving average."""
        params, found = smoothed_params(state), []
        for make in self.held_out:
            watchdog.reached("evaluate", step)
            found.append(self.trainer.evaluate(params, self.trainer.put(make())))
        values = evaluation_of(jax.device_get(found))
        self.writer.record("eval", step, **values)
        self.say(f"step {step}: held-out loss {values['loss']:.4g} over {values['rows']} rows")
        self.losses = {step: values["loss"]}


def fit(
    task: Task,
    config: dict[str, Any],
    batches: Batches,
    *,
    run_dir: str | Path,
    fingerprint: str = "",
    held_out: Sequence[Callable[[], Rows]] = (),
    shapes: Sequence[tuple[int, int, int]] = (),
    prefetch: Callable[[Batches, int], Iterator[Rows]] | None = None,
    render: Callable[[int, Any], dict[str, Any]] | None = None,
    max_steps: int | None = None,
    force: bool = False,
    tensorboard: bool = True,
    names: Sequence[str] | np.ndarray = (),
    epoch_steps: float | None = None,
    began: float | None = None,
) -> TrainState:
    """Trains to step `train.steps`, resuming what `run_dir` holds.

    Args:
      task: the model's pure functions.
      config: the resolved configuration as a plain, JSON-ready dictionary.
      batches: step -> this process's part of the batch, pure.
      run_dir: run folder: checkpoints/, metrics.jsonl, tensorboard/, config.json, logs/ATTEMPT/.
      fingerprint: of the data, stored and compared.
      held_out: each makes this process's part of one batch of the evaluation, see `task.Term` of rows that fill up.
      shapes: (rows of all hosts, frames, phonemes) of the buckets, compiled at once before the first step; what is not
        named here is compiled when it comes.
      prefetch: (batches, first step) -> iterator over batches, reading ahead; plain calls by default.
      render: (step, params) -> pictures and sounds for the log; only called on process 0.
      max_steps: stop (and save) at this step although the run is longer: its schedules stay those of `train.steps`.
      force: resume although configuration, code or data differ.
      tensorboard: write event files too.
      names: ids of the utterances that the field `index` of a batch counts, to tell of a bad step.
      epoch_steps: steps of one pass over the data, where there is such a thing.
      began: when the process began, in seconds since 1970; now by default.

    Returns:
      The last state: at its end, or saved where a signal stopped the run; `exit_code` tells which.

    Raises:
      UserError: a configuration that does not fit, another run's folder, one that another process trains in, too many
        losses that are not finite, devices that disagree.
    """
    check_local(run_dir)
    config, commit = completed(config), distributed.source_commit()
    facts = {"config": config, "code": code_digest(), "commit": commit, "fingerprint": fingerprint}
    facts |= {"jax": jax.__version__, "processes": jax.process_count(), "devices": jax.device_count()}
    watchdog.reached("agreement")
    steps = agreement.check_start(run_dir, FOLDER, {**facts, "--max-steps": max_steps, "--force": force})
    trainer = Trainer(task, config, batches(0))
    agreement.check_room(run_dir, trainer.abstract, max(1, trainer.train.keep + 1 - len(steps)))
    agreement.check_sum(trainer.mesh)
    first = jax.process_index() == 0
    with (
        watchdog.watching(),
        contextlib.ExitStack() as to_the_end,
        holding_run(run_dir) if first else contextlib.nullcontext(),
        _attempt(run_dir, began) as ledger,
        Checkpoints(run_dir, {"task": task.name, **facts}, trainer.train.keep, trainer.train.keep_every) as checkpoints,
        watchdog.together(),
    ):
        settings = trainer.train
        watchdog.limit(settings.stall_s, settings.start_s, agreement.bytes_of(trainer.abstract) / SLOW_DISK)
        watchdog.reached("restore")
        resumed = checkpoints.restore(trainer.abstract, force) if checkpoints.latest() is not None else None
        state = resumed.state if resumed else initial_state(trainer)
        start = ledger.step = int(jax.device_get(state.step))
        agreement.check({"the step to go on from": start})
        ledger.write()
        with (
            MetricsWriter(run_dir, start, first, tensorboard) as writer,
            console.progress_bar("train", total=trainer.train.steps, initial=start, unit="step") as bar,
            jax.set_mesh(trainer.mesh),
        ):
            if first:
                write_run_page(run_dir, {"task": task.name, **facts})
                writer.configuration(config)
            writer.record("begin", start, **_beginning(start, facts, resumed, force))
            earlier = resumed.meta.get("bad_steps", ()) if resumed else ()
            mishaps = Mishaps(task.groups[0], trainer.train.skip_bad, batches, names, earlier)
            run = _Run(trainer, writer, checkpoints, ledger, start, bar, held_out, render, mishaps, epoch_steps)
            following = prefetch(batches, start) if prefetch else map(batches, itertools.count(start))
            end = trainer.train.steps if max_steps is None else min(trainer.train.steps, max_steps)
            run.say(trainer.summary(shapes))
            if shapes and start < end:
                with ledger.during("compile"):
                    seconds = trainer.compile_ahead(shapes)
                run.say(f"compiled the step for {len(shapes)} shapes in {seconds:.1f} s")
            ledger.enter("step")
            stop = to_the_end.enter_context(StopSignal())
            with jax.transfer_guard("disallow"):
                state = run.to(end, state, following, stop)
            watchdog.reached("end")
            ledger.enter("save")  # what is still being written is waited for
    distributed.barrier("end of training")
    return state


def exit_code(state: TrainState, config: dict[str, Any], max_steps: int | None = None) -> int:
    """Of `outcomes`: FINISHED if `fit` with these arguments came to its end, PREEMPTED if it was stopped before."""
    steps = completed(config)["train"]["steps"]
    end = steps if max_steps is None else min(steps, max_steps)
    return outcomes.FINISHED if int(jax.device_get(state.step)) >= end else outcomes.PREEMPTED


def _beginning(start: int, facts: dict[str, Any], resumed: Restored | None, force: bool) -> dict[str, Any]:
    """The record that a run was started or resumed: what it is made of, and what was another then."""
    made = {name: facts[name] for name in ("code", "commit", "jax", "processes", "devices")}
    if resumed is None:
        return {"message": f"started at step {start}", **made}
    return {"message": f"resumed at step {start}", **made, "changes": resumed.changes, "forced": force}


@contextlib.contextmanager
def _attempt(run_dir: str | Path, began: float | None) -> Iterator[Ledger]:
    """A new folder of logs: what this process says and what its time goes into, from here on."""
    number = distributed.of_first((attempts_of(run_dir) or [0])[-1] + 1)
    process, processes = jax.process_index(), jax.process_count()
    path = ledger_path(run_dir, number, process)
    facts = {"process": process, "processes": processes, "devices": jax.device_count()}
    with (
        Ledger(path, time.time() if began is None else began, **facts) as ledger,
        console.logged(path.with_suffix(".log"), f" [{process}]" if processes > 1 else ""),
    ):
        yield ledger


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
