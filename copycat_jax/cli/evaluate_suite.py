"""`copycat evaluate` of systems, on a suite or a folder of recordings against references; and the making of suites.

Imported by `cli.evaluate` for its arguments; nothing heavy is imported before one of its functions runs.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.cli.evaluate_results import add_judging, asked_measures, installed_measures
from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from copycat_jax.evaluate.comparison import Scored
    from copycat_jax.evaluate.suites import Suite
    from copycat_jax.evaluate.systems import Recorded, System

CLIPS, FIGURES, TEXT = "clips.jsonl", "figures.json", "report.txt"


def declare_suite(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat evaluate SUITE --system ...`."""
    parser.add_argument("suite", metavar="SUITE", help="its file; or its name, with --corpora")
    parser.add_argument("--system", action="append", required=True, metavar="[NAME=]WHAT", help=_SYSTEMS)
    parser.add_argument("--corpora", metavar="DIR", help="the corpora that a suite's name is looked up in")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="recordings, figures and pictures; what is there stays"
    )
    _declare(parser)


def declare_folder(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat evaluate FOLDER --against REFERENCES`."""
    parser.add_argument("folder", metavar="FOLDER", help="a system's recordings")
    parser.add_argument(
        "--against", required=True, metavar="REFERENCES", help="a folder of recordings of the same names, or a suite"
    )
    parser.add_argument(
        "--as",
        dest="role",
        choices=("truth", "source"),
        default="truth",
        help="what a folder of references holds (truth)",
    )
    parser.add_argument(
        "--system", action="append", default=[], metavar="[NAME=]WHAT", help="compare with: " + _SYSTEMS
    )
    parser.add_argument("--out", metavar="DIR", help="also write figures and pictures")
    _declare(parser)


def declare_making(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat evaluate make-suite`."""
    parser.add_argument("name", help="gold, gold-dev, human or parallel-takes")
    parser.add_argument("--corpora", required=True, metavar="DIR", help="folder of the corpora")
    parser.add_argument("--out", required=True, metavar="NAME.jsonl", help="the suite; its voices go beside it")


_SYSTEMS = (
    "a folder of recordings ID.wav, a bundle (then :mel lets its vocoder hear the mel that was made, :source the "
    "recording's melody), copycat, source, shifted, average, monotone, copy-synthesis, truth or other-take; repeat it"
)


def _declare(parser: argparse.ArgumentParser) -> None:
    add_judging(parser)
    parser.add_argument(
        "--reference", action="append", default=[], metavar="NAME", help="a system that is no rival: it is not tested"
    )
    parser.add_argument("--floor", default="average", metavar="NAME", help="system of skill 0 (average)")
    parser.add_argument(
        "--ceiling", default="copy-synthesis", metavar="NAME", help="system of skill 1 (copy-synthesis)"
    )
    parser.add_argument("--margin", type=float, default=0.1, help='loss of naturalness that still is "not worse" (0.1)')
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap samples (2000)")


def run_making(arguments: argparse.Namespace) -> int | None:
    """Writes a suite and says what is in it."""
    from copycat_jax.evaluate.suites import make_suite, write_suite
    from copycat_jax.files import check_file

    out = check_file(arguments.out, ".jsonl", ())
    suite = make_suite(arguments.name, arguments.corpora)
    write_suite(suite, out)
    console.say(f"{out}: {len(suite.rows)} clips, and beside it {len(suite.voices)} recordings of their voices")
    return 0


def run_suite(arguments: argparse.Namespace) -> int | None:
    """Renders, judges, compares, prints and writes."""
    from copycat_jax.evaluate.report import read_rows
    from copycat_jax.evaluate.suites import SUITES, Suite, make_suite, read_suite

    if not Path(arguments.suite).is_file() and arguments.suite in (*SUITES, "selection"):
        if arguments.corpora is None and arguments.suite != "selection":
            raise UserError("a suite's name without its corpora", arguments.suite, "Add --corpora DIR.")
        suite = make_suite(arguments.suite, arguments.corpora or "")
        if arguments.voices:
            suite = Suite(suite.name, suite.rows, read_rows(arguments.voices, ("voice", "path"), arguments.root))
    else:
        suite = read_suite(arguments.suite, arguments.voices, arguments.root)
    return _evaluate(suite, arguments.system, arguments)


def run_folder(arguments: argparse.Namespace) -> int | None:
    """A folder as the one system of a suite."""
    from copycat_jax.evaluate.suites import read_suite, recordings_of, suite_of_folder

    recordings_of(arguments.folder)
    if Path(arguments.against).is_dir():
        suite = suite_of_folder(arguments.against, arguments.role)
    else:
        suite = read_suite(arguments.against, arguments.voices, arguments.root)
    return _evaluate(suite, [arguments.folder, *arguments.system], arguments)


def _evaluate(suite: "Suite", asked_systems: Sequence[str], arguments: argparse.Namespace) -> int | None:
    """Everything from recordings to tables, without --out in a temporary folder."""
    import tempfile

    from copycat_jax.evaluate import comparison, comparison_text, judges, systems
    from copycat_jax.files import check_folder

    asked = asked_measures(arguments)
    if arguments.draws < 1:
        raise UserError(f"{arguments.draws}", "--draws", "Give a positive number.")
    if not arguments.margin > 0:
        raise UserError(f"a margin of {arguments.margin:g}", "--margin", "Give a positive one.")
    if arguments.out:
        check_folder(arguments.out, make=True)
    asked = installed_measures(asked, suite.voices)
    memory = judges.Memory(arguments.cache)
    registers = systems.voice_registers(suite.voices, memory)
    opened = [systems.open_system(text, registers, arguments.reference, arguments.jobs) for text in asked_systems]
    _check_systems(opened, arguments.reference)
    with tempfile.TemporaryDirectory() as work:
        out = Path(arguments.out or work)
        out.mkdir(parents=True, exist_ok=True)
        recorded = {}
        for system in opened:
            recorded[system.name] = systems.record(system, suite.rows, out)
            _warn_of(system.name, recorded[system.name], comparison_text.some)
        scored = systems.score(recorded, suite.voices, asked, memory, arguments.jobs)
        references = [system.name for system in opened if system.reference]
        ends = arguments.floor, arguments.ceiling
        found = comparison.compare(scored, references, *ends, arguments.margin, arguments.draws)
        text = comparison_text.comparison_text(suite.name, scored, found)
        console.say(text)
        if arguments.out:
            made = {system.name: system.key for system in opened}
            asked_for = {"suite": suite.name, "fingerprint": systems.suite_fingerprint(suite.rows)}
            versions = {name: judges.version_of(name) for name in asked}
            _write(out, text, scored, asked_for | {"judges": versions, "systems": made} | found)
    return 0


def _check_systems(opened: "Sequence[System]", references: Sequence[str]) -> None:
    """Refuses names that stand twice or for nothing, and says where figures of melody are not of one kind."""
    names = [system.name for system in opened]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two systems are called '{twice}'", "--system", "Write NAME=WHAT.")
    if unknown := next((name for name in references if name not in names), None):
        raise UserError(f"no system '{unknown}'", "--reference", f"Systems: {', '.join(names)}.")
    if told := [system.name for system in opened if system.melody == "source"]:
        console.warn(
            f"{', '.join(told)}: the vocoder speaks at the source's own melody, so that figures of F0 are not the "
            "model's; add :mel to compare models by them"
        )


def _warn_of(name: str, found: "Recorded", some: Callable[[Iterable[str]], str]) -> None:
    """Names what is missing, what is there besides, and what is of another length."""
    if missing := found.missing:
        why = f" ({next(iter(missing.values()))})"
        console.warn(f"{name}: {len(missing)} of {len(found.rows)} clips are missing: {some(missing)}{why}")
    if found.extra:
        console.warn(f"{name}: {len(found.extra)} recordings are of no clip of the suite: {some(found.extra)}")
    if found.unequal:
        ids = some(f"{i} by {s:+.2f} s" for i, s in found.unequal.items())
        console.warn(f"{name}: {len(found.unequal)} clips are not as long as their reference: {ids}")


def _write(out: Path, text: str, scored: "Scored", figures: dict[str, Any]) -> None:
    """The clips as JSON lines, all figures, the text, and the pictures."""
    from copycat_jax.evaluate import pictures, report
    from copycat_jax.evaluate.comparison import FAMILY, NATURALNESS
    from copycat_jax.files import plain, write_json, write_text
    from copycat_jax.plots import write_png

    rows = [row for found in scored.values() for row in found]
    write_text(out / CLIPS, "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows))
    fields = [f for f in ("voice", "source_voice", "group") if any(row.get(f) for row in rows)]
    tables = {f"by_{field}": report.tabulate(rows, ["system", field]) for field in fields}
    write_json(out / FIGURES, plain(figures | {"tables": tables}))
    write_text(out / TEXT, text)
    for name, figure in pictures.pictures(scored, (*FAMILY, "voicing_error", "to_source", NATURALNESS)).items():
        write_png(out / name, figure)
    console.say(f"wrote {out}: {CLIPS}, {FIGURES}, {TEXT} and pictures")
