"""Turns a training run into a bundle, and a bundle into what other runtimes read.

A run, its EMA weights in float16 with voices and all that they presuppose (the word `bundle` may be left out):
  copycat export bundle --run SPEAKER_RUN --out SPEAKER
  copycat export bundle --run VOCODER_RUN --out VOCODER
  copycat export bundle --run RUN --speaker SPEAKER --corpus DATA --out BUNDLE --voices af_heart,am_michael
A bundle, the one that ships by default, for runtimes without JAX and without this package:
  copycat export onnx --out FOLDER
  copycat export stablehlo --out FOLDER
  copycat export torch --out FOLDER
  copycat export source RECORDING --text "What it says." --out source.npz
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from copycat_jax import console
from copycat_jax.command_line import add_kinds, with_kind
from copycat_jax.errors import UserError
from copycat_jax.files import check_folder

TITLES = {
    "copycat": "CopyCat: prosody transfer between voices",
    "baseline": "Prosody transfer between voices by features of each phone (CopyCat's baseline)",
    "speaker": "Speaker classifier for CopyCat",
    "vocoder": "Vocoder: log-mels to sound",
}
USE = "copycat transfer SOURCE --text ... --voice NAME --out OUT.wav --bundle THIS_FOLDER"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat export`."""
    add_kinds(parser, KINDS)


def rewrite(arguments: Iterable[str]) -> list[str]:
    """Puts the word `bundle` where none says what is to be made."""
    return with_kind(arguments, "bundle")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat export`."""
    KINDS[arguments.kind][2](arguments)


# --- Our own bundles, of runs.


def _declare_bundle(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--hear",
        action="store_true",
        help="CopyCat: measure registers by the vocoder that ships; recordings without hum",
    )
    parser.add_argument("--step", type=int, help="the checkpoint (default: the last)")
    parser.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")
    parser.add_argument("--card", metavar="FILE", help="text that goes on top of MODEL_CARD.md")


def _run_bundle(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.bundle import check_replaceable
    from copycat_jax.bundle.export import assemble_bundle, read_run, summary, write_assembled
    from copycat_jax.bundle.speaker_vectors import read_classifier
    from copycat_jax.bundle.voices import read_registers, read_text, read_voices
    from copycat_jax.corpus.corpus import open_corpus
    from copycat_jax.models.baseline import BaselineConfig
    from copycat_jax.models.copycat import CopyCatConfig
    from copycat_jax.models.speaker import SpeakerConfig
    from copycat_jax.models.vocoder import VocoderConfig
    from copycat_jax.programs import TRANSFERS
    from copycat_jax.vocoder.hearing import hear_speakers

    check_folder(Path(arguments.out).absolute().parent)
    check_replaceable(arguments.out)
    preface = read_text(arguments.card) if arguments.card else ""
    configs = {"copycat": CopyCatConfig, "baseline": BaselineConfig}
    configs |= {"speaker": SpeakerConfig, "vocoder": VocoderConfig}
    trained = read_run(arguments.run, configs, not arguments.no_ema, arguments.step)
    parts, speakers = {}, {}
    if trained.task in TRANSFERS:
        if (arguments.speaker is None) == (arguments.speaker_run is None):
            raise UserError(
                f"a bundle of kind '{trained.task}' needs its speaker classifier",
                remedy="Give --speaker or --speaker-run.",
            )
        classifier = read_classifier(arguments.speaker or arguments.speaker_run)
        if trained.config.get("vectors_by", classifier.hash) not in ("", classifier.hash):
            what = "the run was trained on the speaker vectors of another classifier"
            raise UserError(what, arguments.speaker or arguments.speaker_run, "Give the one of `copycat embed` then.")
        parts["speaker"] = classifier.params, classifier.fields
        if arguments.corpus is None:
            raise UserError("no --corpus", remedy="Give the built corpus with the voices.")
        names = arguments.voices.split(",") if arguments.voices else ()
        registers = read_registers(arguments.registers) if arguments.registers else {}
        heard = hear_speakers(open_corpus(arguments.corpus), names) if arguments.hear else {}
        speakers = read_voices(arguments.corpus, trained.spec, names, registers, heard, made_by=classifier.hash)
    bundle = assemble_bundle(trained, parts, speakers, title=TITLES[trained.task], use=USE, preface=preface)
    console.say(summary(write_assembled(bundle, arguments.out), bundle, trained.step))


# --- Other runtimes, of bundles.


def _declare_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", metavar="DIR", help="the trained models; those that ship by default")
    parser.add_argument("--vocoder", metavar="DIR", help="the vocoder's bundle; the one that ships by default")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write; an older one is replaced")
    parser.add_argument("--source", metavar="WAV", help="the example's recording; the one of `copycat demo` by default")
    parser.add_argument("--text", help="what it says")
    parser.add_argument("--no-check", dest="check", action="store_false", help="do not compare it with JAX")


def _declare_stablehlo(parser: argparse.ArgumentParser) -> None:
    _declare_models(parser)
    parser.add_argument("--weights-apart", action="store_true", help="in files of their own, given with every call")


def _run_models(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.bundle import read_bundle, shipped
    from copycat_jax.export.folder import check_export_folder, write_export
    from copycat_jax.export.formats import writer_of
    from copycat_jax.vocoder.harmonic import read_vocoder

    options = {"apart": True} if getattr(arguments, "weights_apart", False) else {}
    write = writer_of(arguments.kind, **options)
    check_folder(Path(arguments.out).absolute().parent)
    check_export_folder(arguments.out)
    bundle = read_bundle(arguments.bundle or shipped(), "copycat")
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    prepared = prepared_of(arguments.source, arguments.text, bundle)
    files = write(bundle, vocoder, prepared)
    if arguments.check:
        files["README.md"] += _compared(arguments.kind, files, bundle, vocoder, prepared).encode()
    made = {"copycat": bundle.fingerprint, "vocoder": vocoder.fingerprint}
    path = write_export(arguments.out, arguments.kind, files, made)
    console.say(f"{path}: {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB")


def _compared(kind: str, files: dict[str, bytes], bundle, vocoder, prepared) -> str:
    """What the README says of the comparison with JAX, where the runtime is installed; UserError if they differ."""
    from copycat_jax.export.folder import write_export
    from copycat_jax.export.parity import check_exports, installed, table

    if not installed([kind]):
        console.warn(f"{kind}: its runtime is not installed, so that nothing was compared with JAX")
        return ""
    with tempfile.TemporaryDirectory() as work:
        folder = write_export(Path(work) / kind, kind, files, {})
        shown = table(check_exports({kind: folder}, bundle, vocoder, prepared))
    console.say(shown)
    return f"\n## The same model\n\nAgainst JAX, with the recording of source.npz:\n\n{shown}\n"


# --- A recording.


def _declare_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RECORDING", help="the recording, of at most ten seconds")
    parser.add_argument("--text", required=True, help="what it says")
    parser.add_argument("--bundle", metavar="DIR", help="for whose mel convention; the one that ships by default")
    parser.add_argument("--out", required=True, metavar="OUT.npz", help="where to write")


def _run_source(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.bundle import read_bundle, shipped
    from copycat_jax.export.prepared import prepared_bytes
    from copycat_jax.files import check_file, replacing_file

    out = check_file(arguments.out, ".npz", (arguments.source,))
    prepared = prepared_of(arguments.source, arguments.text, read_bundle(arguments.bundle or shipped(), "copycat"))
    with replacing_file(out) as path:
        path.write_bytes(prepared_bytes(prepared))
    console.say(f"{out}: {len(prepared.mel)} frames, {len(prepared.phonemes)} phonemes")


def prepared_of(recording: str | None, text: str | None, bundle):
    """A recording made ready, the one of `copycat demo` if none is given."""
    from copycat_jax.demo import CLIP, clip_text
    from copycat_jax.export.prepared import prepare_recording
    from copycat_jax.source import tracker_of

    if (recording is None) != (text is None):
        raise UserError("a recording and what it says go together", "--source, --text", "Give both, or neither.")
    tracker = tracker_of(bundle.speakers)
    return prepare_recording(recording or CLIP / "source.opus", text or clip_text(), bundle.spec, tracker)


KINDS = {
    "bundle": ("a run as a bundle of ours (what is made if nothing is named)", _declare_bundle, _run_bundle),
    "onnx": ("a bundle as ONNX graphs, with an example that needs NumPy and onnxruntime", _declare_models, _run_models),
    "stablehlo": ("a bundle as programs that JAX runs without this package", _declare_stablehlo, _run_models),
    "torch": ("a bundle's weights for PyTorch, with the module that loads them", _declare_models, _run_models),
    "source": ("a recording made ready for the examples of an export", _declare_source, _run_source),
}
