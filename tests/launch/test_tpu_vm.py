"""launch/tpu_vm.sh against a gcloud that writes down what it was asked, and answers what the test tells it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "launch" / "tpu_vm.sh"
# Answers from the files of its folder, a line each time: the code that host 0 keeps, the state of the slice.
GCLOUD = """#!/usr/bin/env bash
cd "$(dirname "$0")"
printf '%q ' "$@" >>asked; echo >>asked
answer() { head -n 1 "$1"; [ "$(wc -l <"$1")" -gt 1 ] && sed -i 1d "$1"; return 0; }
case "$*" in
  *"cat /tmp/copycat-jax/code"*) code="$(answer codes)"; [ "$code" = gone ] && exit 1; echo "$code" ;;
  *describe*) answer states ;;
esac
"""


@pytest.fixture
def tpu(tmp_path):
    """(arguments, codes, states) -> (exit code, what gcloud was asked, as lists of words)."""
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text(GCLOUD)
    gcloud.chmod(0o755)

    def run(*arguments, codes=("0",), states=("ACTIVE",), **environment):
        for name, lines in (("codes", codes), ("states", states)):
            (gcloud.parent / name).write_text("\n".join(lines) + "\n")
        settings = {"TPU": "pod", "ZONE": "z-1", "TYPE": "v5p-128", "RUNTIME": "v2", "POLL_S": "0"} | environment
        path = f"{gcloud.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env=dict(os.environ, **settings, PATH=path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        asked = gcloud.parent / "asked"
        return done.returncode, [shlex.split(line) for line in asked.read_text().splitlines()] if asked.exists() else []

    return run


def kinds(asked):
    """Of each request: create, describe, delete, scp, or what is run on hosts ("setup", "train", "code")."""
    found = []
    for words in asked:
        command = next((w for w in words if w.startswith("--command=")), "")
        on_host = {"local.sh train": "train", "pip install": "setup", "/code": "code"}
        found.append(next((n for text, n in on_host.items() if text in command), words[3]))
    return found


def test_a_run_that_ends_well_is_started_once_on_all_hosts(tpu):
    code, asked = tpu("train", "--run-dir", "/data/my run", "--set", "a.b=(1, 2)")
    assert code == 0 and kinds(asked) == ["train", "code"]
    words = asked[0]
    assert words[:4] == ["compute", "tpus", "tpu-vm", "ssh"] and words[4] == "pod"
    assert {"--zone=z-1", "--worker=all", "--batch-size=all"} <= set(words)
    command = next(w for w in words if w.startswith("--command=")).partition("=")[2]
    started = shlex.split(command.partition("; PYTHON=")[2].partition(";")[0])
    assert started[1:] == ["bash", "launch/local.sh", "train", "--run-dir", "/data/my run", "--set", "a.b=(1, 2)"]
    assert "--worker=0" in asked[1]


def test_a_preempted_slice_is_asked_for_again_and_the_run_goes_on(tpu):
    states = ("SUSPENDED", "PROVISIONING", "ACTIVE")
    code, asked = tpu("train", "--run-dir", "/data/run", codes=("gone", "75", "0"), states=states, SPOT="1")
    made = ["describe", "delete", "create", "describe", "describe", "describe"]
    assert [k for k in kinds(asked) if k not in ("scp", "setup")] == [
        *["train", "code", *made[:3]],
        *[k for k in kinds(asked)[5:] if k == "describe"][:-1],
        *["train", "code", "describe", "train", "code"],
    ]
    assert kinds(asked).index("scp") > kinds(asked).index("create") and code == 0
    created = asked[kinds(asked).index("create")]
    assert created[:5] == ["compute", "tpus", "queued-resources", "create", "pod"]
    assert {"--node-id=pod", "--accelerator-type=v5p-128", "--runtime-version=v2", "--spot"} <= set(created)


@pytest.mark.parametrize("code", ["1", "2"])
def test_a_mistake_is_not_tried_again(tpu, code):
    assert tpu("train", "--run-dir", "/r", codes=(code,))[0] == int(code)
    assert kinds(tpu("train", "--run-dir", "/r", codes=(code,))[1]) == ["train", "code"] * 2  # of the two calls


def test_a_lost_process_is_tried_so_often_and_no_more(tpu):
    code, asked = tpu("train", "--run-dir", "/r", codes=("70",), RESTARTS_AT_MOST="2")
    assert code == 70 and kinds(asked).count("train") == 3


def test_a_slice_that_is_refused_ends_it(tpu):
    code, asked = tpu("create", states=("PROVISIONING", "FAILED"))
    assert code != 0 and kinds(asked)[0] == "create" and "--spot" not in asked[0]


def test_it_stops_by_the_signal_that_saves_and_fetches_logs(tpu):
    assert tpu("stop")[0] == 0
    code, asked = tpu("logs", "/data/run")
    assert code == 0 and any("pkill -TERM" in w for w in asked[0]) and "pod:/data/run/logs" in asked[1]


def test_what_is_missing_is_named(tpu):
    assert tpu("dance")[0] == 2
    assert tpu("create", TYPE="")[0] != 0
