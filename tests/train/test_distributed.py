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
        distributed.start({"JAX_COORDINATOR_ADDRESS": "127.0.0.1:1", "JAX_NUM_PROCESSES": "2"})


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Same losses as one process with as many devices; parameters sharded over processes; the run resumes in one."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"adversary": True, "fsdp": 4, "rules": True, "steps": 8, "render_every": 8}
    codes, errors = Job(two, **options).end()
    assert codes == [0, 0], errors
    assert [path.name for path in two.glob("drawn-*")] == ["drawn-0-8"]
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
