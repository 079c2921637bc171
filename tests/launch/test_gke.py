"""launch/*.yaml against Kubernetes' schemas, and against what start-up and exit codes presuppose."""

from pathlib import Path

import pytest

from copycat_jax.train import distributed, outcomes

yaml = pytest.importorskip("yaml")
LAUNCH = Path(__file__).parents[2] / "launch"


def documents(name):
    return list(yaml.safe_load_all((LAUNCH / name).read_text()))


def job_of(name):
    """The Job of a file, that of a JobSet as a whole document of its own."""
    document = documents(name)[-1]
    if document["kind"] == "JobSet":
        (replicated,) = document["spec"]["replicatedJobs"]
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "slice"}, **replicated["template"]}
    return document


@pytest.mark.parametrize("name", ["gke.yaml", "gke_slices.yaml"])
def test_they_are_as_kubernetes_wants_them(name):
    validate = pytest.importorskip("kubernetes_validate")
    for document in [*documents(name)[:-1], job_of(name)]:
        validate.validate(document, "1.31", strict=True)


def test_a_wrong_field_would_be_found():
    validate = pytest.importorskip("kubernetes_validate")
    job = job_of("gke.yaml")
    job["spec"]["completion"] = 4
    with pytest.raises(validate.ValidationError):
        validate.validate(job, "1.31", strict=True)


@pytest.mark.parametrize("name", ["gke.yaml", "gke_slices.yaml"])
def test_every_host_is_one_pod_with_a_number(name):
    spec = job_of(name)["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


def test_the_environment_of_gpu_hosts_is_one_that_start_up_knows():
    service, job = documents("gke.yaml")
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    told = {e["name"]: e for e in container["env"]}
    address, count, index = (told[n] for n in (distributed.ADDRESS, distributed.COUNT, distributed.INDEX))
    host, port = address["value"].split(":")
    # Pod 0 of an Indexed Job is NAME-0, in the domain of a headless service that selects it.
    assert host == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert int(port) == container["ports"][0]["containerPort"]
    assert int(count["value"]) == spec["completions"]
    assert "job-completion-index" in index["valueFrom"]["fieldRef"]["fieldPath"]
    environment = {distributed.ADDRESS: address["value"], distributed.COUNT: count["value"], distributed.INDEX: "3"}
    assert distributed.cluster(environment | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == "explicit"


def test_what_is_tried_again_is_what_outcomes_say():
    rules = job_of("gke.yaml")["spec"]["podFailurePolicy"]["rules"]
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule}
    assert codes["Ignore"] == [outcomes.LOST, outcomes.PREEMPTED]
    assert codes["FailJob"] == [outcomes.FAILED, outcomes.USER_ERROR]
    job_set, rules = documents("gke_slices.yaml")[-1], job_of("gke_slices.yaml")["spec"]["podFailurePolicy"]["rules"]
    assert (
        rules[0]["onExitCodes"]["values"] == codes["FailJob"] and job_of("gke_slices.yaml")["spec"]["backoffLimit"] == 0
    )
    policy = job_set["spec"]["failurePolicy"]
    assert policy["maxRestarts"] > 0 and policy["rules"][0]["onJobFailureReasons"] == ["PodFailurePolicy"]


def test_a_slice_asks_for_all_chips_of_its_topology():
    spec = job_of("gke_slices.yaml")["spec"]
    pod = spec["template"]["spec"]
    x, y, z = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    assert x * y * z == spec["completions"] * pod["containers"][0]["resources"]["limits"]["google.com/tpu"]
    environment = {"TPU_WORKER_HOSTNAMES": "a,b", "KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"}
    assert distributed.cluster(environment) == "tpu"


@pytest.mark.parametrize("name", ["gke.yaml", "gke_slices.yaml"])
def test_what_the_pods_run_is_a_command_that_exists(name):
    (container,) = job_of(name)["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "launch/local.sh", "train"]
    import argparse

    from copycat_jax.cli import configuration, train

    parser = argparse.ArgumentParser(exit_on_error=False)
    train.add_arguments(parser)
    arguments = parser.parse_args(container["args"])
    path, _, variant = arguments.config.partition(":")
    assert configuration.load_config(f"{LAUNCH.parent / path}:{variant}")["task"]
