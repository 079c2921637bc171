"""Turns a training run into a bundle: EMA weights in float16, the voices, and what they presuppose.

Voice: prosody export --run RUN --corpus DATA --out BUNDLE --voices reader
Learned selector, attached to the space it was trained on: prosody export --run SELECTOR_RUN --space SPACE
"""

import argparse

from copycat_jax import console
from copycat_jax.errors import UserError

TITLE = "VAE text-to-speech of a prosody space"
USE = "prosody build-space --bundle THIS_FOLDER --corpus DATA --out SPACE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody export`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--run", required=True, metavar="RUN", help="the run folder of `copycat train`")
    parser.add_argument("--out", metavar="BUNDLE", help="voice: the bundle to write; an older one is replaced")
    parser.add_argument("--corpus", metavar="DATA", help="voice: the built corpus with the voices and their vectors")
    parser.add_argument("--voices", metavar="A,B,C", help="voice: the speakers to offer (default: all of the corpus)")
    parser.add_argument(
        "--registers", metavar="FILE", help='voice: {"voice": Hz} where the corpus was built without F0'
    )
    parser.add_argument("--target", default="bundle", metavar="FORMAT", help="voice: what to write (default: bundle)")
    parser.add_argument("--card", metavar="FILE", help="voice: text that goes on top of MODEL_CARD.md")
    parser.add_argument("--space", metavar="SPACE", help="selector: the space it was trained on")
    parser.add_argument("--step", type=int, help="the checkpoint (default: voice the last, selector the best)")
    parser.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody export`."""
    if (arguments.space is None) == (arguments.out is None):
        raise UserError("what to write", "--out, --space", "Give --out for a voice, or --space for a learned selector.")
    if arguments.space is not None:
        return _export_selector(arguments)
    return _export_voice(arguments)


def _export_selector(arguments: argparse.Namespace) -> None:
    from prosody_vae.selection.learned import export_learned

    for flag in ("corpus", "voices", "registers", "card"):
        if getattr(arguments, flag) is not None:
            raise UserError("is for a voice", f"--{flag}", "Leave it out, or give --out instead of --space.")
    learned = export_learned(arguments.run, arguments.space, arguments.step, ema=not arguments.no_ema)
    console.say(f"{arguments.space}: learned selector of {arguments.run}, step {learned.facts['step']}")


def _export_voice(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.export import assemble_bundle, open_target, read_run, summary
    from copycat_jax.bundle.voices import read_registers, read_text, read_voices
    from prosody_vae.tts.config import VaeConfig

    target = open_target(arguments.target, arguments.out)
    preface = read_text(arguments.card) if arguments.card else ""
    registers = read_registers(arguments.registers) if arguments.registers else {}
    if arguments.corpus is None:
        raise UserError("no --corpus", remedy="Give the built corpus with the voices.")
    remedy = "Give a run of configs/prosody_vae.py; a learned selector goes to --space."
    trained = read_run(arguments.run, {"prosody_vae": VaeConfig}, not arguments.no_ema, arguments.step, remedy)
    names = arguments.voices.split(",") if arguments.voices else ()
    zeros = 0 if trained.fields["speaker"] else trained.fields["embedding"]
    speakers = read_voices(arguments.corpus, trained.spec, names, registers, zeros=zeros)
    bundle = assemble_bundle(trained, {}, speakers, title=TITLE, use=USE, preface=preface)
    console.say(summary(target.write(bundle, arguments.out), bundle, trained.step))
