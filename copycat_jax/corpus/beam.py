"""The door to Apache Beam: a function over many jobs, on whatever runner is named.

The jobs are written to a file and read back by the workers, because a pipeline that held them itself would be too large
to submit for a corpus of any size. So the folders that hold recordings, cache and shards must be on storage that every
worker sees under the same path, and copycat-jax must be installed there.
"""

import base64
import contextlib
import io
import pickle
import shlex
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of

J = TypeVar("J")
R = TypeVar("R")
_FLAG = "--beam"


def pipeline_options(command: str):
    """Beam's PipelineOptions for `command`: the name of a runner, then any options of Beam's for it.

    Raises:
      UserError: Beam is not installed, or knows no such runner or rejects an option.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import create_runner
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed", _FLAG, "Install the extra 'beam', or leave --beam out."
        ) from error
    complaint = io.StringIO()
    try:
        runner, *options = shlex.split(command)
        create_runner(runner)
        with contextlib.redirect_stderr(complaint):
            made = PipelineOptions([f"--runner={runner}", *options])
            made.get_all_options()
    except (ValueError, ImportError, AttributeError, SystemExit) as error:
        reason = complaint.getvalue().strip().rpartition("error: ")[2] or error
        raise UserError(
            f"'{command}': {reason}", _FLAG, "Give a runner and its options: 'FlinkRunner --flink_master=HOST:8081'."
        ) from error
    return made


@contextlib.contextmanager
def job_file(jobs: Iterable[Any], folder: Path) -> Iterator[Path]:
    """A file in `folder` that holds the jobs while the block lasts; `mapped` reads it."""
    with refusals_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix="beam-"))
    try:
        with refusals_of(scratch / "jobs"), (scratch / "jobs").open("wb") as file:
            file.writelines(_as_line(job) + b"\n" for job in jobs)
        yield scratch / "jobs"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def mapped(path: Path, function: Callable[[J], R]):
    """The PTransform that gives `function` of every job in a `job_file`, in any order."""
    import apache_beam

    lines = apache_beam.io.ReadFromText(str(path), coder=apache_beam.coders.BytesCoder())
    return lines | apache_beam.Reshuffle() | apache_beam.Map(_from_line) | apache_beam.Map(function)


def spread(function: Callable[[J], R], jobs: Sequence[J], command: str, folder: Path) -> Generator[R, None, None]:
    """Yields `function` of every job, in their order, computed by a pipeline on the runner of `command`.

    Args:
      function: what is done; pickled, with what it holds.
      jobs: what it is done to.
      command: see `pipeline_options`.
      folder: where jobs and results lie meanwhile; every worker must see it.

    Raises:
      UserError: the pipeline failed.
    """
    import apache_beam

    options = pipeline_options(command)
    with job_file(enumerate(jobs), folder) as path:
        results = path.with_name("results")
        write = apache_beam.io.WriteToText(str(results), coder=apache_beam.coders.BytesCoder())
        with failures_said(command), apache_beam.Pipeline(options=options) as pipeline:
            _ = pipeline | mapped(path, _Numbered(function)) | apache_beam.Map(_as_line) | write
        found = {}
        for part in sorted(path.parent.glob(f"{results.name}*")):
            found.update(map(_from_line, part.read_bytes().splitlines()))
    if len(found) != len(jobs):
        raise UserError(f"the pipeline gave {len(found)} results for {len(jobs)} jobs", _FLAG, "Run it again.")
    yield from (found[number] for number in range(len(jobs)))


@contextlib.contextmanager
def failures_said(command: str) -> Iterator[None]:
    """Raises UserError, in one line, where a pipeline that runs in the block fails."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # runners have no common base for what they raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if "Error" in line), (lines or [type(error).__name__])[-1])
        remedy = (
            "Run it again, it goes on where it stopped; every worker must see the sources, the cache and the result."
        )
        raise UserError(f"the pipeline failed ({reason})", f"{_FLAG} {command}", remedy) from error


class _Numbered:
    """(number, job) to (number, result)."""

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, numbered: tuple[int, Any]) -> tuple[int, Any]:
        return numbered[0], self._function(numbered[1])


def _as_line(value: Any) -> bytes:
    return base64.b64encode(pickle.dumps(value))


def _from_line(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))
