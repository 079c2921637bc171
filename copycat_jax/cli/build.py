"""Turn speech corpora into training shards: decode, trim, align, features, ArrayRecord."""

import argparse
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from copycat_jax import console
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from copycat_jax.corpus.description import CorpusInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `copycat build`."""
    layouts = "plain, ljspeech, vctk, libritts or librispeech"
    parser.add_argument(
        "--source", action="append", default=[], metavar="LAYOUT:PATH", help=f"a corpus; LAYOUT is {layouts}"
    )
    parser.add_argument("--out", required=True, metavar="DATA", help="the folder to make")
    parser.add_argument("--spec", default="hifigan", help="mel convention: hifigan (default) or paper_24k")
    parser.add_argument("--f0", default="pyin", help="F0 tracker: pyin (default), dio (extra 'f0') or none")
    parser.add_argument(
        "--lexicon", default="", metavar="FILE", help="pronunciations that come before the built-in ones"
    )
    parser.add_argument("--audio", action="store_true", help="store the sound too: for a vocoder")
    parser.add_argument("--audio-only", action="store_true", help="no text, no alignment: for the speaker classifier")
    parser.add_argument("--min-seconds", type=float, default=0.3, help="leave out what is shorter after trimming")
    parser.add_argument("--max-seconds", type=float, default=10.0, help="leave out what is longer after trimming")
    parser.add_argument(
        "--exclude", default="", metavar="PATTERN", help="leave out ids that match this regular expression"
    )
    parser.add_argument("--exclude-ids", metavar="FILE", help="leave out these ids, one a line")
    parser.add_argument("--exclude-speakers", metavar="FILE|A,B", help="leave out these speakers")
    parser.add_argument(
        "--exclude-texts", metavar="FILE", help="leave out these sentences, whatever their case and marks"
    )
    parser.add_argument(
        "--on-bad", choices=("skip", "fail"), default="skip", help="list bad recordings, or stop at one"
    )
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--cache", metavar="DIR", help="folder of computed features (default: DATA.cache)")
    parser.add_argument("--shards", type=int, metavar="N", help="number of shards (default: one per 128 MB)")
    parser.add_argument(
        "--beam",
        default="",
        metavar="RUNNER",
        help="compute and write with Apache Beam: a runner and its options, such as 'FlinkRunner --parallelism=64'",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--overwrite", action="store_true", help="replace a corpus that is already there")
    there.add_argument("--append", action="store_true", help="add to it what it does not hold, in further shards")
    there.add_argument("--check", action="store_true", help="read all of it and name what is damaged; builds nothing")


def run(arguments: argparse.Namespace) -> int | None:
    """Builds the corpus and says what became of the recordings."""
    from copycat_jax.corpus.builder import BAD_FILE, build_corpus
    from copycat_jax.corpus.cache import FeatureOptions, Limits
    from copycat_jax.corpus.description import VECTORS_FILE
    from copycat_jax.corpus.ids import as_id
    from copycat_jax.corpus.sources import Exclusions
    from copycat_jax.corpus.utterance import text_key
    from copycat_jax.files import check_folder, check_local
    from copycat_jax.mel_spec import mel_spec
    from copycat_jax.workers import cores

    if arguments.check:
        return _check(arguments)
    sources = [_source(value) for value in arguments.source]
    if not 0 <= arguments.min_seconds < arguments.max_seconds:
        raise UserError(f"{arguments.min_seconds:g} to {arguments.max_seconds:g} s", "--min-seconds, --max-seconds")
    if arguments.shards is not None and arguments.shards < 1:
        raise UserError(f"{arguments.shards} shards", "--shards", "Give at least 1.")
    exclusions = Exclusions(
        ids=frozenset(map(as_id, _lines(arguments.exclude_ids, "--exclude-ids"))),
        speakers=frozenset(_speakers(arguments.exclude_speakers)),
        texts=frozenset(text_key(line) for line in _lines(arguments.exclude_texts, "--exclude-texts")),
        pattern=arguments.exclude,
    )
    out = check_local(arguments.out).absolute()
    check_folder(out.parent, make=True)
    check_folder(arguments.cache or out.with_name(out.name + ".cache"), make=True)
    report = build_corpus(
        sources,
        arguments.out,
        FeatureOptions(
            mel_spec(arguments.spec), arguments.f0, arguments.audio, arguments.audio_only, arguments.lexicon
        ),
        limits=Limits(arguments.min_seconds, arguments.max_seconds),
        exclusions=exclusions,
        workers=cores() if arguments.workers is None else arguments.workers,
        on_bad=arguments.on_bad,
        cache=arguments.cache,
        shards=arguments.shards,
        beam_command=arguments.beam,
        overwrite=arguments.overwrite,
        append=arguments.append,
    )
    console.say(_summary(arguments.out, report.info))
    if arguments.append:
        console.say(f"added {report.written}")
        if report.written and (out / VECTORS_FILE).is_file():
            console.say("its speaker vectors are those of the corpus before: run `copycat embed` again")
    console.say(f"computed {report.computed}, from the cache {report.cached}, excluded {report.excluded}")
    if report.bad:
        lengths = sum(row.kind == "length" for row in report.bad)
        table = Path(arguments.out) / BAD_FILE
        console.say(f"left out: {len(report.bad) - lengths} bad, {lengths} too short or long; see {table}")


def _check(arguments: argparse.Namespace) -> None:
    from copycat_jax.corpus.check import check_corpus

    if arguments.source:
        raise UserError("builds nothing", "--check", "Leave --source out.")
    info, faults = check_corpus(arguments.out)
    for fault in faults:
        console.say(fault)
    if faults:
        remedy = "Restore what is named from a copy, or build again; the cache makes that quick."
        raise UserError(f"{len(faults)} faults in {info.utterances} utterances", arguments.out, remedy)
    console.say(f"{_summary(arguments.out, info)}: every record is what was built")


def _summary(path: str, info: "CorpusInfo") -> str:
    return (
        f"{path}: {info.utterances} utterances, {info.seconds / 3600:.2f} h, {len(info.speakers)} speakers,"
        f" {len(info.shards)} shards, fingerprint {info.fingerprint[:12]}"
    )


def _source(value: str) -> tuple[str, str]:
    layout, colon, path = value.partition(":")
    if not colon or not path:
        raise UserError(f"'{value}' is not LAYOUT:PATH", "--source", "For example: --source ljspeech:LJSpeech-1.1.")
    return layout, path


def _lines(path: str | None, flag: str) -> list[str]:
    if path is None:
        return []
    lines = unicodedata.normalize("NFC", read_text(path, f"list of {flag}")).split("\n")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _speakers(value: str | None) -> list[str]:
    if value is None or os.path.isfile(value):  # unlike Path.is_file, minds no list longer than a file name
        return _lines(value, "--exclude-speakers")
    return [name.strip() for name in value.split(",") if name.strip()]
