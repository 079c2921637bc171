"""Says a sentence or a few: the prosody chosen from the space, or that of one recording, in one sound file.

prosody say "Who ate the rest of my pizza?" --out pizza.wav
prosody say "Who ate the rest of my pizza?" --like ID --out pizza.mp3
"""

import argparse

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from prosody_vae.cli.read import FORMATS, add_speaking, reader_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody say`."""
    parser.add_argument("text", metavar="TEXT", help="what is said ({HH AH0 L OW1}: phonemes); - for standard input")
    parser.add_argument("--out", required=True, metavar="OUT.wav", help=f"where to write; {FORMATS}")
    add_speaking(parser)
    parser.add_argument("--like", metavar="ID", help="speak like this recording of the space, and choose none")


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody say`."""
    keep_compiled()
    from copycat_jax.audio.encoding import check_sound_file, write_sound
    from prosody_vae.linguistics.document import read_text

    inputs = tuple(name for name in (arguments.trees, arguments.lexicon, arguments.parser) if name)
    out = check_sound_file(arguments.out, inputs)
    text = read_text("-") if arguments.text == "-" else arguments.text
    # What is spoken like a given recording is compared with nothing, so that no parser is needed.
    reader = reader_of(arguments, **({"by": "centroid", "lock": arguments.like} if arguments.like else {}))
    said = reader.say(text)
    write_sound(out, said.samples, said.sample_rate)
    for row in said.sentences:
        entry = next(iter(row.get("entries", ())), None)
        like = "the mean of all recordings" if entry is None else f'like {entry["id"]} "{entry["text"]}"'
        console.say(f"{row['text']}: {row.get('skipped', like)}")
    console.say(f"{out}: {len(said.samples) / said.sample_rate:.1f} s")
