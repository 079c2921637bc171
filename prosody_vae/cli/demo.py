"""Speaks three sentences in four ways each, or a text of your own, and makes a page to hear and see them on.

The three sentences are the paper's examples; their trees and sentence vectors were recorded, so that neither a parser
nor an encoder is needed. A text of your own needs both.
"""

import argparse
import time

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.errors import UserError
from copycat_jax.files import check_folder
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody demo`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("text", nargs="?", help="a sentence of your own, instead of the three")
    parser.add_argument("--text", dest="same_text", metavar="TEXT", help="the same")
    parser.add_argument("--out", default="prosody_demo", metavar="DIR", help="where to write (default ./prosody_demo)")
    parser.add_argument("--bundle", metavar="DIR", help="the trained voice; the one that ships by default")
    parser.add_argument("--space", metavar="DIR", help="the prosody space; the one that ships by default")
    parser.add_argument("--speaker", metavar="NAME", help="a voice of the bundle; the space's own by default")
    parser.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody demo`."""
    keep_compiled()
    started = time.monotonic()
    if arguments.text is not None and arguments.same_text is not None:
        raise UserError("two texts", remedy="Give one of them.")
    text = arguments.text if arguments.same_text is None else arguments.same_text
    with console.progress_bar("demo", total=4, unit="step") as bar:
        bar.set_postfix_str("loading")
        from prosody_vae.demo.takes import DEMO_BY, DEMO_SENTENCES, open_recorded, speak_takes, write_demo
        from prosody_vae.linguistics.document import check_sentence
        from prosody_vae.reading.aloud import home_speaker
        from prosody_vae.selection.opening import open_selector
        from prosody_vae.selection.ways import WAYS
        from prosody_vae.tts.voice import open_voice

        out = check_folder(arguments.out, make=True)
        if text is not None:
            check_sentence(text)
        recorded = open_recorded() if text is None else None
        selector = open_selector(arguments.space, **(recorded.options() if recorded else {}))
        space = selector.space
        voice = open_voice(arguments.bundle, arguments.vocoder)
        space.check_bundle(voice.bundle)
        speaker = arguments.speaker if arguments.speaker else home_speaker(space, voice.speakers)
        voice.check_speaker(speaker)
        bar.update()
        bar.set_postfix_str("choosing")
        texts = list(DEMO_SENTENCES) if text is None else [text]
        try:
            used = selector.used(DEMO_BY[-1])  # it reads all that the others read
        except UserError as error:
            raise UserError(str(error), "a text of your own", "Without a text, `prosody demo` needs neither.") from None
        bar.update()
        bar.set_postfix_str("speaking")
        takes = speak_takes(voice, selector, texts, speaker=speaker)
        bar.update()
        bar.set_postfix_str("drawing")
        origin = " (recorded)" if recorded else ""
        about = {
            "voice": f"{voice.fingerprint[:12]}, speaker {voice.check_speaker(speaker)}",
            "space": f"{len(space.ids)} recordings",
            "trees": used["parser"] + origin,
            "sentence vectors": used["encoder"] + origin,
            "vocoder": arguments.vocoder,
        }
        wavs = write_demo(out, takes, voice.spec, recorded.trees if recorded else {}, about, used["encoder"])
        bar.update()
    for row in takes:
        console.say(f'"{row[0].choice.text}"')
        for take in row:
            console.say(f"  {take.choice.by:<10}{take.choice.why()}")
    readers = ", ".join(by for by in DEMO_BY if "vectors" in WAYS[by].reads)
    console.say(f"trees by {about['trees']}; sentence vectors ({readers}) by {about['sentence vectors']}")
    console.say(
        f"{out / 'index.html'}: open it in a browser; {len(wavs)} wavs ({time.monotonic() - started:.0f} s in all)"
    )
