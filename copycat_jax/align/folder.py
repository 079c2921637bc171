"""Aligns a folder of recordings in several processes: a TextGrid each, and what looks wrong with it."""

import concurrent.futures
import math
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax import console
from copycat_jax.align.aligner import align_text
from copycat_jax.align.suspicion import phone_rate, suspicion
from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.audio.signal import read_audio
from copycat_jax.errors import UserError
from copycat_jax.files import write_text
from copycat_jax.text.lexicon import read_lexicon


class AlignJob(NamedTuple):
    """One recording to align: its text (None = in a file beside it), and where its TextGrid goes."""

    id: str
    path: Path
    text: str | None
    target: Path
    lexicon: Path | None = None


class AlignOutcome(NamedTuple):
    """What became of one recording: its id, score and rate (NaN where it failed), and what is suspicious, or ""."""

    id: str
    score: float
    phones_per_s: float
    reason: str
    failed: bool
    kept: bool


def align_all(jobs: Sequence[AlignJob], workers: int) -> list[AlignOutcome]:
    """Aligns recordings in `workers` processes; the outcomes are sorted by id.

    Raises:
      UserError: a worker process was killed.
    """
    outcomes = []
    # Spawned, not forked: a fork would inherit whatever threads the calling process runs.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        futures = [pool.submit(align_one, job) for job in jobs]
        try:
            with console.progress_bar("aligning", total=len(jobs), unit="recording") as bar:
                for future in concurrent.futures.as_completed(futures):
                    outcomes.append(future.result())
                    bar.update()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed", remedy="Run again with fewer --workers; work done is kept."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(outcomes)


def align_one(job: AlignJob) -> AlignOutcome:
    """Aligns one recording and writes its TextGrid, unless that is there already."""
    if job.target.exists():
        try:
            alignment = read_textgrid(job.target)
            if all(phone.label == "SIL" for phone in alignment.phones):
                raise UserError("nothing is spoken in it", str(job.target))
            return AlignOutcome(job.id, alignment.score, phone_rate(alignment), suspicion(alignment), False, True)
        except UserError:
            pass  # not one of ours, or damaged: made anew
    try:
        samples, rate = read_audio(job.path)
        lexicon = read_lexicon(job.lexicon) if job.lexicon else None
        alignment = align_text(samples, rate, job.text or _text_beside(job.path), lexicon)
        write_textgrid(job.target, alignment)
    except UserError as error:
        return AlignOutcome(job.id, math.nan, math.nan, str(error), True, False)
    return AlignOutcome(job.id, alignment.score, phone_rate(alignment), suspicion(alignment), False, False)


def write_report(path: str | Path, outcomes: Sequence[AlignOutcome]) -> None:
    """Writes a table of all outcomes, separated by tabs; raises UserError where it cannot be written."""
    lines = ["id\tscore\tphones_per_s\tfailed\treason"]
    lines += [f"{o.id}\t{o.score:.3f}\t{o.phones_per_s:.2f}\t{int(o.failed)}\t{o.reason}" for o in outcomes]
    write_text(path, "\n".join(lines) + "\n")


def _text_beside(path: Path) -> str:
    for suffix in (".txt", ".lab"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                return beside.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError("cannot be read as UTF-8 text", str(beside)) from error
    raise UserError("no text", str(path), "Put it into metadata.csv, or into a .txt or .lab file beside the recording.")
