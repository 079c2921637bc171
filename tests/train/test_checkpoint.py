import jax
import numpy as np
import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.errors import UserError
from copycat_jax.train.checkpoint import Checkpoints, differences, restore_params
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


def test_restores_values_and_places_bitwise(tmp_path, trainer, state):
    meta = {"config": {"a": (1, 2)}, "commit": "c", "fingerprint": "f"}
    with Checkpoints(tmp_path, meta) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, meta) as checkpoints:
        back = checkpoints.restore(trainer.abstract)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(back), jax.device_get(state))
    assert jax.tree.map(lambda x: x.sharding, back) == trainer.shardings
    params, config, step = restore_params(tmp_path, ema=False)
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(state.params))
    assert isinstance(params["model"]["up"]["kernel"], np.ndarray) and (config, step) == ({"a": [1, 2]}, 3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"commit": "other"}, "commit"),
        ({"fingerprint": "other"}, "data fingerprint"),
        ({"config": {"optimizer": {"lr": 0.5}, "train": {"steps": 9}}}, "config field optimizer.lr"),
    ],
)
def test_a_mismatch_is_refused_unless_forced(tmp_path, trainer, state, change, message, capsys):
    meta = {"config": {"optimizer": {"lr": 0.1}, "train": {"steps": 9}}, "commit": "c", "fingerprint": "f"}
    with Checkpoints(tmp_path, meta) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, meta | change) as checkpoints:
        with pytest.raises(UserError, match=f"another {message}.*--force"):
            checkpoints.restore(trainer.abstract)
        assert int(checkpoints.restore(trainer.abstract, force=True).step) == 0
    assert "continuing because of --force" in capsys.readouterr().err


def test_what_computes_nothing_may_change(tmp_path, trainer, state):
    old = {"config": {"train": {"log_every": 1, "steps": 9}, "mesh": {"fsdp": 1}}}
    new = {"config": {"train": {"log_every": 5, "steps": 9}, "mesh": {"fsdp": 2}}}
    with Checkpoints(tmp_path, old) as checkpoints:
        checkpoints.save(3, state)
    with Checkpoints(tmp_path, new) as checkpoints:
        checkpoints.restore(trainer.abstract)


def test_differences_name_dotted_fields():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 1}) == ["a.c", "d"]


def test_no_checkpoints_there(tmp_path):
    with pytest.raises(UserError, match="no checkpoints here"):
        restore_params(tmp_path / "absent")


def test_ema_replaces_the_model(tmp_path):
    state = fit(toy_task(), toy_config(steps=3), toy_batch, run_dir=tmp_path, tensorboard=False)
    smoothed, _, step = restore_params(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, smoothed["model"], jax.device_get(state.ema))
    assert step == 3 and not np.array_equal(smoothed["model"]["up"]["kernel"], state.params["model"]["up"]["kernel"])
