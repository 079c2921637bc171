"""Resume = never stopped, bitwise; nothing is lost to a kill, a signal, or a loss that is not finite."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_task import toy_batch, toy_config, toy_task

import copycat_jax
from copycat_jax.errors import UserError
from copycat_jax.task import Floor, Term
from copycat_jax.train import outcomes
from copycat_jax.train.checkpoint import Checkpoints, best_step, restore_params
from copycat_jax.train.config import OptimizerConfig, TrainConfig
from copycat_jax.train.loop import _Run, fit
from copycat_jax.train.writer import read_metrics

RUNNER = Path(__file__).parents[1] / "stand_ins" / "toy_run.py"


def losses(run, name="loss/model"):
    return {r["step"]: r[name] for r in read_metrics(Path(run) / "metrics.jsonl") if r["kind"] == "train"}


def start(run, devices=8, **options):
    environment = dict(
        os.environ,
        JAX_PLATFORMS="cpu",
        JAX_NUM_CPU_DEVICES=str(devices),
        PYTHONPATH=str(Path(copycat_jax.__file__).parents[1]),
    )
    return subprocess.Popen(
        [sys.executable, str(RUNNER), str(run), json.dumps(options)], env=environment, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return process


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run never stopped, with an adversary, dropout and sampling."""
    run = tmp_path_factory.mktemp("whole") / "run"
    state = fit(toy_task(True), toy_config(), toy_batch, run_dir=run, tensorboard=False)
    return run, jax.device_get(state)


def test_stopped_and_resumed_equals_never_stopped_bitwise(whole_run, tmp_path):
    run, state = whole_run
    fit(toy_task(True), toy_config(), toy_batch, run_dir=tmp_path, max_steps=6, tensorboard=False)
    resumed = fit(toy_task(True), toy_config(), toy_batch, run_dir=tmp_path, tensorboard=False)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(resumed), state)
    assert losses(tmp_path) == losses(run) and len(losses(run)) == 12
    assert losses(tmp_path, "loss/adversary") == losses(run, "loss/adversary")


def test_killed_at_any_moment_and_resumed_equals_never_stopped_bitwise(whole_run, tmp_path):
    run, state = whole_run
    process = start(tmp_path, adversary=True, pause=0.1)
    deadline = time.time() + 300
    while len(losses(tmp_path)) < 6 and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    resumed = fit(toy_task(True), toy_config(), toy_batch, run_dir=tmp_path, tensorboard=False)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(resumed), state)
    assert losses(tmp_path) == losses(run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_with_a_code_of_its_own(number, whole_run, tmp_path):
    _, state = whole_run
    process = start(tmp_path, adversary=True, pause=0.1, save_every=0)
    deadline = time.time() + 300
    while len(losses(tmp_path)) < 3 and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=300)
    assert process.returncode == outcomes.PREEMPTED
    config = toy_config(save_every=0)
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert 3 <= checkpoints.latest() < 12
    resumed = fit(toy_task(True), config, toy_batch, run_dir=tmp_path, tensorboard=False)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(resumed), state)


def test_eight_devices_to_two(whole_run, tmp_path):
    """Restored values bitwise, next losses within 1e-5 (threefry: the same random numbers on any number of devices)."""
    run, _ = whole_run
    fit(toy_task(True), toy_config(), toy_batch, run_dir=tmp_path, max_steps=6, tensorboard=False)
    before, _, _ = restore_params(tmp_path, ema=False)
    finish(start(tmp_path, devices=2, adversary=True, fsdp=2, dump=str(tmp_path / "restored.npz")))
    restored = np.load(tmp_path / "restored.npz")
    for path, leaf in jax.tree_util.tree_leaves_with_path(before):
        np.testing.assert_array_equal(restored[jax.tree_util.keystr(path)], leaf)
    after, wanted = losses(tmp_path), losses(run)
    assert [after[s] for s in range(7, 13)] == pytest.approx([wanted[s] for s in range(7, 13)], rel=1e-5)


def poisoned(step):
    return toy_batch(step, poison=9)


def notes(run, kind="note"):
    return [r for r in read_metrics(Path(run) / "metrics.jsonl") if r["kind"] == kind]


def test_not_finite_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"not finite at step 9; the checkpoint of step 8 is kept"):
        fit(toy_task(), toy_config(log_every=12, skip_bad=0), poisoned, run_dir=tmp_path, tensorboard=False)
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert checkpoints.steps() == [4, 8]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(restore_params(tmp_path)[0]))


def test_a_bad_step_is_passed_over_and_named_and_a_resumed_run_is_the_same(tmp_path, capsys):
    names = [f"utterance {i}" for i in range(8)]
    options = {"names": names, "tensorboard": False}
    config = toy_config(skip_bad=1)
    whole = fit(toy_task(), config, poisoned, run_dir=tmp_path / "whole", **options)
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(said) == 1 and "step 9: loss or gradient not finite, the update is discarded" in said[0]
    assert "utterance 0" in said[0] and "utterance 1" not in said[0]  # the row that holds it
    told = [r for r in notes(tmp_path / "whole") if r.get("at") == 9]
    assert len(told) == 1 and told[0]["utterances"] == names
    assert "NaN" not in (tmp_path / "whole" / "metrics.jsonl").read_text()  # the window of that step alone is empty
    fit(toy_task(), config, poisoned, run_dir=tmp_path / "two", max_steps=10, **options)
    resumed = fit(toy_task(), config, poisoned, run_dir=tmp_path / "two", **options)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(resumed), jax.device_get(whole))


def test_more_bad_steps_than_allowed_end_the_run_also_when_it_was_resumed_between_them(tmp_path):
    def twice(step):
        return toy_batch(step, poison=step if step in (5, 9) else -1)

    limit = {"run_dir": tmp_path / "run", "tensorboard": False}
    with pytest.raises(UserError, match=r"at steps 5, 9, more than train\.skip_bad = 1 in 1000 .* step 8 is kept"):
        fit(toy_task(), toy_config(skip_bad=1), twice, **limit)
    with pytest.raises(UserError, match=r"at steps 5, 9, more"):  # resumed at step 8
        fit(toy_task(), toy_config(skip_bad=1), twice, **limit)
    state = fit(toy_task(), toy_config(skip_bad=2), twice, **limit)  # how many is no part of what is computed
    assert int(state.step) == 12


def test_the_best_checkpoint_is_the_one_that_was_evaluated_and_survives_a_resume(tmp_path):
    """Values lie beside their states: step 5, saved as a signal would, does not carry the loss of step 4."""
    given = {2: 0.5, 4: 0.1, 6: 0.3, 8: 0.2, 10: 0.4, 12: 0.6}
    loss = [0.0]
    task = dataclasses.replace(toy_task(), evaluate=lambda params, batch: {"it": Term(batch.mel.sum(), 1.0, 1.0)})

    def held_out():
        mel = np.zeros((8, 12, 8), np.float32)
        mel[0, 0, 0] = loss[0]
        return toy_batch(0)._replace(mel=mel)

    def batches(step):
        loss[0] = given.get(step + 1, 9.0)
        return toy_batch(step)

    config = toy_config(save_every=0, eval_every=2, keep=1)
    options = {"run_dir": tmp_path, "held_out": [held_out], "tensorboard": False}
    for end in (4, 5, 12):
        fit(task, config, batches, max_steps=end, **options)
        if end == 5:
            with Checkpoints(tmp_path, {}) as checkpoints:
                assert checkpoints.steps() == [4, 5]
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert checkpoints.steps() == [4, 12]
    assert best_step(tmp_path) == (4, pytest.approx(0.1))


def test_what_is_saved_on_schedule_is_evaluated(tmp_path):
    config = toy_config(save_every=5, eval_every=3, keep=9)
    fit(toy_task(), config, toy_batch, run_dir=tmp_path, held_out=[lambda: toy_batch(100)], tensorboard=False)
    evaluated = [r["step"] for r in read_metrics(tmp_path / "metrics.jsonl") if r["kind"] == "eval"]
    assert evaluated == [3, 5, 6, 9, 10, 12]
    assert best_step(tmp_path)[0] in (5, 10, 12)


def test_every_nth_checkpoint_is_kept(tmp_path):
    config = toy_config(save_every=2, keep=1, keep_every=4)
    fit(toy_task(), config, toy_batch, run_dir=tmp_path, max_steps=10, tensorboard=False)
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert checkpoints.steps() == [4, 8, 10]


def test_the_clock_saves_at_logged_steps(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 20))  # every look at it is 20 s later
    hands = SimpleNamespace(monotonic=lambda: float(next(clock)), time=time.time, perf_counter=time.perf_counter)
    monkeypatch.setattr("copycat_jax.train.loop.time", hands)
    saved, save = [], Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, step, *a, **k: (saved.append(step), save(self, step, *a, **k))
    )
    config = toy_config(save_every=0, save_minutes=1.0, log_every=2, steps=14)
    fit(toy_task(), config, toy_batch, run_dir=tmp_path, tensorboard=False)
    assert saved == [8, 14]


def test_every_resume_leaves_a_trace(tmp_path):
    options = {"run_dir": tmp_path, "tensorboard": False}
    fit(toy_task(), toy_config(), toy_batch, max_steps=4, **options)
    changed = toy_config(log_every=2)
    changed["optimizer"]["lr"] = 0.02
    fit(toy_task(), changed, toy_batch, max_steps=8, force=True, **options)
    shutil.rmtree(tmp_path / "checkpoints" / "8" / "state")
    fit(toy_task(), changed, toy_batch, force=True, **options)  # from step 4 again; what began at 4 is not forgotten
    started, forced, resumed = notes(tmp_path, "begin")
    assert started["message"] == "started at step 0" and len(started["code"]) == 64 and started["processes"] == 1
    assert forced["message"] == "resumed at step 4" and forced["forced"] and forced["devices"] == 8
    assert forced["changes"] == {"config.optimizer.lr": [0.01, 0.02], "config.train.log_every": [1, 2]}
    assert resumed["changes"] == forced["changes"] and resumed["step"] == 4


def test_devices_that_disagree_end_the_run_and_are_named(tmp_path, monkeypatch):
    step = _Run.step

    def spoiling(self, state, batch):
        at = int(jax.device_get(state.step))
        state = step(self, state, batch)
        if at != 6:
            return state
        with jax.transfer_guard("allow"):
            kernel = state.params["model"]["up"]["kernel"]
            copies = [np.array(shard.data) for shard in kernel.addressable_shards]
            copies[5].view(np.uint32)[3, 7] ^= 1 << 9  # one bit on one device
            arrays = [jax.device_put(c, s.device) for c, s in zip(copies, kernel.addressable_shards, strict=True)]
            spoilt = jax.make_array_from_single_device_arrays(kernel.shape, kernel.sharding, arrays)
        state.params["model"]["up"]["kernel"] = spoilt
        return state

    monkeypatch.setattr(_Run, "step", spoiling)
    with pytest.raises(
        UserError, match=r"differ on device 5 \(process 0\) at step 7; the checkpoint of step 4 is kept"
    ):
        fit(toy_task(), toy_config(log_every=12, compare_every=1), toy_batch, run_dir=tmp_path, tensorboard=False)
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert checkpoints.steps() == [4]


def test_the_run_folder_may_be_what_it_starts_from(whole_run, tmp_path):
    """As in a script that names one folder for both: what is there is resumed."""
    run, state = whole_run
    config = toy_config(init_from=str(tmp_path))
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    again = fit(toy_task(True), config, toy_batch, run_dir=tmp_path, tensorboard=False)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), state)


def test_the_loop_forbids_silent_transfers(tmp_path):
    def careless(step):
        jnp.sin(np.ones(3, np.float32))
        return toy_batch(step)

    careless_after = lambda step: careless(step) if step else toy_batch(step)  # noqa: E731  the first is drawn outside
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        fit(toy_task(), toy_config(), careless_after, run_dir=tmp_path, tensorboard=False)


def test_order_is_evaluate_save_batch_step(tmp_path, monkeypatch):
    events = []
    save = Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, step, *a, **k: (events.append(f"save {step}"), save(self, step, *a, **k))[1]
    )

    def batches(step):
        events.append(f"batch {step}")
        return toy_batch(step)

    def held_out():
        events.append("evaluate")
        return toy_batch(100)

    config = toy_config(steps=4, save_every=2, eval_every=2)
    fit(toy_task(), config, batches, run_dir=tmp_path, held_out=[held_out], tensorboard=False)
    assert events[1:] == ["batch 0", "batch 1", "evaluate", "save 2", "batch 2", "batch 3", "evaluate", "save 4"]


def test_starts_from_another_runs_parameters(whole_run, tmp_path):
    run, _ = whole_run
    smoothed, _, _ = restore_params(run, ema=True)
    config = toy_config(steps=1, init_from=str(run))
    config["optimizer"] = {"lr": 0.0}
    state = fit(toy_task(True), config, toy_batch, run_dir=tmp_path, tensorboard=False)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), smoothed)
    assert int(state.step) == 1


def test_a_collapse_is_said_once(tmp_path, capsys):
    config, floor = toy_config(steps=6, save_every=0), Floor(2.0, after=3, meaning="the latent is collapsing")
    task = toy_task(kept_active=1.0, floors={"active_forward": floor})
    fit(task, config, toy_batch, run_dir=tmp_path, tensorboard=False)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "collapsing" in line]
    told = [r for r in notes(tmp_path) if "collapsing" in r["message"]]
    assert len(warnings) == len(told) == 1 and told[0]["step"] == 4


def test_without_a_terminal_nobody_waits_long_for_a_word(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("copycat_jax.console.SILENCE_S", 0.0)
    fit(toy_task(), toy_config(steps=4, log_every=4), toy_batch, run_dir=tmp_path, tensorboard=False)
    said = [line for line in capsys.readouterr().out.splitlines() if "left" in line]
    assert [re.search(r"step \d/\d: ", line)[0] for line in said] == [f"step {n}/4: " for n in (1, 2, 3, 4)]
    assert all("s a step" in line for line in said[:3]) and "loss" in said[3]


def test_buckets_compiled_ahead_are_the_ones_used(tmp_path, capsys):
    def batches(step):
        return toy_batch(step, frames=(12, 16)[step % 2])

    options = {"run_dir": tmp_path, "shapes": ((8, 12, 4), (8, 16, 4)), "tensorboard": False}
    fit(toy_task(), toy_config(steps=4), batches, **options)
    said = [line for line in capsys.readouterr().out.splitlines() if " compiled the step" in line]
    assert len(said) == 1 and "2 shapes" in said[0]
    seconds = losses(tmp_path, "compile_s")
    assert seconds.pop(1) > 0 and sum(seconds.values()) < 0.1  # all of it before the first step


def test_the_stored_configuration_is_complete(tmp_path):
    fit(toy_task(), toy_config(steps=1), toy_batch, run_dir=tmp_path, tensorboard=False)
    _, config, _ = restore_params(tmp_path)
    assert config["train"] == TrainConfig.from_dict(toy_config(steps=1)["train"]).to_dict()
    assert set(OptimizerConfig().to_dict()) < set(config["optimizer"])
    assert json.loads((tmp_path / "config.json").read_text())["config"] == config


def test_pictures_are_drawn_on_one_device_from_copies(tmp_path):
    seen = []

    def render(step, params):
        seen.append((jax.sharding.get_abstract_mesh().size, {type(x) for x in jax.tree.leaves(params)}))
        return {}

    fit(toy_task(), toy_config(steps=2, render_every=2), toy_batch, run_dir=tmp_path, render=render, tensorboard=False)
    assert seen == [(1, {np.ndarray})]


def test_unknown_train_field(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'save_every'"):
        fit(toy_task(), toy_config(save_evry=1), toy_batch, run_dir=tmp_path)


def test_events_hold_scalars_pictures_and_sounds(tmp_path):
    pytest.importorskip("tensorboardX")

    def render(step, params):
        return {"mel": np.zeros((4, 5, 3), np.uint8), "sound": (np.zeros(100, np.float32), 22050)}

    fit(toy_task(), toy_config(steps=2, render_every=2), toy_batch, run_dir=tmp_path, render=render)
    events = b"".join(p.read_bytes() for p in (tmp_path / "tensorboard").iterdir())
    assert b"train/loss/model" in events and b"\x89PNG" in events and b"RIFF" in events
    assert b'"ema_decay": 0.9' in events  # the configuration
