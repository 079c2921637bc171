"""Beam computes and writes what one process does, on whatever runner; what fails there is one line."""

import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from copycat_jax.cli import main
from copycat_jax.corpus import beam
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions
from copycat_jax.corpus.check import check_corpus
from copycat_jax.corpus.corpus import open_corpus
from copycat_jax.data.synthetic import write_plain_corpus
from copycat_jax.errors import UserError

pytestmark = pytest.mark.slow
OPTIONS = FeatureOptions(f0="none")


@pytest.fixture(scope="module", autouse=True)
def _installed():
    pytest.importorskip("apache_beam")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    write_plain_corpus(folder / "all", 9, seconds=(0.4, 0.8))
    shutil.copytree(folder / "all", folder / "some")
    rows = (folder / "all" / "metadata.csv").read_text().splitlines()
    (folder / "some" / "metadata.csv").write_text("\n".join(rows[:7]) + "\n")
    (folder / "all" / "metadata.csv").write_text("\n".join([*rows, "ghost|nobody|is not there"]) + "\n")
    return folder


@pytest.fixture(scope="module")
def portable(tmp_path_factory):
    """A job service and a pool of workers, each a process of its own: what a pipeline meets on Flink or Spark."""
    folder = tmp_path_factory.mktemp("service")
    workers = (
        "import pathlib, signal\n"
        "from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer as Pool\n"
        "address, _ = Pool.start(use_process=True)\n"
        f"pathlib.Path({str(folder / 'workers')!r}).write_text(address)\n"
        "signal.pause()\n"
    )
    job_service = ["-m", "apache_beam.runners.portability.local_job_service_main", f"--port_file={folder / 'job'}"]
    with (folder / "log").open("wb") as log:
        commands = [[sys.executable, *job_service], [sys.executable, "-c", workers]]
        services = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
    try:
        deadline = time.monotonic() + 120
        while not all((folder / name).is_file() and (folder / name).read_text() for name in ("job", "workers")):
            assert time.monotonic() < deadline and all(service.poll() is None for service in services)
            time.sleep(0.05)
        job, pool = (folder / "job").read_text().strip(), (folder / "workers").read_text()
        yield f"PortableRunner --job_endpoint=localhost:{job} --environment_type=EXTERNAL --environment_config={pool}"
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait(60)


@pytest.mark.parametrize("runner", ["DirectRunner", "portable"])
def test_every_runner_builds_the_same_corpus(plain, tmp_path, request, runner):
    command = request.getfixturevalue("portable") if runner == "portable" else runner
    here, there = tmp_path / "here", tmp_path / "there"
    expected = build_corpus([("plain", plain / "all")], here, OPTIONS, shards=1)
    for step, name in enumerate(("some", "all")):
        report = build_corpus(
            [("plain", plain / name)], there, OPTIONS, shards=2, beam_command=command, append=step == 1
        )
        assert (report.computed, report.cached, report.written) == ((6, 0, 6), (3, 6, 3))[step]
    assert report.info.fingerprint == expected.info.fingerprint and len(report.info.shards) == 4
    assert report.bad == expected.bad and [row.id for row in report.bad] == ["ghost"]
    for ours, theirs in zip(open_corpus(here).source, open_corpus(there).source, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert check_corpus(there) == (report.info, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "here.cache", "there", "there.cache"]
    assert not list((tmp_path / "there.cache").glob("beam-*"))


@pytest.mark.parametrize("runner", ["DirectRunner", "portable"])
def test_results_keep_their_order_and_failures_are_one_line(tmp_path, request, runner):
    command = request.getfixturevalue("portable") if runner == "portable" else runner
    assert list(beam.spread(repr, ["9\n", "7", "8", "7"], command, tmp_path)) == ["'9\\n'", "'7'", "'8'", "'7'"]
    with pytest.raises(UserError, match=r"invalid literal for int.*'five'") as error:
        list(beam.spread(int, ["4", "five", "6"], command, tmp_path))
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command,complaint",
    [("FlinkRuner", "FlinkRuner"), ("DirectRunner --direct_num_workers=many", "many"), ("", ""), ("'", "quotation")],
)
def test_a_wrong_runner_is_one_line_before_any_work(plain, tmp_path, capsys, command, complaint):
    with pytest.raises(UserError, match="--beam") as error:
        beam.pipeline_options(command)
    assert complaint in str(error.value)
    if command:
        build = ["build", f"--source=plain:{plain / 'all'}", f"--out={tmp_path / 'data'}", "--f0=none"]
        assert main([*build, f"--beam={command}"]) == 2
        assert complaint in capsys.readouterr().err and not list(tmp_path.iterdir())
