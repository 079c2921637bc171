"""Turns a training run into a bundle: EMA weights in float16, the voices, and what they presuppose.

Classifier: copycat export --run SPEAKER_RUN --out SPEAKER
CopyCat: copycat export --run RUN --speaker SPEAKER --corpus DATA --out BUNDLE --voices af_heart,am_michael
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from copycat_jax import console
from copycat_jax.cli.outputs import check_folder
from copycat_jax.errors import UserError

KINDS = {"copycat_jax.models.copycat:make_task": "copycat", "copycat_jax.models.speaker:make_task": "speaker"}
TITLES = {"copycat": "CopyCat: prosody transfer between voices", "speaker": "Speaker classifier for CopyCat"}
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
    parser.add_argument("--card", metavar="FILE", help="text that goes on top of MODEL_CARD.md")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat export`."""
    from copycat_jax.bundle.bundle import check_replaceable, write_bundle
    from copycat_jax.bundle.voices import make_card, make_speaker, read_registers, read_text
    from copycat_jax.types import MelSpec

    check_folder(Path(arguments.out).absolute().parent)
    check_replaceable(arguments.out)
    preface = read_text(arguments.card) if arguments.card else ""
    kind, params, fields, config, step = _restore(arguments.run, not arguments.no_ema, arguments.step)
    spec = MelSpec.from_dict(config["mel_spec"])
    groups, sections, speakers = {kind: params}, {kind: fields}, {}
    if kind == "copycat":
        groups["speaker"], sections["speaker"], hashed = _classifier(arguments)
        if arguments.corpus is None:
            raise UserError("no --corpus", remedy="Give the built corpus with the voices.")
        from copycat_jax.corpus.corpus import open_corpus

        corpus = open_corpus(arguments.corpus)
        if corpus.spec != spec:
            raise UserError(f"mel convention '{corpus.spec.name}', the run's is '{spec.name}'", arguments.corpus)
        if hashed and corpus.vectors_hash and hashed != corpus.vectors_hash:
            remedy = "Give the one that `copycat embed` was given."
            raise UserError("its speaker vectors were made by another classifier", arguments.corpus, remedy)
        names = arguments.voices.split(",") if arguments.voices else list(corpus.speakers)
        registers = read_registers(arguments.registers) if arguments.registers else {}
        speakers = {name: make_speaker(corpus, name, registers) for name in names}
    card = preface + make_card(TITLES[kind], groups, config, step, speakers, USE)
    path = write_bundle(arguments.out, kind, groups, sections, spec, speakers, card)
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    voices = f", {len(speakers)} voices" if speakers else ""
    console.say(f"{path}: kind {kind}, step {step}, {size:.1f} MB{voices}")


def _restore(
    run_dir: str, ema: bool, step: int | None = None
) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], int]:
    """(kind, parameters, the model's fields, the run's configuration, step) of a run folder."""
    from copycat_jax.models.copycat import CopyCatConfig
    from copycat_jax.models.speaker import SpeakerConfig
    from copycat_jax.train.checkpoint import restore_params

    params, config, found = restore_params(run_dir, ema=ema, step=step)
    kind = KINDS.get(config.get("task", ""))
    if kind is None:
        raise UserError(f"a run of '{config.get('task')}' makes no bundle", run_dir, f"Known: {', '.join(KINDS)}.")
    sizes = ("mel_bins", "embedding") if kind == "copycat" else ("mel_bins", "embedding", "speakers")
    fields = config["model"] | {name: config["shapes"][name] for name in sizes}
    model = (CopyCatConfig if kind == "copycat" else SpeakerConfig).from_dict(fields)
    return kind, params["model"], json.loads(json.dumps(dataclasses.asdict(model))), config, found


def _classifier(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Parameters and fields of the speaker classifier, and its bundle's fingerprint ("" from a run)."""
    if (arguments.speaker is None) == (arguments.speaker_run is None):
        raise UserError("a CopyCat bundle needs its speaker classifier", remedy="Give --speaker or --speaker-run.")
    if arguments.speaker is not None:
        from copycat_jax.bundle.bundle import read_bundle

        bundle = read_bundle(arguments.speaker)  # every kind holds a classifier
        return bundle.params["speaker"], bundle.config["speaker"], bundle.fingerprint
    kind, params, fields, _, _ = _restore(arguments.speaker_run, ema=True)
    if kind != "speaker":
        raise UserError(f"a run of kind '{kind}'", arguments.speaker_run, "Give the classifier's run.")
    return params, fields, ""
