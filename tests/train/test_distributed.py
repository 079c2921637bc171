import functools

import pytest
from toy_job import Job
from toy_task import toy_batch, toy_config, toy_task

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
        distributed.place({"JAX_COORDINATOR_ADDRESS": "127.0.0.1:1", "JAX_NUM_PROCESSES": "2"}, "explicit")


@pytest.mark.parametrize(
    "address, count, index", [("host", 2, 0), ("host:1", 2, 2), ("host:1", 2, -1), ("host:1", "x", 0)]
)
def test_what_cannot_be_is_refused(address, count, index):
    names = (distributed.ADDRESS, distributed.COUNT, distributed.INDEX)
    with pytest.raises(UserError, match="cannot join the job"):
        distributed.place(dict(zip(names, (address, str(count), str(index)), strict=True)), "explicit")


def test_slurm_is_asked_for_the_place_of_a_task(monkeypatch):
    said = {"SLURM_JOB_ID": "70001", "SLURM_STEP_NODELIST": "node[3-4]", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
    said |= {"SLURM_LOCALID": "0", "SLURM_TASKS_PER_NODE": "1(x2)", "SLURM_GPUS_ON_NODE": "4"}
    said |= {"SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    address, processes, process, devices = distributed.place(said, "slurm")
    assert address.startswith("node3:") and (processes, process, devices) == (2, 1, [0, 1, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_equal_one(tmp_path, accumulate):
    """Same losses as one process with as many devices; parameters sharded over processes; the run resumes in one."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"adversary": True, "fsdp": 2, "rules": True, "steps": 8, "render_every": 8}
    devices = 8 // accumulate
    codes, errors = Job(two, devices=devices, accumulate=accumulate, **options).end()
    assert codes == [0, 0], errors
    assert [path.name for path in two.glob("drawn-*")] == ["drawn-0-8"]
    config = toy_config(steps=8)
    config["mesh"]["fsdp"] = 2
    task = toy_task(True, rules=(("kernel", ("fsdp",)),))
    fit(task, config, toy_batch, run_dir=one, tensorboard=False)
    losses = [
        [r["loss/model"] for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "train"] for run in (one, two)
    ]
    assert len(losses[0]) == 8 and losses[1] == pytest.approx(losses[0], rel=1e-5)
    config["train"]["accumulate"] = accumulate
    rows = functools.partial(toy_batch, rows=8 * accumulate)
    state = fit(task, config, rows, run_dir=two, tensorboard=False)  # nothing left to do: restored
    assert int(state.step) == 8
