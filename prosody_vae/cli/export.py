"""Turns a training run into a bundle, and a voice's bundle into what other runtimes read.

A run (the word `bundle` may be left out):
  voice: prosody export bundle --run RUN --corpus DATA --out BUNDLE --voices reader
  learned selector, attached to the space it was trained on: prosody export bundle --run SELECTOR_RUN --space SPACE
A voice's bundle, the one that ships by default, for runtimes without JAX and without this package:
  prosody export onnx --out FOLDER
  prosody export onnx --for sherpa --out FOLDER
  prosody export stablehlo --out FOLDER
  prosody export torch --out FOLDER
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from copycat_jax import console
from copycat_jax.command_line import add_kinds, with_kind
from copycat_jax.errors import UserError

TITLE = "VAE text-to-speech of a prosody space"
USE = "prosody build-space --bundle THIS_FOLDER --corpus DATA --out SPACE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody export`."""
    add_kinds(parser, KINDS)


def rewrite(arguments: Iterable[str]) -> list[str]:
    """Puts the word `bundle` where none says what is to be made."""
    return with_kind(arguments, "bundle")


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody export`."""
    KINDS[arguments.kind][2](arguments)


def _declare_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", required=True, metavar="RUN", help="the run folder of `copycat train`")
    parser.add_argument("--out", metavar="BUNDLE", help="voice: the bundle to write; an older one is replaced")
    parser.add_argument("--corpus", metavar="DATA", help="voice: the built corpus with the voices and their vectors")
    parser.add_argument("--voices", metavar="A,B,C", help="voice: the speakers to offer (default: all of the corpus)")
    parser.add_argument(
        "--registers", metavar="FILE", help='voice: {"voice": Hz} where the corpus was built without F0'
    )
    parser.add_argument("--card", metavar="FILE", help="voice: text that goes on top of MODEL_CARD.md")
    parser.add_argument("--space", metavar="SPACE", help="selector: the space it was trained on")
    parser.add_argument("--step", type=int, help="the checkpoint (default: voice the last, selector the best)")
    parser.add_argument("--no-ema", action="store_true", help="take the last weights, not their moving average")


def _run_bundle(arguments: argparse.Namespace) -> None:
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
    from copycat_jax.bundle.bundle import check_replaceable
    from copycat_jax.bundle.export import assemble_bundle, read_run, summary, write_assembled
    from copycat_jax.bundle.voices import read_registers, read_text, read_voices
    from prosody_vae.tts.config import VaeConfig

    check_replaceable(arguments.out)
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
    console.say(summary(write_assembled(bundle, arguments.out), bundle, trained.step))


def _declare_voice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", metavar="DIR", help="the voice; the one that ships by default")
    parser.add_argument("--vocoder", metavar="DIR", help="the vocoder's bundle; the one that ships by default")
    parser.add_argument("--space", metavar="DIR", help="where styles are from; the one that ships by default")
    parser.add_argument("--entries", metavar="ID,ID", help="its entries to offer beside its centroid (default: a few)")
    parser.add_argument("--text", action="append", metavar="TEXT", help="a sentence for the example; repeatable")
    parser.add_argument("--no-check", dest="check", action="store_false", help="do not compare it with JAX")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write; an older one is replaced")


def _declare_onnx(parser: argparse.ArgumentParser) -> None:
    _declare_voice(parser)
    parser.add_argument(
        "--for", dest="runtime", choices=("sherpa",), help="one graph that a stock sherpa-onnx loads, with a lexicon"
    )
    parser.add_argument("--speaker", metavar="NAME", help="sherpa: who speaks; the bundle's first by default")


def _run_voice(arguments: argparse.Namespace) -> None:
    from copycat_jax.export.folder import check_export_folder, write_export
    from copycat_jax.files import check_folder
    from prosody_vae.export.parity import writer_of

    kind, write = writer_of(arguments.kind)
    check_folder(Path(arguments.out).absolute().parent)
    check_export_folder(arguments.out)
    from copycat_jax.bundle.bundle import read_bundle
    from copycat_jax.vocoder.harmonic import read_vocoder
    from prosody_vae.demo.takes import DEMO_SENTENCES
    from prosody_vae.space.table import KIND
    from prosody_vae.tts.voice import SHIPPED_VOICE

    bundle = read_bundle(arguments.bundle or SHIPPED_VOICE, KIND)
    vocoder, styles = read_vocoder(bundle.spec, arguments.vocoder), _styles(arguments, bundle)
    if getattr(arguments, "runtime", None) == "sherpa":
        from copycat_jax.text.pronunciation import dictionary
        from prosody_vae.export.sherpa import sherpa_files

        kind, files = "sherpa", sherpa_files(bundle, vocoder, styles, dictionary(), arguments.speaker)
    else:
        files = write(bundle, vocoder, styles, arguments.text or DEMO_SENTENCES)
    if arguments.check:
        files["README.md"] += _compared(kind, files, bundle, vocoder).encode()
    made = {"prosody_vae": bundle.fingerprint, "vocoder": vocoder.fingerprint}
    path = write_export(arguments.out, kind, files, made)
    console.say(f"{path}: {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB")


def _compared(kind: str, files: dict[str, bytes], bundle, vocoder) -> str:
    """What the README says of the comparison with JAX, where the runtime is installed; UserError if they differ."""
    from copycat_jax.export.folder import Export, write_export
    from copycat_jax.export.parity import table
    from prosody_vae.export.parity import check_voice, runs_here

    if not runs_here(kind):
        console.warn(f"{kind}: its runtime is not installed, so that nothing was compared with JAX")
        return ""
    with tempfile.TemporaryDirectory() as work:
        folder = write_export(Path(work) / kind, kind, files, {})
        shown = table([check_voice(Export(kind, {}, folder), bundle, vocoder)])
    console.say(shown)
    return f"\n## The same model\n\nAgainst JAX:\n\n{shown}\n"


def _styles(arguments: argparse.Namespace, bundle):
    from prosody_vae.export.onnx_folder import styles_of
    from prosody_vae.space.files import open_space, shipped_space

    space = open_space(arguments.space or shipped_space())
    if space.info.bundle != bundle.fingerprint:
        what = "its embeddings are of another voice"
        raise UserError(what, space.path or "the space that ships", "Give the space that `build-space` made with it.")
    return styles_of(space, arguments.entries.split(",") if arguments.entries else ())


KINDS = {
    "bundle": ("a run as a bundle of ours (what is made if nothing is named)", _declare_bundle, _run_bundle),
    "onnx": ("a voice as ONNX graphs, with an example that needs NumPy and onnxruntime", _declare_onnx, _run_voice),
    "stablehlo": ("a voice as programs that JAX runs without this package", _declare_voice, _run_voice),
    "torch": ("a voice's weights for PyTorch, with the modules that load them", _declare_voice, _run_voice),
}
