import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.errors import UserError
from copycat_jax.train.checkpoint import Checkpoints, best_step, holding_run, read_task_name, restore_params
from copycat_jax.train.loop import Trainer, fit


@pytest.fixture(scope="module")
def trainer():
    return Trainer(toy_task(), toy_config(), toy_batch(0))


@pytest.fixture(scope="module")
def state(trainer):
    return trainer.init()


def test_keeps_the_last_and_the_best(tmp_path, state):
    with Checkpoints(tmp_path, {"config": {}}, keep=2) as checkpoints:
        for step, loss in ((1, None), (2, 0.5), (3, 0.9), (4, 0.8), (5, None)):
            checkpoints.save(step, state, loss)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4, 5]


def test_the_best_is_known_from_the_disk_and_only_by_its_own_value(tmp_path, state):
    for losses in ({1: 0.5, 2: 0.2}, {3: None, 4: 0.4}, {5: float("nan"), 6: None}):
        with Checkpoints(tmp_path, {"config": {}}, keep=1) as checkpoints:
            for step, loss in losses.items():
                checkpoints.save(step, state, loss)
    assert checkpoints.steps() == [2, 6] and best_step(tmp_path) == (2, 0.2)


def spoil(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    if how == "missing":
        return file.unlink()
    if how == "truncated":
        del data[len(data) // 2 :]
    if how == "flipped":
        data[len(data) // 2] ^= 4
    file.write_bytes(data)


@pytest.fixture(scope="module")
def two(tmp_path_factory, state):
    """A run with checkpoints of steps 1 and 2."""
    run = tmp_path_factory.mktemp("two")
    with Checkpoints(run, {"task": "toy", "config": {}}) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state._replace(step=state.step + step), float(step))
    return run


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
@pytest.mark.parametrize("file", ["state/d/*", "meta/metadata", "checksums.json", "state/manifest.ocdbt"])
def test_a_damaged_checkpoint_is_said_and_the_newest_whole_one_taken(two, tmp_path, trainer, how, file, capsys):
    run = shutil.copytree(two, tmp_path / "run")
    spoil(next((run / "checkpoints" / "2").glob(file)), how)
    whole = 2 if (file, how) == ("checksums.json", "missing") else 1  # then it is as one of before there were any
    assert restore_params(run)[2] == whole and read_task_name(run) == "toy"
    with Checkpoints(run, {"task": "toy", "config": {}}) as checkpoints:
        back = checkpoints.restore(trainer.abstract)
        assert back.step == int(back.state.step) == whole
        if whole == 1:
            checkpoints.save(2, back.state)  # its place is free
    said = [line for line in capsys.readouterr().err.splitlines() if "resuming from checkpoint" in line]
    if whole == 2:
        assert not said
        return
    assert len(said) == 1 and "checkpoint 2 is damaged (" in said[0] and len(said[0]) < 300
    assert (run / "damaged" / "2").is_dir() and best_step(run) == (1, 1.0)
    with pytest.raises(UserError, match="no complete checkpoint 3"):
        restore_params(run, step=3)
    with Checkpoints(run, {"task": "toy", "config": {}}) as checkpoints:
        assert checkpoints.restore(trainer.abstract).step == 2


def test_nothing_whole_is_one_line_and_starts_nothing(two, tmp_path, trainer):
    run = shutil.copytree(two, tmp_path / "run")
    for step in ("1", "2"):
        shutil.rmtree(run / "checkpoints" / step / "state")
    with pytest.raises(
        UserError, match=r"every checkpoint is damaged: 2 \(state/.* is missing\); 1 \(state"
    ) as refusal:
        restore_params(run)
    with Checkpoints(run, {"task": "toy", "config": {}}) as checkpoints, pytest.raises(UserError) as again:
        checkpoints.restore(trainer.abstract)
    assert str(again.value) == str(refusal.value) and not (run / "damaged").exists()


def test_a_damaged_checkpoint_that_is_asked_for_is_refused(two, tmp_path):
    run = shutil.copytree(two, tmp_path / "run")
    spoil(next((run / "checkpoints" / "1" / "state" / "d").iterdir()), "flipped")
    assert restore_params(run)[2] == 2
    with pytest.raises(UserError, match=r"checkpoint 1 is damaged \(state/d/\w+ is not what was written\)"):
        restore_params(run, step=1)


def test_restores_values_and_places_bitwise(tmp_path, trainer, state):
    meta = {"config": {"a": (1, 2)}, "code": "c", "fingerprint": "f"}
    with Checkpoints(tmp_path, meta) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, meta) as checkpoints:
        back = checkpoints.restore(trainer.abstract).state
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(back), jax.device_get(state))
    assert jax.tree.map(lambda x: x.sharding, back) == trainer.shardings
    params, config, step = restore_params(tmp_path, ema=False)
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(state.params))
    assert isinstance(params["model"]["up"]["kernel"], np.ndarray) and (config, step) == ({"a": [1, 2]}, 3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"code": "other"}, "code"),
        ({"fingerprint": "other"}, "data fingerprint"),
        ({"config": {"optimizer": {"lr": 0.5}, "train": {"steps": 9}}}, "config field optimizer.lr"),
    ],
)
def test_a_mismatch_is_refused_unless_forced(tmp_path, trainer, state, change, message, capsys):
    meta = {"config": {"optimizer": {"lr": 0.1}, "train": {"steps": 9}}, "code": "c", "fingerprint": "f"}
    with Checkpoints(tmp_path, meta) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, meta | change) as checkpoints:
        with pytest.raises(UserError, match=f"another {message}.*--force"):
            checkpoints.restore(trainer.abstract)
        assert int(checkpoints.restore(trainer.abstract, force=True).state.step) == 0
    assert "continuing because of --force" in capsys.readouterr().err


def test_what_computes_nothing_may_change(tmp_path, trainer, state):
    old = {"config": {"train": {"log_every": 1, "steps": 9}, "mesh": {"fsdp": 1}}}
    new = {"config": {"train": {"log_every": 5, "steps": 9}, "mesh": {"fsdp": 2}}}
    with Checkpoints(tmp_path, old) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, new) as checkpoints:
        checkpoints.restore(trainer.abstract)


def test_a_field_that_the_other_code_does_not_know_is_told_by_the_codes(tmp_path, trainer, state, capsys):
    """A new default, or a field that is gone, is no other configuration; a value that both state is."""
    old = {"code": "c", "config": {"model": {"width": 4, "gone": 1}, "task": "old.place:make_task"}}
    new = {"code": "d", "config": {"model": {"width": 4, "late": 2}, "task": "new.place:make_task", "inputs": "x"}}
    with Checkpoints(tmp_path, old) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, new) as checkpoints, pytest.raises(UserError) as refusal:
        checkpoints.restore(trainer.abstract)
    assert "code (c then, d now)" in str(refusal.value) and "config field" not in str(refusal.value)
    new["config"]["model"]["width"] = 8
    with Checkpoints(tmp_path, new) as checkpoints:
        assert int(checkpoints.restore(trainer.abstract, force=True).state.step) == 0
    said = capsys.readouterr().err
    assert "code (c then, d now), config field model.width" in said and "gone" not in said and "late" not in said
    same = {"code": "c", "config": {"model": {"width": 4}}}  # the same code knows the same fields
    with Checkpoints(tmp_path, same) as checkpoints, pytest.raises(UserError, match=r"model\.gone"):
        checkpoints.restore(trainer.abstract)


def test_a_run_is_of_the_task_of_that_name_wherever_its_module_lies(tmp_path, trainer, state):
    meta = {"task": "toy", "config": {"task": "old.place:make_task"}}
    with Checkpoints(tmp_path, meta) as checkpoints:
        checkpoints.save(3, state)
    assert read_task_name(tmp_path) == "toy"
    with Checkpoints(tmp_path, {"task": "toy", "config": {"task": "new.place:make_task"}}) as checkpoints:
        checkpoints.restore(trainer.abstract)
    with (
        Checkpoints(tmp_path, {**meta, "task": "other"}) as checkpoints,
        pytest.raises(UserError, match="another task"),
    ):
        checkpoints.restore(trainer.abstract)
    with pytest.raises(UserError, match="no checkpoints here"):
        read_task_name(tmp_path / "absent")


def test_no_checkpoints_there(tmp_path):
    with pytest.raises(UserError, match="no checkpoints here"):
        restore_params(tmp_path / "absent")


def test_ema_replaces_the_model(tmp_path):
    state = fit(toy_task(), toy_config(steps=3), toy_batch, run_dir=tmp_path, tensorboard=False)
    smoothed, _, step = restore_params(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, smoothed["model"], jax.device_get(state.ema))
    assert read_task_name(tmp_path) == "toy"
    assert step == 3 and not np.array_equal(smoothed["model"]["up"]["kernel"], state.params["model"]["up"]["kernel"])


def test_a_run_folder_has_one_writer(tmp_path):
    with holding_run(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run" / "lock").read_text()
        with (
            pytest.raises(UserError, match=rf"process {os.getpid()} on .* is training in it"),
            holding_run(tmp_path / "run"),
        ):
            pass
        with pytest.raises(UserError, match="is training in it"):
            fit(toy_task(), toy_config(steps=1), toy_batch, run_dir=tmp_path / "run", tensorboard=False)
    with holding_run(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "lock").read_text() == ""


def test_a_disk_that_refuses_a_checkpoint_is_one_line(tmp_path, state, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing local file")

    with (
        pytest.raises(UserError, match=r"checkpoints: cannot be written \(RESOURCE_EXHAUSTED"),
        Checkpoints(tmp_path, {"config": {}}) as checkpoints,
    ):
        monkeypatch.setattr(checkpoints._manager, "save", refuse)
        checkpoints.save(3, state)
