"""Aligns a folder of recordings in several processes: a TextGrid each, and what looks wrong with it."""

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax import console
from copycat_jax.align.aligner import align_text
from copycat_jax.align.suspicion import other_words, phone_rate, suspicion
from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.audio.signal import read_audio
from copycat_jax.errors import UserError
from copycat_jax.files import Refused, write_text
from copycat_jax.text.lexicon import read_lexicon
from copycat_jax.types import Alignment
from copycat_jax.workers import spread


class AlignJob(NamedTuple):
    """One recording to align: its text if it has one, where its TextGrid goes, what is wrong with it or nothing."""

    id: str
    path: Path
    text: str | None
    target: Path
    lexicon: Path | None = None
    fault: str = ""


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
      UserError: a worker process died, or a TextGrid cannot be written.
    """
    with contextlib.closing(spread(align_one, jobs, workers)) as outcomes:
        return sorted(console.progress(outcomes, "aligning", total=len(jobs), unit="recording"))


def align_one(job: AlignJob) -> AlignOutcome:
    """Aligns one recording and writes its TextGrid; one that is there already is kept, whoever made it.

    Raises:
      Refused: the TextGrid, or a temporary file, cannot be written. That is no fault of the recording.
    """
    kept = os.path.lexists(job.target)
    try:
        if job.fault:
            raise UserError(job.fault)
        if not job.text:
            remedy = "Put it into metadata.csv, or into a .txt or .lab file beside the recording."
            raise UserError("the text is missing", str(job.path), remedy)
        alignment = _kept(job.target) if kept else _made(job, job.text)
    except Refused:
        raise
    except UserError as error:
        return AlignOutcome(job.id, math.nan, math.nan, str(error), True, False)
    except Exception as error:  # an odd file must not end the run
        reason = str(UserError(f"{type(error).__name__}: {error}", str(job.path)))
        return AlignOutcome(job.id, math.nan, math.nan, reason, True, False)
    if not kept:
        write_textgrid(job.target, alignment)
    known = read_lexicon(job.lexicon).entries if kept and job.lexicon else ()
    reasons = [suspicion(alignment), other_words(alignment, job.text, known) if kept else ""]
    reason = "; ".join(filter(None, reasons))
    return AlignOutcome(job.id, alignment.score, phone_rate(alignment), reason, False, kept)


def _kept(target: Path) -> Alignment:
    try:
        return read_textgrid(target)
    except UserError as error:
        raise UserError(error.what, error.where, "Move the file away to have it made anew, or mend it.") from error


def _made(job: AlignJob, text: str) -> Alignment:
    samples, rate = read_audio(job.path)
    return align_text(samples, rate, text, read_lexicon(job.lexicon) if job.lexicon else None)


def write_report(path: str | Path, outcomes: Sequence[AlignOutcome]) -> None:
    """Writes a table of all outcomes, separated by tabs; raises UserError where it cannot be written."""
    lines = ["id\tscore\tphones_per_s\tfailed\treason"]
    lines += [f"{o.id}\t{o.score:.3f}\t{o.phones_per_s:.2f}\t{int(o.failed)}\t{o.reason}" for o in outcomes]
    write_text(path, "\n".join(lines) + "\n")
