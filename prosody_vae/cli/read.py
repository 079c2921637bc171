"""Reads a text aloud: the prosody of every sentence chosen from the space, one wav, and a JSON that says why.

The bundle's voice speaks (--bundle; the one that ships by default); the space must have been built with that bundle.
A killed run goes on with the chapter it was in when the same command is given again.
"""

import argparse

from copycat_jax import console
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names
from prosody_vae.cli.select import add_choosing, add_ties, selector_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody read`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("document", help="what to read: a text (.txt) or Markdown (.md) file in UTF-8")
    parser.add_argument("--out", required=True, metavar="OUT.wav", help="where to write; OUT.json is put beside it")
    add_choosing(parser, "syntactic")
    add_ties(parser, "vector where an encoder is installed")
    parser.add_argument(
        "--lsw", type=float, default=0.9, metavar="W", help="weight of language against continuity (default 0.9)"
    )
    parser.add_argument("--exact", action="store_true", help="the best path over each paragraph, not the greedy one")
    parser.add_argument("--scaled", action="store_true", help="acoustic distances in units of the space's mean one")
    parser.add_argument("--rate", type=float, default=1.0, help="times faster than the voice speaks (default 1)")
    parser.add_argument("--speaker", metavar="NAME", help="a voice of the bundle; the space's own by default")
    parser.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody read`."""
    from copycat_jax.files import check_file
    from prosody_vae.linguistics.document import read_document
    from prosody_vae.reading.aloud import ReadAloud

    out = check_file(arguments.out, ".wav")  # what is quickly refused comes first
    document = read_document(arguments.document)
    reader = ReadAloud(
        arguments.bundle,
        by=arguments.by,
        selector=selector_of(arguments),
        lsw=arguments.lsw,
        exact=arguments.exact,
        scaled=arguments.scaled,
        ties=arguments.ties,
        rate=arguments.rate,
        speaker=arguments.speaker,
        vocoder=arguments.vocoder,
    )
    result = reader.read(document, out)
    if result.resumed:
        console.say(f"chapters found finished: {result.resumed}")
    if result.skipped:
        console.warn(f"sentences without a word, left out: {result.skipped}")
    minutes, seconds = divmod(round(result.seconds), 60)
    spoken = f"{result.sentences} sentence{'s' * (result.sentences != 1)}"
    console.say(f"{result.path}: {spoken}, {minutes} min {seconds:02d} s, by {arguments.by}")
    console.say(f"{result.about}: what was chosen for each sentence, and why")
