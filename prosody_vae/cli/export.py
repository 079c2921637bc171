"""Turns a training run into a bundle: EMA weights in float16, the voices, and what they presuppose.

Voice: prosody export --run RUN --corpus DATA --out BUNDLE --voices reader
Learned selector, attached to the space it was trained on: prosody export --run SELECTOR_RUN --space SPACE
"""

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from copycat_jax.bundle.bundle import Speaker

TASK = "prosody_vae.tts.model:make_task"
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
    from copycat_jax.bundle.bundle import check_replaceable, write_bundle
    from copycat_jax.bundle.voices import make_card, read_registers, read_text
    from copycat_jax.corpus.corpus import open_corpus
    from copycat_jax.types import MelSpec

    check_replaceable(arguments.out)
    preface = read_text(arguments.card) if arguments.card else ""
    registers = read_registers(arguments.registers) if arguments.registers else {}
    if arguments.corpus is None:
        raise UserError("no --corpus", remedy="Give the built corpus with the voices.")
    params, fields, config, step = _restore(arguments.run, not arguments.no_ema, arguments.step)
    spec, corpus = MelSpec.from_dict(config["mel_spec"]), open_corpus(arguments.corpus)
    if corpus.spec != spec:
        remedy = "Give a corpus built with the run's --spec."
        raise UserError(f"mel convention '{corpus.spec.name}', the run's is '{spec.name}'", arguments.corpus, remedy)
    names = arguments.voices.split(",") if arguments.voices else list(corpus.speakers)
    speakers = _speakers(corpus, names, registers, fields)
    card = preface + make_card(TITLE, {"prosody_vae": params}, config, step, speakers, USE)
    groups, sections = {"prosody_vae": params}, {"prosody_vae": fields}
    path = write_bundle(arguments.out, "prosody_vae", groups, sections, spec, speakers, card)
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    console.say(f"{path}: kind prosody_vae, step {step}, {size:.1f} MB, {len(speakers)} voices")


def _restore(run_dir: str, ema: bool, step: int | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]:
    """(parameters, the model's fields, the run's configuration, step) of a run folder."""
    from copycat_jax.train.checkpoint import restore_params
    from prosody_vae.tts.model import VaeConfig

    params, config, found = restore_params(run_dir, ema=ema, step=step)
    if config.get("task") != TASK:
        remedy = "Give a run of configs/prosody_vae.py; a learned selector goes to --space."
        raise UserError(f"a run of '{config.get('task')}' makes no voice", run_dir, remedy)
    model = VaeConfig.from_dict(config["model"] | {name: config["shapes"][name] for name in ("mel_bins", "embedding")})
    return params["model"], json.loads(json.dumps(dataclasses.asdict(model))), config, found


def _speakers(
    corpus: Any, names: list[str], registers: dict[str, float], fields: dict[str, Any]
) -> dict[str, "Speaker"]:
    """The voices by name; a model that hears no speaker vector gets zeros where the corpus has none."""
    import numpy as np

    from copycat_jax.bundle.voices import make_speaker

    if not fields["speaker"] and corpus.speaker_vectors is None:
        zeros = np.zeros((len(corpus), fields["embedding"]), np.float32)
        corpus = dataclasses.replace(corpus, speaker_vectors=zeros)
    return {name: make_speaker(corpus, name, registers) for name in names}
