"""Measures speed: training, its input, synthesis, other runtimes; compares two runs of a benchmark."""

import argparse
from collections.abc import Iterator
from typing import Any

from copycat_jax.cli import configuration
from copycat_jax.cli.configuration import rewrite
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names

__all__ = ["add_arguments", "rewrite", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `copycat bench`."""
    kinds = parser.add_subparsers(dest="kind", metavar="{train,input,synth,export,compare,reproduce}", required=True)
    train = kinds.add_parser(
        "train", help="frames per second of one training step, and what it is made of", allow_abbrev=False
    )
    configuration.add_arguments(train)
    train.add_argument(
        "--batch", type=int, nargs="+", default=[32], metavar="B", help="rows of a batch; several are measured in turn"
    )
    train.add_argument("--frames", type=int, default=800, metavar="T", help="frames of every row (default 800)")
    train.add_argument("--phones", type=int, default=100, metavar="P", help="phonemes of every row (default 100)")
    train.add_argument("--steps", type=int, default=15, help="timed steps, each waited for (default 15)")
    train.add_argument(
        "--bare", action="store_true", help="no EMA, clipping or finite check: the work of a plain PyTorch step"
    )
    train.add_argument(
        "--costs", action="store_true", help="measure what EMA, clipping and the finite check cost, one by one"
    )
    train.add_argument("--corpus", metavar="DATA", help="also measure the input pipeline over this built corpus")
    train.add_argument(
        "--peer", default="no", metavar="SCRIPT", help="a PyTorch benchmark to run first (called with -B, -T and -n)"
    )
    inputs = kinds.add_parser("input", help="frames per second that a corpus is read at", allow_abbrev=False)
    configuration.add_arguments(inputs)
    inputs.add_argument("--corpus", metavar="DATA", required=True, help="a folder made by `copycat build`")
    inputs.add_argument(
        "--threads", type=int, nargs="+", metavar="N", help="reader threads; several are measured in turn"
    )
    inputs.add_argument(
        "--from-disk", action="store_true", help="do not hold a small corpus in memory, as training does"
    )
    inputs.add_argument("--seconds", type=float, default=3.0, help="how long each is read (default 3)")
    synth = kinds.add_parser("synth", help="seconds of audio per second of computing", allow_abbrev=False)
    synth.add_argument("--bundle", metavar="DIR", help="the trained models; those that ship by default")
    synth.add_argument("--source", metavar="WAV", help="the recording; the one of `copycat demo` by default")
    synth.add_argument("--text", help="what it says")
    synth.add_argument("--voice", help="the target; the bundle's first by default")
    synth.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())
    synth.add_argument("--repeats", type=int, default=5, help="timed transfers, after one that is not (default 5)")

    export = kinds.add_parser(
        "export", help="every runtime's difference from JAX, speed, size and cold start", allow_abbrev=False
    )
    export.add_argument("--bundle", metavar="DIR", help="the trained models; those that ship by default")
    export.add_argument("--vocoder", metavar="DIR", help="the vocoder's bundle; the one that ships by default")
    export.add_argument("--source", metavar="WAV", help="the recording; the one of `copycat demo` by default")
    export.add_argument("--text", help="what it says")
    export.add_argument("--threads", type=int, default=2, help="of a runtime's operator (default 2)")
    export.add_argument("--repeats", type=int, default=7, help="timed transfers; the quickest counts (default 7)")
    for added in (train, inputs, synth, export):
        added.add_argument("--json", action="store_true", help="JSON lines only")
        added.add_argument("--append", metavar="FILE", help="add the run to this history, see `copycat bench compare`")
    again = kinds.add_parser(
        "reproduce", help="train and evaluate what a record holds: do the same numbers come out?", allow_abbrev=False
    )
    configuration.add_arguments(again, required=False)
    again.add_argument("--corpus", metavar="DATA", help="a folder made by `copycat build`; a generated one by default")
    again.add_argument("--against", metavar="RECORD", help="compare with this record; without --config, of its own")
    again.add_argument("--record", metavar="RECORD", help="write what came out")
    again.add_argument("--run-dir", metavar="RUN", help="keep the run there (default: nowhere)")
    two = kinds.add_parser("compare", help="what changed between two runs of a benchmark", allow_abbrev=False)
    for name in ("first", "second"):
        two.add_argument(name, metavar="FILE[:N]", help="a history, of which the last run counts, or its N-th")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from copycat_jax.bench import history

    if arguments.kind == "compare":
        from copycat_jax import console

        console.say(history.compare(arguments.first, arguments.second))
        return 0
    if arguments.kind == "reproduce":
        return _reproduce(arguments)
    measure = {"train": _train, "input": _input, "synth": _synth, "export": _export}[arguments.kind]
    history.report(measure(arguments), arguments.json, arguments.append)
    return 0


def _train(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from copycat_jax.bench.peer import run_peer
    from copycat_jax.errors import UserError

    if min(arguments.batch) < 1 or arguments.steps < 1 or not 1 <= arguments.phones <= arguments.frames:
        raise UserError("sizes must be positive, and phones at most frames", "copycat bench train")
    config = configuration.load_config(arguments.config, arguments.overrides)
    # Before JAX takes the device: a peer wants its memory.
    peers = (
        [] if arguments.peer == "no" else run_peer(arguments.peer, arguments.batch, arguments.frames, arguments.steps)
    )
    for record in peers:
        yield {"bench": "peer", "peer": arguments.peer, **record}
    from copycat_jax.bench import throughput

    shapes = {
        "mel_bins": config["model"].get("mel_bins", 80),
        "speakers": config["model"].get("speakers", 4),
        "embedding": 128,
        "frame_rate_hz": 86.13,
    }
    task = configuration.load_function(config["task"])(config["model"], shapes)
    if arguments.corpus:
        yield from throughput.measure_corpus(arguments.corpus, config, [config["train"]["threads"]])
    sizes = [(rows, arguments.frames, arguments.phones) for rows in arguments.batch]
    works = throughput.works(arguments.bare, arguments.costs)
    for record in throughput.measure_training(task, config, shapes, sizes, works, arguments.steps, peers):
        yield {**record, "config": arguments.config}


def _reproduce(arguments: argparse.Namespace) -> int:
    import contextlib
    import tempfile
    from pathlib import Path

    from copycat_jax import console
    from copycat_jax.bench import reproduce
    from copycat_jax.data.plan import Share
    from copycat_jax.errors import UserError
    from copycat_jax.files import check_folder

    if arguments.overrides and not arguments.config:
        raise UserError("belongs to --config", "--set", "Name the page whose fields it overrides.")
    against = arguments.against or (None if arguments.config else reproduce.SHIPPED)
    stored = reproduce.read_record(against) if against else None
    if arguments.record:
        check_folder(Path(arguments.record).absolute().parent)
    if arguments.run_dir and any(Path(arguments.run_dir).glob("*")):
        raise UserError("is not empty", arguments.run_dir, "A reproduction begins anew: name another folder.")
    if stored is not None and not arguments.config:
        config = stored["config"]
    else:
        config = configuration.load_config(arguments.config, arguments.overrides)
    inputs = configuration.load_function(config["inputs"])(arguments.corpus, config, Share())
    task = configuration.load_function(inputs.config["task"])(inputs.config["model"], inputs.config["shapes"])
    with contextlib.ExitStack() as until_compared:
        run_dir = arguments.run_dir or until_compared.enter_context(tempfile.TemporaryDirectory())
        made = (inputs.batches, list(inputs.held_out), inputs.names, inputs.fingerprint)
        now = reproduce.measure(task, inputs.config, *made, run_dir)
    if arguments.record:
        reproduce.write_record(arguments.record, now)
        console.say(f"wrote {arguments.record}")
    if stored is None:
        return 0
    same, lines = reproduce.compare(stored, now)
    for line in lines:
        console.say(line)
    return 0 if same else 1


def _input(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from copycat_jax.bench.throughput import measure_corpus, merged
    from copycat_jax.errors import UserError

    config = configuration.load_config(arguments.config, arguments.overrides)
    threads = arguments.threads or [config["train"]["threads"]]
    if min(threads) < 0 or not 0 < arguments.seconds < 1e6:
        raise UserError("sizes must be positive", "copycat bench input", "Give 0 or more threads, and some seconds.")
    if arguments.from_disk:
        config = merged(config, {"data": {"in_memory_gib": 0.0}})
    yield from measure_corpus(arguments.corpus, config, threads, arguments.seconds)


def _synth(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from copycat_jax.bench.history import environment
    from copycat_jax.bench.throughput import measure_synthesis
    from copycat_jax.demo import CLIP, clip_text
    from copycat_jax.errors import UserError
    from copycat_jax.synthesis import load

    if arguments.repeats < 1:
        raise UserError(f"{arguments.repeats}", "--repeats", "Give a positive number.")
    if arguments.source and not arguments.text:
        raise UserError("no --text", "copycat bench synth", "Say what the recording says.")
    source = arguments.source or CLIP / "source.opus"
    text = arguments.text or clip_text()
    synthesizer = load(arguments.bundle)
    voice = arguments.voice or next(iter(synthesizer.voices))

    def transfer():
        out = synthesizer.transfer(source, text, voice, vocoder=arguments.vocoder, trim=True)
        return out.samples, out.sample_rate

    figures = measure_synthesis(transfer, arguments.repeats)
    named = {"voice": voice, "vocoder": str(arguments.vocoder)}
    yield {"bench": "synth", **environment("float32"), **named, **figures}


def _export(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import tempfile
    from pathlib import Path

    from copycat_jax import console
    from copycat_jax.bench.history import environment
    from copycat_jax.bundle.bundle import read_bundle, shipped
    from copycat_jax.cli.export import prepared_of
    from copycat_jax.errors import UserError
    from copycat_jax.export.folder import write_export
    from copycat_jax.export.formats import FORMATS, writer_of
    from copycat_jax.export.parity import check_exports, installed, table
    from copycat_jax.vocoder.harmonic import read_vocoder

    if arguments.repeats < 1 or arguments.threads < 1:
        raise UserError("sizes must be positive", "copycat bench export")
    bundle = read_bundle(arguments.bundle or shipped(), "copycat")
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    prepared = prepared_of(arguments.source, arguments.text, bundle)
    with tempfile.TemporaryDirectory() as work:
        folders = {}
        for kind in installed(FORMATS):
            files = writer_of(kind)(bundle, vocoder, prepared)
            folders[kind] = write_export(Path(work) / kind, kind, files, {})
        rows = check_exports(folders, bundle, vocoder, prepared, arguments.repeats, arguments.threads)
    if not arguments.json:
        console.say(table(rows))
    for row in rows:
        known = {name: value for name, value in row._asdict().items() if value == value}
        head = {"bench": "export", **environment("float32"), "seconds": len(prepared.mel) * bundle.spec.hop_s}
        yield {**head, **known}
