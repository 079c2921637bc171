"""Turns a training run into a bundle: EMA weights in float16, the voices, and what they presuppose.

Classifier: copycat export --run SPEAKER_RUN --out SPEAKER
Vocoder: copycat export --run VOCODER_RUN --out VOCODER
CopyCat: copycat export --run RUN --speaker SPEAKER --corpus DATA --out BUNDLE --voices af_heart,am_michael
"""

import argparse
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.files import check_folder

TITLES = {
    "copycat": "CopyCat: prosody transfer between voices",
    "speaker": "Speaker classifier for CopyCat",
    "vocoder": "Vocoder: log-mels to sound",
}
USE = "copycat transfer SOURCE --text ... --voice NAME --out OUT.wav --bundle THIS_FOLDER"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat export`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--run", required=True, metavar="RUN", help="the run folder of `copycat train`")
    parser.add_argument("--out", required=True, metavar="BUNDLE", help="the bundle to write; an older one is replaced")
    parser.add_argument(
        "--speaker", metavar="BUNDLE", help="CopyCat: the speaker classifier's bundle, or a CopyCat one that holds it"
    )
    parser.add_argument(
        "--speaker-run", metavar="RUN", help="CopyCat: the speaker classifier's run, instead of --speaker"
    )
    parser.add_argument("--corpus", metavar="DATA", help="CopyCat: the built corpus with the voices and their vectors")
    parser.add_argument("--voices", metavar="A,B,C", help="CopyCat: the speakers to offer (default: all of the corpus)")
    parser.add_argument(
        "--registers", metavar="FILE", help='CopyCat: {"voice": Hz} where the corpus was built without F0'
    )
    parser.add_argument("--step", type=int, help="the checkpoint (default: the last)")
    parser.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")
    parser.add_argument("--target", default="bundle", metavar="FORMAT", help="what to write (default: bundle)")
    parser.add_argument("--card", metavar="FILE", help="text that goes on top of MODEL_CARD.md")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat export`."""
    from copycat_jax.bundle.export import assemble_bundle, open_target, read_run, summary
    from copycat_jax.bundle.speaker_vectors import read_classifier
    from copycat_jax.bundle.voices import read_registers, read_text, read_voices
    from copycat_jax.models.copycat import CopyCatConfig
    from copycat_jax.models.speaker import SpeakerConfig
    from copycat_jax.models.vocoder import VocoderConfig

    check_folder(Path(arguments.out).absolute().parent)
    target = open_target(arguments.target, arguments.out)
    preface = read_text(arguments.card) if arguments.card else ""
    configs = {"copycat": CopyCatConfig, "speaker": SpeakerConfig, "vocoder": VocoderConfig}
    trained = read_run(arguments.run, configs, not arguments.no_ema, arguments.step)
    parts, speakers = {}, {}
    if trained.task == "copycat":
        if (arguments.speaker is None) == (arguments.speaker_run is None):
            raise UserError("a CopyCat bundle needs its speaker classifier", remedy="Give --speaker or --speaker-run.")
        classifier = read_classifier(arguments.speaker or arguments.speaker_run)
        if trained.config.get("vectors_by", classifier.hash) not in ("", classifier.hash):
            what = "the run was trained on the speaker vectors of another classifier"
            raise UserError(what, arguments.speaker or arguments.speaker_run, "Give the one of `copycat embed` then.")
        parts["speaker"] = classifier.params, classifier.fields
        if arguments.corpus is None:
            raise UserError("no --corpus", remedy="Give the built corpus with the voices.")
        names = arguments.voices.split(",") if arguments.voices else ()
        registers = read_registers(arguments.registers) if arguments.registers else {}
        speakers = read_voices(arguments.corpus, trained.spec, names, registers, made_by=classifier.hash)
    bundle = assemble_bundle(trained, parts, speakers, title=TITLES[trained.task], use=USE, preface=preface)
    console.say(summary(target.write(bundle, arguments.out), bundle, trained.step))
