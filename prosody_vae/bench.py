"""How fast the parts of selection go. Figures, not tests: nothing here passes or fails.

Exact search is the one that must scale: a bank of a million rows, 384 numbers of a sentence vector and 64 of a padded
distance vector, both of unit length. Put side by side and divided by the root of two, their inner product is the plain
mean of the two cosines, so the search by both is one matrix product and top-k. Its results are compared with those of
another library's in the same run, and its time with what merely reading the bank once takes on the same device.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.bench.history import environment
from copycat_jax.errors import UserError
from prosody_vae.selection.index import make_index, tile_bytes_here

SENTENCE_WIDTH, DISTANCE_WIDTH = 384, 64
DRAWN_ROWS = 65_536  # of a random bank, by one generator
DTYPES = ("float32", "bfloat16", "float16")
PEERS = ("auto", "faiss", "numpy", "none")
PEER_SECONDS = 10.0  # a peer that has computed for so long is not repeated
SUMMATION_TOLERANCE = 1e-5  # of a cosine: what summing in another order may change

SUBJECTS = (
    "the old farmer",
    "my younger sister",
    "a tired nurse",
    "every student in the hall",
    "the mayor of the town",
)
DITRANSITIVE_VERBS = ("sold", "promised", "showed", "brought", "handed")
RECEIVERS = ("his neighbour", "the children", "a stranger", "her friends")
OBJECTS = ("a red wagon", "the broken clock", "two letters from abroad", "an apple and a pear", "the keys of the house")
ENDINGS = (
    "",
    " before the storm",
    " because it was late",
    ", although nobody had asked for it",
    " when the train that came from the north had left the station",
)
STARTS = ("", "On Monday, ", "In the end ", "As far as I know, ")


def seconds_of(work: Callable[[], Any], repeats: int, label: str) -> tuple[float, float]:
    """(first, median of `repeats` more) seconds of `work()`, whose result must be on the host or is waited for."""
    taken = []
    for _ in console.progress(range(repeats + 1), label, total=repeats + 1, unit="run"):
        began = time.perf_counter()
        jax.block_until_ready(work())
        taken.append(time.perf_counter() - began)
    return taken[0], statistics.median(taken[1:])


def example_sentences(count: int) -> list[str]:
    """`count` different English sentences of 6 to 25 words, the same ones every time."""
    parts = (STARTS, SUBJECTS, DITRANSITIVE_VERBS, RECEIVERS, OBJECTS, ENDINGS)
    sizes = [len(part) for part in parts]
    every = int(np.prod(sizes))
    sentences = []
    for number in range(count):
        # Coprime with `every`, so that neighbours differ and nothing repeats before all have come.
        picks = np.unravel_index(number * 7919 % every, sizes)
        start, subject, verb, receiver, thing, ending = (part[i] for part, i in zip(parts, picks, strict=True))
        text = f"{start}{subject} {verb} {receiver} {thing}{ending}"
        again = f" for the {number // every + 1}th time" if number >= every else ""
        sentences.append(f"{text[0].upper()}{text[1:]}{again}.")
    return sentences


def measure_encode(encoder: Any, sentences: Sequence[str], batch_size: int = 64, repeats: int = 3) -> dict[str, Any]:
    """Sentences per second of a sentence encoder; the first run compiles."""
    first, median = seconds_of(lambda: encoder.encode(sentences, batch_size=batch_size), repeats, "encode")
    return {
        "bench": "encode",
        **environment(getattr(encoder, "compute_dtype", "float32")),
        "encoder": encoder.label,
        "sentences": len(sentences),
        "words": sum(len(s.split()) for s in sentences),
        "batch_size": batch_size,
        "first_s": round(first, 3),
        "sentences_per_s": round(len(sentences) / median, 1),
    }


def measure_parse(parser: Any, sentences: Sequence[str]) -> dict[str, Any]:
    """Sentences per second of a parser opened without a cache; a tenth of the sentences, which may load a model, first.

    No sentence is timed twice: parsers remember what they have parsed.
    """
    texts = list(dict.fromkeys(sentences))
    if len(texts) < 2:
        raise UserError(f"{len(texts)} different sentences", "bench parse", "Give at least 2.")
    warm = max(1, len(texts) // 10)
    began = time.perf_counter()
    parser.parse(texts[:warm])
    loaded = time.perf_counter()
    parser.parse(texts[warm:])
    taken = time.perf_counter() - loaded
    return {
        "bench": "parse",
        **environment("none"),
        "parser": parser.label,
        "sentences": len(texts) - warm,
        "words": sum(len(s.split()) for s in texts[warm:]),
        "first_s": round(loaded - began, 3),
        "sentences_per_s": round((len(texts) - warm) / taken, 1),
    }


def random_brackets(count: int, words: tuple[int, int] = (6, 25)) -> list[str]:
    """Bracketed trees of random shape, two to three children a node, over so many words each."""
    rng = np.random.default_rng(0)

    def grow(size: int) -> str:
        if size == 1:
            return "(NN word)"
        cuts = np.sort(rng.choice(np.arange(1, size), size=min(size - 1, int(rng.integers(1, 3))), replace=False))
        sizes = np.diff([0, *cuts, size])
        return f"(XP {' '.join(grow(int(n)) for n in sizes)})"

    return [f"(S {grow(int(rng.integers(words[0], words[1] + 1)))} (. .))" for _ in range(count)]


def measure_distance(brackets: Sequence[str], repeats: int = 3) -> dict[str, Any]:
    """Syntactic distance vectors per second, from bracketed strings."""
    from prosody_vae.linguistics.tree_distance import syntactic_distance

    _, median = seconds_of(lambda: sum(len(syntactic_distance(tree)) for tree in brackets), repeats, "distances")
    return {
        "bench": "distance",
        **environment("int32"),
        "sentences": len(brackets),
        "sentences_per_s": round(len(brackets) / median, 1),
    }


def random_bank(rows: int, dtype: str = "float32", seed: int = 0) -> Float[np.ndarray, "n 448"]:
    """Rows whose inner product is the mean of two cosines: random sentence vectors, and distances of random sentences.

    Rounded to `dtype` after normalising; made in chunks.
    """
    kind = jnp.dtype(dtype)
    bank = np.zeros((rows, SENTENCE_WIDTH + DISTANCE_WIDTH), kind)
    starts = range(0, rows, DRAWN_ROWS)
    for start in console.progress(starts, "bank", total=len(starts), unit="chunk"):
        rng = np.random.default_rng((seed, start))
        count = min(DRAWN_ROWS, rows - start)
        vectors = rng.standard_normal((count, SENTENCE_WIDTH), np.float32)
        heights = rng.integers(1, 20, (count, DISTANCE_WIDTH)).astype(np.float32)
        heights *= np.arange(DISTANCE_WIDTH)[None] < rng.integers(3, 40, (count, 1))
        parts = [x / (np.sqrt(2.0) * np.linalg.norm(x, axis=1, keepdims=True)) for x in (vectors, heights)]
        bank[start : start + count] = np.concatenate(parts, axis=1)
    return bank


def copy_bandwidth(repeats: int = 10) -> float:
    """Bytes per second that all devices together read and write in a plain copy; median of `repeats`."""
    cpu = jax.default_backend() == "cpu"
    size = 2**27 if cpu else 2**31
    source = jnp.zeros((size // 4,), jnp.float32)
    copy = jax.jit(lambda x, y: x + y)
    _, median = seconds_of(lambda: copy(source, jnp.float32(1)), repeats, "copy bandwidth")
    return 2.0 * size / median * (1 if cpu else jax.device_count())  # CPU devices share one memory


Search = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def open_peer(name: str, bank: Float[np.ndarray, "n D"], k: int) -> tuple[str, Search]:
    """The search to compare with, over a float32 bank: (label, queries -> scores [q k], indices [q k]).

    "auto" takes faiss-cpu where it is installed, else NumPy: matrix product and argpartition, 64 queries at a time.
    """
    if name not in PEERS:
        raise UserError(f"'{name}'", "--peer", f"Choose one of {', '.join(PEERS)}.")
    faiss = None
    if name in ("auto", "faiss"):
        try:
            import faiss
        except ImportError:
            if name == "faiss":
                raise UserError("faiss is not installed", "--peer", "Run `pip install faiss-cpu`.") from None
    if faiss is not None:
        index = faiss.IndexFlatIP(bank.shape[1])
        index.add(bank)  # type: ignore[call-arg]
        return f"faiss {faiss.__version__}", lambda queries: index.search(queries, k)  # type: ignore[call-arg]

    def search(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, indices = np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        for start in range(0, len(queries), 64):
            found = queries[start : start + 64] @ bank.T
            best = np.argpartition(found, -k, axis=1)[:, -k:]
            values = np.take_along_axis(found, best, axis=1)
            order = np.lexsort((best, -values), axis=1)
            indices[start : start + 64] = np.take_along_axis(best, order, axis=1)
            scores[start : start + 64] = np.take_along_axis(values, order, axis=1)
        return scores, indices

    return f"numpy {np.__version__}", search


def compare_hits(
    ours: Int[np.ndarray, "q k"],
    theirs: Int[np.ndarray, "q k"],
    bank: Float[np.ndarray, "n D"],
    queries: Float[np.ndarray, "q D"],
) -> dict[str, Any]:
    """How two exact searches agree: queries with the very same list, and by how much ours ever scores less.

    Scores of differing lists are computed anew in float64, rank by rank, so that two entries whose scores differ by
    less than float32 can tell count as equal, whichever comes first.
    """
    differing = np.flatnonzero((ours != theirs).any(axis=1))
    shortfall = 0.0
    for q in differing:
        exact = [np.sort(bank[lst[q]].astype(np.float64) @ queries[q].astype(np.float64)) for lst in (theirs, ours)]
        shortfall = max(shortfall, float((exact[0] - exact[1]).max()))
    return {
        "identical_lists": round(1.0 - len(differing) / max(1, len(ours)), 6),
        "worst_shortfall": float(f"{shortfall:.3g}"),
        "equal": shortfall <= SUMMATION_TOLERANCE,
    }


def measure_topk(
    rows: int = 1_000_000,
    queries: int = 1_000,
    k: int = 10,
    dtype: str = "float32",
    repeats: int = 5,
    peer: str = "auto",
    tile_mib: int | None = None,
) -> dict[str, Any]:
    """Exact top-k over a random bank, against a peer's on the CPU, and against the device's memory bandwidth.

    Returns:
      search_ms: median of `repeats` searches, queries and results on the host. floor_ms: the bank's bytes over the copy
      bandwidth of the devices that hold it, measured in this run: no exact search that reads the whole bank is faster.
      times_floor: their ratio. peer_ms, times_faster, and the agreement of the results (`compare`).
    """
    if dtype not in DTYPES:
        raise UserError(f"'{dtype}'", "--dtype", f"Choose one of {', '.join(DTYPES)}.")
    if not (rows > 0 and queries > 0 and 0 < k <= rows and repeats > 0):
        raise UserError(
            f"rows {rows}, queries {queries}, k {k}, repeats {repeats}", "bench topk", "Give 1 <= k <= rows."
        )
    bank, wanted = random_bank(rows, dtype), random_bank(queries, dtype, seed=1).astype(np.float32)
    began = time.perf_counter()
    index = make_index(bank, normalise=False)
    jax.block_until_ready(index.bank)
    loading = time.perf_counter() - began
    tile_mib = tile_bytes_here() >> 20 if tile_mib is None else tile_mib
    first, median = seconds_of(lambda: index.top_k(wanted, k, tile_bytes=tile_mib << 20), repeats, "top-k")
    bandwidth = copy_bandwidth()
    floor = bank.nbytes / bandwidth
    record = {
        "bench": "topk",
        **environment(dtype),
        "rows": rows,
        "width": bank.shape[1],
        "queries": queries,
        "k": k,
        "tile_mib": tile_mib,
        "bank_mb": round(bank.nbytes / 1e6, 1),
        "load_s": round(loading, 3),
        "first_s": round(first, 3),
        "search_ms": round(1e3 * median, 3),
        "queries_per_s": round(queries / median, 1),
        "copy_gb_per_s": round(bandwidth / 1e9, 1),
        "floor_ms": round(1e3 * floor, 3),
        "times_floor": round(median / floor, 2),
        "tflop_per_s": round(2e-12 * rows * queries * bank.shape[1] / median, 3),
    }
    if peer == "none":
        return record
    wide = np.ascontiguousarray(bank, np.float32)
    label, search = open_peer(peer, wide, k)
    _, indices = index.top_k(wanted, k)
    search(wanted[:64])
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < PEER_SECONDS:
        began = time.perf_counter()
        _, others = search(wanted)
        taken.append(time.perf_counter() - began)
    peer_s = statistics.median(taken)
    agreement = compare_hits(np.asarray(indices), np.asarray(others), wide, wanted)
    return record | {
        "peer": label,
        "peer_dtype": "float32",
        "peer_ms": round(1e3 * peer_s, 3),
        "times_faster": round(peer_s / median, 2),
        **agreement,
    }


def measure_synth(
    bundle: str | None, text: str, speaker: str | None, vocoder: str, batch: int, repeats: int = 3
) -> dict[str, Any]:
    """Seconds of audio per second of computing, text to waveform, `batch` sentences at a time, embedding zero."""
    from copycat_jax.bench.throughput import measure_synthesis
    from prosody_vae.tts.voice import open_voice

    voice = open_voice(bundle, vocoder)
    texts, embeddings = [text] * batch, np.zeros((batch, voice.latent), np.float32)

    def speak() -> tuple[np.ndarray, int]:
        speeches = voice.speak_all(texts, embeddings, speaker, batch=batch)
        return np.concatenate([s.samples for s in speeches]), voice.sample_rate

    figures = measure_synthesis(speak, repeats)
    named = {"bundle": voice.fingerprint[:12], "vocoder": vocoder, "batch": batch}
    figures["synthesis_s"] = figures.pop("transfer_s")
    return {"bench": "synth", **environment("float32"), **named, **figures}


def measure_train(
    size: str, rows: int, frames: int, phones: int, steps: int = 15, dtype: str | None = None
) -> dict[str, Any]:
    """Frames per second of the training step of one of the model's SIZES, on a batch without padding.

    The optimizer is that of configs/prosody_vae.py in kind (AdamW, clipping, moving average, finite check); learning
    rates do not change speed.
    """
    from copycat_jax.bench.throughput import full_batch, measure_step
    from prosody_vae.tts.config import SIZES
    from prosody_vae.tts.model import make_task

    if size not in SIZES:
        raise UserError(f"'{size}'", "--size", f"Choose one of {', '.join(SIZES)}.")
    if min(rows, phones, steps) < 1 or phones > frames:
        raise UserError("sizes must be positive, and phones at most frames", "bench train")
    model = dataclasses.asdict(SIZES[size]) | ({"compute_dtype": dtype} if dtype else {})
    shapes = {"mel_bins": 80, "speakers": 4, "embedding": 128, "frame_rate_hz": 86.13}
    config = {
        "optimizer": {"name": "adamw", "weight_decay": 0.01, "schedule": "cosine", "clip_norm": 1.0},
        "train": {"steps": 1000, "ema_decay": 0.999, "guard": True},
        "mesh": {"data": -1, "fsdp": 1},
    }
    batch = full_batch(rows, frames, phones)
    figures = measure_step(make_task(model, shapes), config, batch, steps)
    return {"bench": "train", **environment(model["compute_dtype"]), "size": size, **figures}
