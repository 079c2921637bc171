"""Finds where every phone lies in a folder of recordings with text, and writes a TextGrid for each.

Recordings that are aligned already are kept, so an interrupted run goes on where it stopped. What looks wrong (a text
that is not, or not all, what is said, phones too fast or too slow, a recording that cannot be aligned) is listed.
"""

import argparse
from pathlib import Path

LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat align`."""
    parser.add_argument(
        "folder", type=Path, help="metadata.csv (columns id|speaker|text), or .txt or .lab beside each recording"
    )
    parser.add_argument("--layout", default="plain", help="plain, ljspeech, vctk, libritts or librispeech")
    parser.add_argument("--out", type=Path, help="where the TextGrids go (default: FOLDER/alignments)")
    parser.add_argument("--workers", type=int, default=0, help="worker processes (default: one per processor)")
    parser.add_argument("--lexicon", type=Path, help="your own pronunciations: lines of `word PH ON EMES`")
    parser.add_argument("--report", type=Path, help="write a table of all recordings (.tsv)")


def run(arguments: argparse.Namespace) -> int | None:
    """Aligns the folder; raises UserError if nothing could be aligned."""
    from copycat_jax.align.folder import AlignJob, align_all, write_report
    from copycat_jax.console import say
    from copycat_jax.corpus.readers import read_corpus
    from copycat_jax.errors import UserError
    from copycat_jax.files import check_file, refusals_of
    from copycat_jax.text.lexicon import read_lexicon
    from copycat_jax.workers import cores

    if arguments.workers < 0:
        raise UserError(f"{arguments.workers} workers", "--workers", "Give one or more, or leave it out.")
    if arguments.report:
        check_file(arguments.report, ".tsv")
    if arguments.lexicon:
        read_lexicon(arguments.lexicon)  # a mistake in it is told before any work starts
    out = arguments.out or arguments.folder / "alignments"
    raws = read_corpus(arguments.layout, arguments.folder, alignments=out)
    with refusals_of(out):
        out.mkdir(parents=True, exist_ok=True)
    jobs = [
        AlignJob(
            raw.id, raw.path, raw.text, raw.alignment_path or out / f"{raw.id}.TextGrid", arguments.lexicon, raw.fault
        )
        for raw in raws
    ]
    outcomes = align_all(jobs, arguments.workers or cores())
    if arguments.report:
        write_report(arguments.report, outcomes)
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
