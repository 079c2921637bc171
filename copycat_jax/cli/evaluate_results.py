"""Measures transfers against the truth or the source: melody (swift-f0), voice (GE2E), words (Whisper).

RESULTS is a manifest of JSON lines: result, voice, and as far as they exist source, source_voice, truth, offset_s,
text, set, system, group, sentence (copycat_jax/evaluate/report.py says what each means). Judges that are not installed
are named and left out.
"""

import argparse
from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat evaluate RESULTS.jsonl`."""
    parser.add_argument("results", metavar="RESULTS.jsonl", help="manifest of results")
    add_judging(parser)
    parser.add_argument("--truth", metavar="DIR", help="folder of truths named like the results, for rows without one")
    parser.add_argument("--out", metavar="FILE.json", help="write all figures, per clip and per table, here")
    parser.add_argument("--pairs", action="store_true", help="also print a table per voice pair")


def add_judging(parser: argparse.ArgumentParser) -> None:
    """Declares what every evaluation by judges asks for."""
    parser.add_argument("--voices", metavar="VOICES.jsonl", help="what each voice sounds like: rows of voice and path")
    parser.add_argument("--root", metavar="DIR", help="folder that the manifests' paths start from (default: theirs)")
    parser.add_argument("--measures", metavar="A,B", help="only what these judges say: f0, voice, words, ...")
    parser.add_argument("--cache", metavar="DIR", help="where judges' answers are remembered")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes to judge in, and to render references in (default: 1)"
    )


def asked_measures(arguments: argparse.Namespace) -> list[str]:
    """The judges that are asked for; UserError for unknown ones, or a number of processes that is none."""
    from copycat_jax.errors import UserError
    from copycat_jax.evaluate import judges

    asked = [n for n in (arguments.measures or ",".join(judges.JUDGES)).split(",") if n]
    if not asked or set(asked) - set(judges.JUDGES):
        raise UserError(f"unknown measures '{arguments.measures}'", "--measures", f"Known: {', '.join(judges.JUDGES)}.")
    if arguments.jobs < 1:
        raise UserError(f"{arguments.jobs} processes", "--jobs", "At least 1.")
    return asked


def installed_measures(asked: Sequence[str], voices: Sequence[dict]) -> list[str]:
    """Those of `asked` that can be judged here; the others are named. UserError where none is left."""
    from copycat_jax import console
    from copycat_jax.errors import UserError
    from copycat_jax.evaluate import judges

    lacking = {name: reason for name in asked if (reason := judges.missing(name))}
    for name, reason in lacking.items():
        console.warn(f"no {name} figures: {reason}")
    asked = [name for name in asked if name not in lacking]
    if not asked:
        raise UserError("none of the judges is installed", remedy=next(iter(lacking.values())))
    if "voice" in asked and not voices:
        console.warn("no voice figures: --voices is not given")
        asked = [name for name in asked if name != "voice"]
    return asked


def run(arguments: argparse.Namespace) -> int | None:
    """Judges, scores, prints the tables, and writes the JSON file."""
    from pathlib import Path

    from copycat_jax import console
    from copycat_jax.errors import UserError
    from copycat_jax.evaluate import judges, report
    from copycat_jax.files import check_folder, plain, write_json

    asked = asked_measures(arguments)
    rows = report.read_rows(arguments.results, ("result", "voice"), arguments.root)
    voices = report.read_rows(arguments.voices, ("voice", "path"), arguments.root) if arguments.voices else []
    if arguments.truth:
        report.add_truths(rows, Path(arguments.truth))
    if arguments.out:
        check_folder(Path(arguments.out).resolve().parent)
    asked = installed_measures(asked, voices)
    memory = judges.Memory(arguments.cache)
    for path, failure in report.judged(rows, voices, asked, memory, arguments.jobs):
        if failure:
            raise UserError(failure, path)
    centroids = report.voice_centroids(voices, memory) if "voice" in asked else {}
    scored = [report.score_row(row, memory, centroids, asked) for row in console.progress(rows, "scoring", len(rows))]

    keys = [key for key in ("system", "set") if any(key in row for row in rows)] or ["set"]
    tables = {"by_set": report.tabulate(scored, keys, intervals=True)}
    if any("group" in row for row in rows):
        tables["by_group"] = report.tabulate(scored, [*keys, "group"])
    tables["by_pair"] = report.tabulate(scored, [*keys, "source_voice", "voice"])
    for name, table in tables.items():
        if name != "by_pair" or arguments.pairs:
            by = [key for key in table[0] if key in (*keys, "group", "source_voice", "voice")]
            console.say(report.table_text(table, by) + "\n")
    if arguments.out:
        write_json(arguments.out, plain(tables | {"clips": scored, "measures": asked}))
        console.say(f"wrote {arguments.out}")
    return 0
