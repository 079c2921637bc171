"""How fast training and synthesis go. Figures, not tests: nothing here passes or fails."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from copycat_jax.batch import Batch
from copycat_jax.bench.flops import matmul_ceiling
from copycat_jax.bench.history import environment
from copycat_jax.records import allocate
from copycat_jax.task import Task
from copycat_jax.train.flops import count_flops
from copycat_jax.train.trainer import Trainer

# What a peer's plain training step does not do. With all three off, our step does its work and no more.
BARE: dict[str, dict[str, Any]] = {
    "optimizer": {"clip_norm": 0.0, "schedule": "constant", "warmup_steps": 0},
    "train": {"ema_decay": 0.0, "guard": False},
}
COSTS: dict[str, dict[str, dict[str, Any]]] = {
    "clipping": {"optimizer": {"clip_norm": 1.0}},
    "ema": {"train": {"ema_decay": 0.999}},
    "guard": {"train": {"guard": True}},
}


def merged(config: dict[str, Any], *changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`config` with fields of its sections replaced."""
    out = dict(config)
    for change in changes:
        out |= {section: {**out.get(section, {}), **fields} for section, fields in change.items()}
    return out


def full_batch(
    rows: int, frames: int, phones: int, mel_bins: int = 80, speakers: int = 4, embedding: int = 128
) -> Batch:
    """A random batch without any padding: every row `frames` long, of `phones` phonemes."""
    rng = np.random.default_rng(0)
    edges = np.round(np.linspace(0, frames, phones + 1)).astype(np.int32)
    vectors = rng.standard_normal((3, rows, embedding)).astype(np.float32)
    sizes = {"B": rows, "T": frames, "P": phones, "M": mel_bins, "E": embedding}
    return allocate(
        Batch,
        sizes,
        index=np.arange(rows, dtype=np.int32),
        mel=(2.0 * rng.standard_normal((rows, frames, mel_bins)) - 5.0).astype(np.float32),
        mask=np.ones((rows, frames), bool),
        phonemes=rng.integers(3, 72, (rows, phones)).astype(np.int32),
        phoneme_mask=np.ones((rows, phones), bool),
        durations=np.tile(np.diff(edges), (rows, 1)).astype(np.int32),
        breaks=np.tile(np.arange(phones) % 4 == 3, (rows, 1)).astype(np.int32),
        f0_hz=np.full((rows, frames), 150.0, np.float32),
        speaker=rng.integers(0, speakers, rows).astype(np.int32),
        speaker_vector=vectors[0],
        other_vector=vectors[1],
        centroid=vectors[2],
    )


def measure_step(task: Task, config: dict[str, Any], batch: Batch, steps: int = 15, warmup: int = 3) -> dict[str, Any]:
    """Compiles and times the training step of a configuration on one batch.

    Returns:
      step_ms: median of `steps` steps, each waited for; frames_per_s from it (real frames).
      pipelined_step_ms: the same steps waited for once, at the end, as the training loop runs them.
      compile_s, params; model_gflop: matrix products and convolutions of one step, in 10^9; xla_gflop: the compiler's
      own count (loop bodies once); peak_gib: of device memory, or where the device does not tell, as compiled.
    """
    trainer = Trainer(task, config, batch)
    with jax.set_mesh(trainer.mesh):
        state, metrics, rows = trainer.init(), trainer.metrics(), trainer.put(batch)
        flops = count_flops(trainer.step_function, trainer.abstract, metrics, rows)
        step, compile_s = trainer.step_for(state, metrics, rows)
        seconds = []
        for i in range(warmup + steps):
            began = time.perf_counter()
            state, metrics = step(state, metrics, rows)
            jax.block_until_ready((state, metrics))
            if i >= warmup:
                seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(steps):
            state, metrics = step(state, metrics, rows)
        jax.block_until_ready((state, metrics))
        pipelined = (time.perf_counter() - began) / steps
    median, frames = statistics.median(seconds), int(batch.mask.sum())
    return {
        "rows": batch.mel.shape[0],
        "frames": batch.mel.shape[1],
        "params": sum(x.size for x in jax.tree.leaves(trainer.abstract.params)),
        "step_ms": round(1e3 * median, 3),
        "frames_per_s": round(frames / median),
        "pipelined_step_ms": round(1e3 * pipelined, 3),
        "compile_s": round(compile_s, 2),
        "model_gflop": round(flops / 1e9, 3),
        "xla_gflop": _xla_gflop(step),
        "tflop_per_s": round(flops / median / 1e12, 4),
        "peak_gib": _peak_gib(step),
    }


def works(bare: bool, costs: bool) -> dict[str, tuple]:
    """What is measured, as changes of the configuration by name: the full step, the bare one, what each extra costs."""
    if not (bare or costs):
        return {"full": ()}
    extras = {name: (BARE, change) for name, change in COSTS.items()} | {"full": ()}
    return {"bare": (BARE,)} | (extras if costs else {})


def measure_training(
    task: Task,
    config: dict[str, Any],
    shapes: dict[str, Any],
    sizes: Sequence[tuple[int, int, int]],
    works: Mapping[str, tuple],
    steps: int = 15,
    peers: Sequence[Mapping[str, Any]] = (),
) -> Iterator[dict[str, Any]]:
    """A record of `measure_step` for every size and work, with what the machine could do.

    Args:
      task: made with `config` and `shapes`.
      config: the resolved configuration.
      shapes: of the data: "mel_bins", "speakers".
      sizes: (rows, frames, phonemes) of a batch.
      works: see `works`.
      steps: timed, each waited for.
      peers: records of another implementation: its best frames per second at as many rows ("B") is compared with.
    """
    dtype = config["model"].get("compute_dtype", "float32")
    ceiling = matmul_ceiling(dtype)
    common = {"bench": "train", **environment(dtype), "ceiling_tflop_per_s": float(f"{ceiling / 1e12:.4g}")}
    for rows, frames, phones in sizes:
        batch = full_batch(rows, frames, phones, shapes["mel_bins"], shapes["speakers"])
        rivals = [p["frames_per_s"] for p in peers if p.get("B") == rows and p.get("frames_per_s")]
        for work, changes in works.items():
            figures = measure_step(task, merged(config, *changes), batch, steps)
            share = 1e12 * figures["tflop_per_s"] / (ceiling * jax.device_count())
            record = {**common, "work": work, **figures, "utilisation": round(share, 4), "padding_efficiency": 1.0}
            if rivals:
                record["times_best_peer"] = round(figures["frames_per_s"] / max(rivals), 3)
            yield record


def measure_corpus(
    path: str, config: dict[str, Any], threads: Sequence[int], seconds: float = 3.0
) -> Iterator[dict[str, Any]]:
    """A record of `measure_input` of a configuration over a built corpus, for every number of reader threads."""
    from copycat_jax.data.batches import open_prefetch
    from copycat_jax.data.inputs import DataConfig, corpus_batches, open_training_corpus, resolve
    from copycat_jax.data.plan import Share

    corpus = open_training_corpus(path, DataConfig.from_dict(config["data"]))
    batches, _, plan = corpus_batches(corpus, resolve(config, corpus), Share())
    held = isinstance(corpus.source, tuple)
    for count in threads:
        figures = measure_input(lambda count=count: open_prefetch(batches, 0, count), seconds)
        asked = {"corpus": path, "threads": count, "in_memory": held}
        padding = {"plan_padding_efficiency": round(plan.padding_efficiency, 4)}
        yield {"bench": "input", **environment("float32"), **asked, **figures, **padding}


def _xla_gflop(compiled: Any) -> float | None:
    analysis = compiled.cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    return round(analysis["flops"] / 1e9, 3) if analysis and "flops" in analysis else None


def _peak_gib(compiled: Any) -> float | None:
    statistics_of = jax.local_devices()[0].memory_stats()
    if statistics_of and "peak_bytes_in_use" in statistics_of:
        return round(statistics_of["peak_bytes_in_use"] / 2**30, 3)
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    used = (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return round(used / 2**30, 3)


def measure_input(open_batches: Callable[[], Any], seconds: float = 3.0) -> dict[str, float]:
    """Real frames per second that the input pipeline delivers after its first batch, and their padding efficiency.

    Args:
      open_batches: makes an iterator over batches.
      seconds: how long to draw.
    """
    batches = iter(open_batches())
    next(batches)
    real = padded = count = 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        mask = next(batches).mask
        real, padded, count = real + int(mask.sum()), padded + mask.size, count + 1
    return {
        "input_frames_per_s": round(real / elapsed),
        "input_batches": count,
        "padding_efficiency": round(real / max(padded, 1), 4),
    }


def measure_synthesis(transfer: Callable[[], Any], repeats: int = 5) -> dict[str, float]:
    """Seconds of audio per second of computing of `transfer() -> (samples, rate)`, median after one warm-up.

    Returns:
      audio_s; first_s: the first call, compilation included; transfer_s; audio_per_s.
    """
    began = time.perf_counter()
    samples, rate = transfer()
    first = time.perf_counter() - began
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        samples, rate = transfer()
        seconds.append(time.perf_counter() - began)
    median, audio = statistics.median(seconds), len(samples) / rate
    return {
        "audio_s": round(audio, 3),
        "first_s": round(first, 2),
        "transfer_s": round(median, 3),
        "audio_per_s": round(audio / median, 2),
    }
