"""Lists the voices that a bundle speaks as."""

import argparse

from copycat_jax import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat voices`."""
    parser.add_argument("--bundle", metavar="DIR", help="the bundle; the one that ships by default")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat voices`."""
    from copycat_jax.bundle.bundle import read_speakers, shipped
    from copycat_jax.bundle.voices import most_alike

    speakers = read_speakers(shipped() if arguments.bundle is None else arguments.bundle)
    rows = {
        name: {
            "register_hz": round(speaker.register_hz, 1),
            "spread_semitones": round(speaker.spread_semitones, 2),
            "utterances": speaker.utterances,
            "seconds": round(speaker.seconds, 1),
            "nearest": dict(most_alike(name, speakers)[:1]),
        }
        for name, speaker in sorted(speakers.items())
    }
    if arguments.json:
        import json

        console.say(json.dumps(rows, indent=1))
        return
    width = max([5, *map(len, rows)])
    console.say(f"{'voice':<{width}}  {'register':>9}  {'spread':>8}  {'heard':>18}  nearest voice (cosine)")
    for name, row in rows.items():
        heard = f"{row['utterances']} in {row['seconds'] / 60:.1f} min"
        near = ", ".join(f"{other} {cosine:.2f}" for other, cosine in row["nearest"].items())
        register, spread = f"{row['register_hz']:.0f} Hz", f"{row['spread_semitones']:.1f} st"
        console.say(f"{name:<{width}}  {register:>9}  {spread:>8}  {heard:>18}  {near}")
