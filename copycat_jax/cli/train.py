"""Trains a model from a page of configs/, resuming whatever the run folder holds."""

import argparse
import functools
import time

from copycat_jax.cli import configuration
from copycat_jax.cli.configuration import rewrite

__all__ = ["add_arguments", "rewrite", "run"]


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
        "--run-dir", metavar="RUN", help="where checkpoints, metrics and events go; resumed if it exists"
    )
    parser.add_argument(
        "--max-steps", type=int, metavar="N", help="stop, saved, at step N; schedules stay those of train.steps"
    )
    parser.add_argument(
        "--force", action="store_true", help="resume although configuration, code or data differ from the run's"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="train nothing: say what it would take on machines that are not there"
    )
    parser.add_argument("--devices", type=int, metavar="N", help="--dry-run: on so many devices")
    parser.add_argument(
        "--topology", metavar="KIND", help="--dry-run: h100:32x8 (hosts x devices), v5p-512; h100 hosts by default"
    )
    parser.add_argument("--no-tensorboard", action="store_true", help="write metrics.jsonl only")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    began = time.time()
    from copycat_jax.errors import UserError
    from copycat_jax.signals import Stopped
    from copycat_jax.train.outcomes import code_of

    if (arguments.corpus is None) != arguments.synthetic:
        raise UserError("give either --corpus DATA or --synthetic", "copycat train")
    if arguments.max_steps is not None and arguments.max_steps < 1:
        raise UserError(f"{arguments.max_steps}", "--max-steps", "Give a positive number.")
    if arguments.dry_run:
        return _dry_run(arguments, configuration.load_config(arguments.config, arguments.overrides))
    if arguments.devices or arguments.topology:
        raise UserError("belong to --dry-run", "--devices, --topology", "A run takes the devices that it finds.")
    if arguments.run_dir is None:
        raise UserError("no --run-dir", "copycat train", "Say where checkpoints and metrics go.")
    try:
        from copycat_jax.train import distributed

        with distributed.joined():  # first: what one host alone finds wrong ends the others too
            return _train(arguments, began)
    except Stopped as stop:
        if not stop.second:  # there is nothing to save yet
            stop.code = code_of(stop.number)
        raise


def _train(arguments: argparse.Namespace, began: float) -> int:
    import jax

    from copycat_jax import console
    from copycat_jax.data.batches import open_prefetch
    from copycat_jax.data.plan import Share
    from copycat_jax.files import check_folder
    from copycat_jax.plots import training_renderer
    from copycat_jax.train import watchdog
    from copycat_jax.train.config import TrainConfig
    from copycat_jax.train.loop import exit_code, fit
    from copycat_jax.train.outcomes import FINISHED

    check_folder(arguments.run_dir, make=True)
    config = configuration.load_config(arguments.config, arguments.overrides)
    settings = TrainConfig.from_dict(config["train"])
    watchdog.limit(settings.stall_s, settings.start_s)
    open_inputs = configuration.load_function(config["inputs"])
    share = Share(jax.process_index(), jax.process_count(), jax.device_count() * settings.accumulate)
    inputs = open_inputs(arguments.corpus, config, share)
    config = inputs.config
    task = configuration.load_function(config["task"])(config["model"], config["shapes"])
    if jax.process_index() == 0:
        devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
        console.say(f"{task.name}: {inputs.summary}, {devices}")
    shown = inputs.held_out[0] if inputs.held_out else functools.partial(inputs.batches, 0)
    state = fit(
        task,
        config,
        inputs.batches,
        run_dir=arguments.run_dir,
        fingerprint=inputs.fingerprint,
        held_out=inputs.held_out,
        shapes=inputs.shapes or (),
        prefetch=lambda make, first: open_prefetch(make, first, config["train"]["threads"]),
        render=training_renderer(task, config, shown),
        max_steps=arguments.max_steps,
        force=arguments.force,
        tensorboard=not arguments.no_tensorboard,
        names=inputs.names,
        epoch_steps=sum(inputs.epoch_steps) or None,
        began=began,
    )
    code = exit_code(state, config, arguments.max_steps)
    if code == FINISHED and jax.process_index() == 0:
        console.say(_what_next(config, arguments.run_dir, int(jax.device_get(state.step))))
    return code


def _what_next(config: configuration.Fields, run_dir: str, step: int) -> str:
    """Where a run has come to that nothing stopped, and what can be done with it."""
    from copycat_jax.train.checkpoint import best_step

    best, loss = best_step(run_dir)
    lowest = f"; the held-out loss is lowest at step {best:,}: {loss:.4g}" if best is not None else ""
    if step < config["train"]["steps"]:
        following = f"go on to step {config['train']['steps']:,} without --max-steps"
    else:
        program = "prosody" if config["task"].startswith("prosody_vae.") else "copycat"
        following = f"{program} export --run {run_dir}, see its --help"
    return f"step {step:,} is saved in {run_dir}{lowest}. Next: {following}"


def _dry_run(arguments: argparse.Namespace, config: configuration.Fields) -> int:
    from copycat_jax.train.topology import parse_topology

    topology = parse_topology(arguments.topology, arguments.devices)
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", topology.devices)
    from copycat_jax import console
    from copycat_jax.data.plan import Share
    from copycat_jax.train import forecast
    from copycat_jax.train.config import TrainConfig

    share = Share(devices=topology.devices * TrainConfig.from_dict(config["train"]).accumulate)
    inputs = configuration.load_function(config["inputs"])(arguments.corpus, config, share)
    config = inputs.config
    task = configuration.load_function(config["task"])(config["model"], config["shapes"])
    console.say(f"{task.name}: {inputs.summary}")
    found = forecast.forecast(task, config, inputs.batches(0), topology, inputs.shapes or (), inputs.epoch_steps)
    console.say(forecast.page(found))
    return 0
