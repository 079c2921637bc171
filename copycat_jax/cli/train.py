"""Trains a model from a page of configs/, resuming whatever the run folder holds."""

import argparse
from collections.abc import Callable
from typing import Any

from copycat_jax.cli import configuration
from copycat_jax.cli.configuration import rewrite
from copycat_jax.data.inputs import Inputs

__all__ = ["add_arguments", "rewrite", "run"]

SYNTHETIC_UTTERANCES, SYNTHETIC_SPEAKERS, EMBEDDING = 48, 4, 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `copycat train`."""
    configuration.add_arguments(parser)
    parser.add_argument(
        "--corpus", metavar="DATA", help="a folder made by `copycat build`, or what the configuration's `inputs` reads"
    )
    parser.add_argument(
        "--synthetic", action="store_true", help="train on generated, speech-like utterances instead of a corpus"
    )
    parser.add_argument(
        "--run-dir", required=True, metavar="RUN", help="where checkpoints, metrics and events go; resumed if it exists"
    )
    parser.add_argument(
        "--max-steps", type=int, metavar="N", help="stop, saved, at step N; schedules stay those of train.steps"
    )
    parser.add_argument(
        "--force", action="store_true", help="resume although configuration, commit or data differ from the run's"
    )
    parser.add_argument("--no-tensorboard", action="store_true", help="write metrics.jsonl only")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from copycat_jax.cli.outputs import check_folder
    from copycat_jax.errors import UserError

    config = configuration.load_config(arguments.config, arguments.overrides)
    if (arguments.corpus is None) != arguments.synthetic:
        raise UserError("give either --corpus DATA or --synthetic", "copycat train")
    if arguments.max_steps is not None and arguments.max_steps < 1:
        raise UserError(f"{arguments.max_steps}", "--max-steps", "Give a positive number.")
    check_folder(arguments.run_dir, make=True)
    from copycat_jax.train import distributed

    distributed.start()  # before anything touches a device
    import jax

    from copycat_jax import console
    from copycat_jax.data.batches import open_prefetch
    from copycat_jax.train.loop import fit
    from copycat_jax.types import MelSpec

    own = config.get("inputs", "")
    if own and arguments.synthetic:
        raise UserError("this configuration reads its own kind of data", "--synthetic", "Give --corpus.")
    make = configuration.load_function(own) if own else corpus_inputs
    inputs = make(arguments.corpus, config, jax.process_index(), jax.process_count())
    config = inputs.config
    task = configuration.load_function(config["task"])(dict(config["model"]), config["shapes"])
    if jax.process_index() == 0:
        devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
        console.say(f"{task.name}: {inputs.summary}, {devices}")
    spec = MelSpec.from_dict(config["mel_spec"]) if "mel_spec" in config else None
    fit(
        task,
        config,
        inputs.batches,
        run_dir=arguments.run_dir,
        fingerprint=inputs.fingerprint,
        eval_batches=inputs.held_out,
        shapes=inputs.shapes or (),
        prefetch=lambda make, first: open_prefetch(make, first, config["train"]["threads"]),
        render=make_render(task, spec, inputs.held_out or inputs.batches) if spec else None,
        max_steps=arguments.max_steps,
        force=arguments.force,
        tensorboard=not arguments.no_tensorboard,
    )
    return 0


def corpus_inputs(path: str | None, config: dict[str, Any], process: int, processes: int) -> Inputs:
    """What most tasks train on: a built corpus, or where there is no path a generated one."""
    corpus = _open(path, config) if path else synthetic_corpus(config)
    config = resolve(config, corpus)
    batches, held_out, plan = make_inputs(config, corpus, process, processes)
    summary = (
        f"{plan.utterances} utterances, {len(corpus.speakers)} speakers, {len(plan.shapes)} shapes, "
        f"padding efficiency {plan.padding_efficiency:.3f}"
    )
    return Inputs(config, batches, held_out, plan.shapes, corpus.fingerprint, summary)


def _open(path: str, config: dict[str, Any]):
    from copycat_jax.corpus.corpus import open_corpus
    from copycat_jax.errors import UserError

    corpus = open_corpus(path)
    if config["data"]["needs_speaker_vectors"] and corpus.speaker_vectors is None:
        raise UserError(
            "has no speaker vectors", str(path), "Run `copycat embed --bundle SPEAKER --corpus DATA` first."
        )
    if config["data"].get("needs_f0") and all(s.register_hz is None for s in corpus.info.speakers.values()):
        raise UserError("was built without F0", str(path), "Build it again with --f0 pyin or --f0 dio.")
    return corpus.loaded() if corpus.mel_gib <= config["data"]["in_memory_gib"] else corpus


def synthetic_corpus(config: dict[str, Any]):
    """A small generated corpus in memory, each speaker with a vector of its own."""
    import numpy as np

    from copycat_jax.corpus.corpus import memory_corpus
    from copycat_jax.data.synthetic import synthetic_utterances
    from copycat_jax.types import HIFIGAN

    longest = min(3.0, config["data"]["max_seconds"])
    utterances = synthetic_utterances(
        SYNTHETIC_UTTERANCES, HIFIGAN, speakers=SYNTHETIC_SPEAKERS, seconds=(longest / 3, longest * 0.99)
    )
    names = sorted({u.speaker for u in utterances})
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((len(names), EMBEDDING))
    vectors = np.stack([voices[names.index(u.speaker)] + 0.1 * rng.standard_normal(EMBEDDING) for u in utterances])
    return memory_corpus(utterances, HIFIGAN, (vectors / EMBEDDING**0.5).astype(np.float32))


def resolve(config: dict[str, Any], corpus: Any) -> dict[str, Any]:
    """The configuration with what the data decides: sections shapes, mel_spec and speakers."""
    width = EMBEDDING if corpus.speaker_vectors is None else int(corpus.speaker_vectors.shape[1])
    shapes = {
        "mel_bins": corpus.spec.mel_bins,
        "speakers": len(corpus.speakers),
        "embedding": width,
        "frame_rate_hz": corpus.spec.frame_rate_hz,
    }
    return {**config, "shapes": shapes, "mel_spec": corpus.spec.to_dict(), "speakers": list(corpus.speakers)}


def make_inputs(
    config: dict[str, Any], corpus: Any, process: int, processes: int
) -> tuple[Callable, Callable | None, Any]:
    """(step -> batch, index -> held-out batch or None, plan) of a configuration over a corpus.

    Raises:
      UserError: nothing is left of the corpus, or a batch cannot be shared by the processes.
    """
    import numpy as np

    from copycat_jax.data.batches import make_batches, make_evaluation
    from copycat_jax.data.plan import held_out, make_batch_plan, rows_of
    from copycat_jax.errors import UserError

    data, seed = config["data"], config["train"]["seed"]
    seconds = corpus.lengths / corpus.spec.frame_rate_hz
    usable = (seconds <= data["max_seconds"]) & (seconds >= data["min_seconds"])
    out = held_out(corpus.text_hashes, data["held_out"]) & usable
    chosen = np.flatnonzero(usable & ~out)
    if len(chosen) == 0:
        raise UserError(
            f"no utterance between {data['min_seconds']} and {data['max_seconds']} s is left",
            "data",
            "Change data.max_seconds or data.held_out.",
        )
    sizes: dict[str, Any] = {
        "buckets": data["buckets"],
        "multiple_of": data["multiple_of"],
        "rows_multiple": data["rows_multiple"],
    }
    sizes |= {"batch_size": data["batch_size"]} if data["batch_size"] else {"batch_frames": data["batch_frames"]}
    plan = make_batch_plan(
        corpus.lengths,
        corpus.phones,
        indices=chosen,
        speakers=corpus.speaker,
        balance=data["balance_speakers"],
        **sizes,
    )
    width = config["shapes"]["embedding"]
    batches = make_batches(corpus, plan, seed, process, processes, embedding=width)
    if not out.any() or not config["train"]["eval_every"]:
        return batches, None, plan
    evaluation_plan = make_batch_plan(
        corpus.lengths, corpus.phones, indices=np.flatnonzero(out), **{**sizes, "buckets": min(4, data["buckets"])}
    )
    makers = make_evaluation(corpus, evaluation_plan, pool=chosen, embedding=width)

    def evaluation(index: int):
        batch, _ = makers[index % len(makers)]()
        return type(batch)(*(rows_of(x, process, processes) for x in batch))

    return batches, evaluation, plan


def make_render(task: Any, spec: Any, batches: Callable[[int], Any]) -> Callable[[int, Any], dict[str, Any]]:
    """(step, params) -> pictures and sounds of one utterance: target, from its own embedding, from the centroid."""
    from copycat_jax.batch import Batch

    def render(step: int, params: Any) -> dict[str, Any]:
        import jax
        import numpy as np

        from copycat_jax.audio.pitch import track_f0
        from copycat_jax.plots import training_figure
        from copycat_jax.vocoder.griffin_lim import griffin_lim

        row = Batch(*(np.asarray(x)[:1] for x in batches(0)))
        frames = int(row.mask.sum())
        synthesize = jax.jit(task.synthesize)
        mels = {
            "target": row.mel[0, :frames],
            "own embedding": np.asarray(synthesize(params, row))[0, :frames],
            "centroid": np.asarray(synthesize(params, row._replace(speaker_vector=row.centroid)))[0, :frames],
        }
        sounds = {name: np.asarray(griffin_lim(mel[None], spec))[0] for name, mel in mels.items()}
        hop_s = spec.hop_samples / spec.sample_rate
        f0_hz = {name: track_f0(samples, spec.sample_rate, frames, hop_s) for name, samples in sounds.items()}
        items: dict[str, Any] = {"reconstruction": training_figure(mels, f0_hz, spec, f"step {step}")}
        return items | {
            f"audio/{name}": (0.95 * s / max(1e-3, np.abs(s).max()), spec.sample_rate) for name, s in sounds.items()
        }

    return render
