"""Processes that found different things stop before the first step, and say which of them found what."""

import json
import re

import jax
import numpy as np
import pytest
from toy_job import Job

from copycat_jax.errors import UserError
from copycat_jax.train import agreement
from copycat_jax.train.outcomes import FINISHED, USER_ERROR
from copycat_jax.train.sharding import make_mesh


def test_the_odd_one_is_named_with_both_values_whoever_it_is():
    usual, odd = {"config.steps": "8", "code": '"ab"'}, {"config.steps": "9", "code": '"ab"'}
    hosts = ["a", "b", "c"]
    assert agreement.odd_ones([usual] * 3, hosts) == []
    assert agreement.odd_ones([usual, usual, odd], hosts) == [
        "config.steps is 9 on process 2 (c), 8 on process 0 (a)",
    ]
    assert agreement.odd_ones([odd, usual, usual], hosts) == [
        "config.steps is 9 on process 0 (a), 8 on process 1 (b)",
    ]
    (line,) = agreement.odd_ones([usual, {"code": '"ab"'}], ["a", "b"])
    assert line == "config.steps is nothing on process 1 (b), 8 on process 0 (a)"


def test_one_process_agrees_with_itself():
    agreement.check({"config": {"x": object()}})
    agreement.check_clocks()


def test_an_environment_counts_devices_and_names_versions():
    found = agreement.environment()
    assert sum(found["local devices"].values()) == jax.local_device_count()
    assert found["versions"]["jax"] == jax.__version__
    json.dumps(found)


def test_the_steps_of_a_run_folder_are_its_whole_checkpoints(tmp_path):
    for name in ("12", "4", "8.orbax-checkpoint-tmp-1", "notes"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert agreement.check_run_folder(tmp_path, "checkpoints") == [4, 12]
    assert agreement.check_run_folder(tmp_path / "new", "checkpoints") == []


def test_too_little_room_is_said_before_the_first_step(tmp_path):
    state = {"kernel": jax.ShapeDtypeStruct((1 << 20, 1 << 20), np.float32)}
    agreement.check_room(tmp_path / "run", {"bias": jax.ShapeDtypeStruct((8,), np.float32)}, 4)
    with pytest.raises(UserError, match=r"4 checkpoints take 1.76e\+04 GB"):
        agreement.check_room(tmp_path / "run", state, 4)


def test_the_sum_over_all_devices_is_known(monkeypatch):
    mesh = make_mesh(-1, 1)
    agreement.check_sum(mesh)
    monkeypatch.setattr(agreement.jnp, "sum", lambda x: x[0])
    with pytest.raises(UserError, match=rf"the sum of 1 to {mesh.size} over all devices is 1"):
        agreement.check_sum(mesh)


DIFFERENCES = {
    "configuration": ({"steps": 9}, {}, r"config.train.steps is 9 on process 1 \(\S+\), 8 on process 0"),
    "flags": ({"max_steps": 3}, {}, r"--max-steps is 3 on process 1 \(\S+\), null on process 0"),
    "data": ({"fingerprint": "cd"}, {}, r'fingerprint is "cd" on process 1 \(\S+\), "ab" on process 0'),
    "folder": ({"run": "elsewhere"}, {"shared_s": 1}, r'into the run folder is "not seen in \S+" on process 1'),
    "clock": ({"clock_s": 500}, {}, r"the clock of process \d \(\S+\): is [+-]500 s off"),
}


@pytest.mark.slow
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_processes_that_differ_stop_before_the_first_step(difference, tmp_path):
    own, common, said = DIFFERENCES[difference]
    own = {**own, "run": str(tmp_path / own["run"])} if "run" in own else own
    job = Job(tmp_path, {1: own}, **{"steps": 8, "fingerprint": "ab", **common})
    codes, errors = job.end()
    assert codes == [USER_ERROR, USER_ERROR]
    for error in errors:
        assert re.search(said, error), error
    assert not (tmp_path / "checkpoints").exists() and not list(tmp_path.glob(".token*"))


@pytest.mark.slow
def test_processes_that_see_other_checkpoints_stop(tmp_path):
    """The folder is shared, its checkpoints are not: what process 1 sees is one step short."""
    assert Job(tmp_path, steps=8, save_every=4).end()[0] == [FINISHED, FINISHED]
    codes, errors = Job(tmp_path, {1: {"unseen": 8}}, steps=12, save_every=4, shared_s=1).end()
    assert codes == [USER_ERROR, USER_ERROR]
    assert r"is [4] on process 1" in errors[0] and "[4, 8] on process 0" in errors[0]
