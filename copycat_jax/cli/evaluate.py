"""Measures systems: melody, voice and words of what they made, against the truth or the source.

Recordings that are there, as a manifest of JSON lines names them (copycat_jax/evaluate/report.py says of what fields):
  copycat evaluate RESULTS.jsonl --voices VOICES.jsonl
A folder of any system's recordings, named like the references, which are a folder too, or a suite:
  copycat evaluate FOLDER --against REFERENCES
Systems on a suite; what they did not say yet is rendered:
  copycat evaluate SUITE.jsonl --system copycat --system other=FOLDER --system copy-synthesis --out FOLDER
  copycat evaluate gold --corpora CORPORA --system copycat --out FOLDER
A suite as a file, to read, to cut, or to write one's own like it:
  copycat evaluate make-suite gold --corpora CORPORA --out gold.jsonl
What a bundle's latents let through of the speakers of recordings (rows of source, source_voice, text):
  copycat evaluate leakage SOURCES.jsonl --out leakage.html
Judges that are not installed are named and left out.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from copycat_jax.cli import evaluate_leakage, evaluate_results, evaluate_suite
from copycat_jax.command_line import add_kinds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat evaluate`."""
    add_kinds(parser, KINDS)


def rewrite(arguments: Iterable[str]) -> list[str]:
    """Puts the kind that the target, or an option that only one kind has, tells in front, where none is named."""
    arguments = list(arguments)
    if not arguments or arguments[0] in (*KINDS, "-h", "--help"):
        return arguments
    given = {argument.partition("=")[0] for argument in arguments}
    if "--against" in given:
        return ["folder", *arguments]
    if "--system" in given:
        return ["suite", *arguments]
    return ["folder" if Path(arguments[0]).is_dir() else "results", *arguments]


def run(arguments: argparse.Namespace) -> int | None:
    """Runs `copycat evaluate`."""
    return KINDS[arguments.kind][2](arguments)


KINDS = {
    "results": (
        "recordings that a manifest names (what is done with a manifest if nothing is named)",
        evaluate_results.add_arguments,
        evaluate_results.run,
    ),
    "folder": (
        "a folder of recordings against references (what is done with a folder)",
        evaluate_suite.declare_folder,
        evaluate_suite.run_folder,
    ),
    "suite": (
        "systems on a suite (what is done where --system is given)",
        evaluate_suite.declare_suite,
        evaluate_suite.run_suite,
    ),
    "leakage": (
        "what a bundle's latents let through of the source's speaker",
        evaluate_leakage.add_arguments,
        evaluate_leakage.run,
    ),
    "make-suite": ("a suite of corpora, as a file", evaluate_suite.declare_making, evaluate_suite.run_making),
}
