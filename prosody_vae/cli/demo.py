"""Speaks three sentences in four ways each, or a text of your own, and makes a page to hear and see them on.

The three sentences are the paper's examples; their trees and sentence vectors were recorded, so that neither a parser
nor an encoder is needed. A text of your own needs both.
"""

import argparse
import time
from typing import TYPE_CHECKING

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.files import check_folder

if TYPE_CHECKING:
    from prosody_vae.selection.selector import Selector
    from prosody_vae.space.table import ProsodySpace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody demo`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("text", nargs="?", help="a sentence of your own, instead of the three")
    parser.add_argument("--text", dest="same_text", metavar="TEXT", help="the same")
    parser.add_argument("--out", default="prosody_demo", metavar="DIR", help="where to write (default ./prosody_demo)")
    parser.add_argument("--bundle", metavar="DIR", help="the trained voice; the one that ships by default")
    parser.add_argument("--space", metavar="DIR", help="the prosody space; the one that ships by default")
    parser.add_argument("--speaker", metavar="NAME", help="a voice of the bundle; the space's own by default")
    parser.add_argument(
        "--vocoder", default="griffin_lim", metavar="NAME", help="griffin_lim (default), hifigan or a checkpoint"
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody demo`."""
    started = time.monotonic()
    if arguments.text is not None and arguments.same_text is not None:
        raise UserError("two texts", remedy="Give one of them.")
    text = arguments.text if arguments.same_text is None else arguments.same_text
    with console.progress_bar("demo", total=4, unit="step") as bar:
        bar.set_postfix_str("loading")
        from prosody_vae.demo.takes import DEMO_SENTENCES, open_recorded, speak_takes, write_demo
        from prosody_vae.linguistics.document import check_sentence
        from prosody_vae.reading.aloud import home_speaker, open_table
        from prosody_vae.tts.voice import open_voice

        out = check_folder(arguments.out, make=True)
        if text is not None:
            check_sentence(text)
        space = open_table(arguments.space)
        voice = open_voice(arguments.bundle, arguments.vocoder)
        space.check_bundle(voice.bundle)
        speaker = arguments.speaker if arguments.speaker else home_speaker(space, voice.speakers)
        voice.check_speaker(speaker)
        bar.update()
        bar.set_postfix_str("choosing")
        if text is None:
            recorded = open_recorded()
            selector, trees, texts = recorded.selector(space), dict(recorded.trees), list(DEMO_SENTENCES)
            parser, encoder, origin = recorded.parser, recorded.encoder.label, " (recorded)"
        else:
            selector = open_both(space)
            texts, trees = [text], {}
            parser, encoder, origin = selector.linguist.parser.label, selector.linguist.encoder.label, ""
        bar.update()
        bar.set_postfix_str("speaking")
        takes = speak_takes(voice, selector, texts, speaker=speaker)
        bar.update()
        bar.set_postfix_str("drawing")
        about = {
            "voice": f"{voice.fingerprint[:12]}, speaker {voice.check_speaker(speaker)}",
            "space": f"{len(space.ids)} recordings",
            "trees": parser + origin,
            "sentence vectors": encoder + origin,
            "vocoder": arguments.vocoder,
        }
        wavs = write_demo(out, takes, voice.spec, trees, about, encoder)
        bar.update()
    for row in takes:
        console.say(f'"{row[0].choice.text}"')
        for take in row:
            entry = take.choice.entries[0] if take.choice.entries else None
            why = f'like "{entry.text}" ({entry.score:.3f})' if entry else "the mean of all recordings"
            console.say(f"  {take.choice.by:<10}{why}")
    console.say(f"trees by {parser}{origin}; sentence vectors (bert, both) by {encoder}{origin}")
    console.say(
        f"{out / 'index.html'}: open it in a browser; {len(wavs)} wavs ({time.monotonic() - started:.0f} s in all)"
    )


def open_both(space: "ProsodySpace") -> "Selector":
    """A Selector over `space` with parser and encoder; one UserError names whatever is missing of them."""
    from prosody_vae.linguistics.bert import find_encoder
    from prosody_vae.linguistics.syntax import open_parser
    from prosody_vae.selection.selector import Selector

    found, missing = {}, []
    for name, opener in (("parser", open_parser), ("encoder", find_encoder)):
        try:
            found[name] = opener()
        except UserError as error:
            missing.append(str(error))
    if missing:
        raise UserError("; ".join(missing), "a text of your own", "Without a text, `prosody demo` needs neither.")
    return Selector(space, found["encoder"], found["parser"])
