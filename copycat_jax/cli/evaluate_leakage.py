"""`copycat evaluate leakage`: what a bundle's latents let through of the source's speaker, and what they carry."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of the kind."""
    parser.add_argument("sources", metavar="SOURCES.jsonl", help="recordings: rows of source, source_voice and text")
    parser.add_argument("--bundle", metavar="DIR", help="CopyCat's bundle; the one that ships by default")
    parser.add_argument("--root", metavar="DIR", help="folder that the manifest's paths start from (default: its own)")
    parser.add_argument("--out", metavar="FILE.html", help="write a page here, and the figures beside it as FILE.json")


def run(arguments: argparse.Namespace) -> int:
    """Measures, says one line a measure, writes the page."""
    from pathlib import Path

    from copycat_jax import console
    from copycat_jax.evaluate import leakage_report
    from copycat_jax.evaluate.report import read_rows
    from copycat_jax.files import check_file, plain, write_json, write_text
    from copycat_jax.synthesis import load

    rows = read_rows(arguments.sources, ("source", "source_voice", "text"), arguments.root)
    if arguments.out:
        check_file(Path(arguments.out), ".html")
    synthesizer = load(arguments.bundle)
    found = leakage_report.measure(synthesizer, rows)
    for name, line in found.verdicts().items():
        console.say(f"{name}: {line}")
    if found.unused:
        first, why = next(iter(found.unused.items()))
        console.warn(f"{len(found.unused)} of {len(rows)} recordings were not used; the first, {first}: {why}")
    if arguments.out:
        out = Path(arguments.out)
        write_text(out, leakage_report.page(found, arguments.bundle or "the one that ships"))
        probes = {name: getattr(found, name)._asdict() for name in ("latents", "prosody", "levels")}
        figures = found._asdict() | probes
        write_json(out.with_suffix(".json"), plain(figures | {"verdicts": found.verdicts()}))
        console.say(f"wrote {out} and {out.with_suffix('.json')}")
    return 0
