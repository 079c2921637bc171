import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from toy_task import toy_batch, toy_config, toy_task

import copycat_jax
from copycat_jax.errors import UserError
from copycat_jax.train import distributed
from copycat_jax.train.loop import fit
from copycat_jax.train.writer import read_metrics


@pytest.mark.parametrize(
    "environment, kind",
    [
        ({}, "single"),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, "single"),
        ({"SLURM_NTASKS": "16", "SLURM_PROCID": "3"}, "slurm"),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, "single"),
        ({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, "tpu"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "single"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}, "kubernetes"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "SLURM_NTASKS": "16"}, "explicit"),
    ],
)
def test_jobs_are_recognised(environment, kind):
    assert distributed.cluster(environment) == kind


@pytest.mark.parametrize(
    "tasks, gpus, own",
    [("1(x4)", "8", [0, 1, 2, 3, 4, 5, 6, 7]), ("1", "2", [0, 1]), ("8(x4)", "8", None), ("1(x2)", None, None)],
)
def test_a_slurm_task_alone_on_its_node_takes_all_of_its_gpus(tasks, gpus, own):
    environment = {"SLURM_STEP_TASKS_PER_NODE": tasks} | ({"SLURM_GPUS_ON_NODE": gpus} if gpus else {})
    assert distributed.gpus_of_task(environment) == own


def test_half_set_variables_are_named():
    with pytest.raises(UserError, match="JAX_PROCESS_ID is not set"):
        distributed.start({"JAX_COORDINATOR_ADDRESS": "127.0.0.1:1", "JAX_NUM_PROCESSES": "2"})


def test_digest_ignores_order_of_keys():
    assert (
        distributed.digest({"a": 1, "b": [2]})
        == distributed.digest({"b": [2], "a": 1})
        != distributed.digest({"a": 1, "b": [3]})
    )


def launch(run, count, options, env=()):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = dict(
        os.environ,
        JAX_PLATFORMS="cpu",
        JAX_NUM_CPU_DEVICES=str(8 // count),
        PYTHONPATH=str(Path(copycat_jax.__file__).parents[1]),
        JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
        JAX_NUM_PROCESSES=str(count),
    )
    runner = Path(__file__).parents[1] / "stand_ins" / "toy_run.py"
    command = lambda i: [sys.executable, str(runner), str(run), json.dumps(options[i])]  # noqa: E731
    processes = [
        subprocess.Popen(command(i), env=shared | {"JAX_PROCESS_ID": str(i)}, stderr=subprocess.PIPE, text=True)
        for i in range(count)
    ]
    return [(p.communicate(timeout=600)[1], p.returncode) for p in processes]


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Same losses as one process with as many devices; parameters sharded over processes; the run resumes in one."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"adversary": True, "fsdp": 4, "rules": True, "steps": 8}
    for error, code in launch(two, 2, [options] * 2):
        assert code == 0, error
    config = toy_config(steps=8)
    config["mesh"]["fsdp"] = 4
    task = toy_task(True, rules=(("kernel", ("fsdp",)),))
    fit(task, config, toy_batch, run_dir=one, tensorboard=False)
    losses = [
        [r["loss/model"] for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "train"] for run in (one, two)
    ]
    assert len(losses[0]) == 8 and losses[1] == pytest.approx(losses[0], rel=1e-5)
    state = fit(task, config, toy_batch, run_dir=two, tensorboard=False)  # nothing left to do: restored
    assert int(state.step) == 8


@pytest.mark.slow
def test_processes_that_differ_stop_before_the_first_step(tmp_path):
    results = launch(tmp_path, 2, [{"steps": 8}, {"steps": 9}])
    assert all(code != 0 and "differ from process 0" in error for error, code in results), results
    assert not (tmp_path / "checkpoints").exists()
