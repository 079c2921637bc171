"""Finds where every phone lies in a folder of recordings with text, and writes a TextGrid for each.

Recordings that are aligned already are kept, so an interrupted run goes on where it stopped. What looks wrong (a text
that does not match, phones too fast or too slow, a recording that cannot be aligned) is listed.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

FASTEST, SLOWEST = 25.0, 4.0  # phones per second of speech; people speak at 8 to 16
LONGEST_PHONE_S = 1.0
LISTED = 20


class AlignOutcome(NamedTuple):
    """What became of one recording: its id, score and rate (NaN where it failed), and what is suspicious, or ""."""

    id: str
    score: float
    phones_per_s: float
    reason: str
    failed: bool
    kept: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat align`."""
    parser.add_argument(
        "folder", type=Path, help="metadata.csv (id|speaker|text), or .txt or .lab beside each recording"
    )
    parser.add_argument("--layout", default="plain", help="plain, ljspeech, vctk, libritts or librispeech")
    parser.add_argument("--out", type=Path, help="where the TextGrids go (default: FOLDER/alignments)")
    parser.add_argument("--workers", type=int, default=0, help="worker processes (default: one per processor)")
    parser.add_argument("--lexicon", type=Path, help="your own pronunciations: lines of `word PH ON EMES`")
    parser.add_argument("--report", type=Path, help="write a table of all recordings (.tsv)")


def run(arguments: argparse.Namespace) -> int | None:
    """Aligns the folder; raises UserError if nothing could be aligned."""
    import os

    from copycat_jax.cli.outputs import check_file
    from copycat_jax.console import say
    from copycat_jax.corpus.readers import read_corpus
    from copycat_jax.errors import UserError
    from copycat_jax.text.lexicon import read_lexicon

    if arguments.workers < 0:
        raise UserError(f"{arguments.workers} workers", "--workers", "Give one or more, or leave it out.")
    if arguments.report:
        check_file(arguments.report, ".tsv")
    if arguments.lexicon:
        read_lexicon(arguments.lexicon)  # a mistake in it is told before any work starts
    raws = read_corpus(arguments.layout, arguments.folder)
    out = arguments.out or arguments.folder / "alignments"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made: {error.strerror}", str(out), "Give another folder with --out.") from error
    jobs = [
        (raw.id, str(raw.path), raw.text, str(out / f"{raw.id}.TextGrid"), str(arguments.lexicon or "")) for raw in raws
    ]
    outcomes = _align_all(jobs, arguments.workers or os.cpu_count() or 1)
    if arguments.report:
        _write_report(arguments.report, outcomes)
    failed = [outcome for outcome in outcomes if outcome.failed]
    suspicious = sorted(
        (outcome for outcome in outcomes if outcome.reason), key=lambda o: (not o.failed, 0.0 if o.failed else o.score)
    )
    for outcome in suspicious[:LISTED]:
        say(f"{outcome.id}\t{outcome.score:.1f}\t{outcome.reason}")
    if len(suspicious) > LISTED:
        where = f"see {arguments.report}" if arguments.report else "--report lists all"
        say(f"... and {len(suspicious) - LISTED} more ({where})")
    kept = sum(outcome.kept for outcome in outcomes)
    say(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} recordings aligned in {out} ({kept} were there already), "
        f"{len(failed)} failed, {len(suspicious) - len(failed)} suspicious"
    )
    if len(failed) == len(outcomes):
        raise UserError(
            f"none of {len(outcomes)} recordings could be aligned, first: {failed[0].reason}", str(arguments.folder)
        )
    return 0


def _align_all(jobs: list[tuple], workers: int) -> list[AlignOutcome]:
    import concurrent.futures
    import multiprocessing

    from copycat_jax.console import progress_bar
    from copycat_jax.errors import UserError

    outcomes = []
    # Spawned, not forked: a fork would inherit whatever threads the calling process runs.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        futures = [pool.submit(align_one, *job) for job in jobs]
        try:
            with progress_bar("aligning", total=len(jobs), unit="recording") as bar:
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


def align_one(name: str, path: str, text: str | None, target: str, lexicon_path: str) -> AlignOutcome:
    """Aligns one recording and writes its TextGrid, unless that is there already; a worker process's task."""
    import math

    from copycat_jax.align.aligner import align_text
    from copycat_jax.align.textgrid import read_textgrid, write_textgrid
    from copycat_jax.audio.signal import read_audio
    from copycat_jax.errors import UserError

    if Path(target).exists():
        try:
            alignment = read_textgrid(target)
            if all(phone.label == "SIL" for phone in alignment.phones):
                raise UserError("nothing is spoken in it", target)
            return AlignOutcome(name, alignment.score, phone_rate(alignment), suspicion(alignment), False, True)
        except UserError:
            pass  # not one of ours, or damaged: made anew
    try:
        samples, rate = read_audio(path)
        alignment = align_text(samples, rate, text or _text_beside(Path(path)), _lexicon(lexicon_path))
        write_textgrid(target, alignment)
    except UserError as error:
        return AlignOutcome(name, math.nan, math.nan, str(error), True, False)
    return AlignOutcome(name, alignment.score, phone_rate(alignment), suspicion(alignment), False, False)


def phone_rate(alignment) -> float:
    """Phones per second of speech, silences left out."""
    spoken = [phone for phone in alignment.phones if phone.label != "SIL"]
    return len(spoken) / sum(phone.end_s - phone.start_s for phone in spoken)


def suspicion(alignment) -> str:
    """What looks wrong with an alignment, or an empty string."""
    from copycat_jax.align.aligner import check_match
    from copycat_jax.errors import UserError

    reasons = []
    try:
        check_match(alignment, "")
    except UserError as error:
        reasons.append(error.what)
    rate = phone_rate(alignment)
    if not SLOWEST <= rate <= FASTEST:
        reasons.append(f"{rate:.1f} phones per second are too {'slow' if rate < SLOWEST else 'fast'}")
    longest = max((phone for phone in alignment.phones if phone.label != "SIL"), key=lambda p: p.end_s - p.start_s)
    if longest.end_s - longest.start_s > LONGEST_PHONE_S:
        reasons.append(f"{longest.label} at {longest.start_s:.2f} s lasts {longest.end_s - longest.start_s:.2f} s")
    return "; ".join(reasons)


def _text_beside(path: Path) -> str:
    from copycat_jax.errors import UserError

    for suffix in (".txt", ".lab"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                return beside.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError("cannot be read as UTF-8 text", str(beside)) from error
    raise UserError("no text", str(path), "Put it into metadata.csv, or into a .txt or .lab file beside the recording.")


def _lexicon(path: str):
    from copycat_jax.text.lexicon import read_lexicon

    return read_lexicon(path) if path else None


def _write_report(path: Path, outcomes: list[AlignOutcome]) -> None:
    from copycat_jax.errors import UserError
    from copycat_jax.files import replacing_file

    lines = ["id\tscore\tphones_per_s\tfailed\treason"]
    lines += [f"{o.id}\t{o.score:.3f}\t{o.phones_per_s:.2f}\t{int(o.failed)}\t{o.reason}" for o in outcomes]
    try:
        with replacing_file(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", str(path), "Give another path with --report."
        ) from error
