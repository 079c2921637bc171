"""From a built corpus to batches: a batch is a function of (seed, step), the same on any number of hosts.

Shuffle first (data.plan), then take this process's rows: so a run may stop on four hosts and go on with one, and its
whole state is the number of the next step. grain runs the function ahead of the trainer in threads; this is the one
file that imports it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from copycat_jax.batch import Batch
from copycat_jax.corpus.description import VECTORS_FILE, CorpusInfo, Lengths, describe, read_description
from copycat_jax.corpus.shards import ShardReader
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.data.plan import BatchIndices, BatchPlan, batch_at, evaluation_batches, rows_of
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import replacing_file
from copycat_jax.types import MelSpec

EMBEDDING = 128  # width of the zeros that stand in for speaker vectors, where a corpus has none yet


@runtime_checkable
class Utterances(Protocol):
    """Where a corpus takes its utterances from: shards, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Utterance: ...

    def __iter__(self) -> Iterator[Utterance]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus open for reading: its description in memory, its utterances on demand.

    Attributes:
      info: the content of corpus.json.
      table: ids, frames, phones, speaker and text hash of every utterance.
      source: the utterances, by position.
      speaker_vectors: float32 [n, E], or None where `copycat embed` has not run.
      vectors_hash: hash of the classifier that made them; empty without.
    """

    info: CorpusInfo
    table: Lengths
    source: Utterances
    speaker_vectors: np.ndarray | None = None
    vectors_hash: str = ""

    def __len__(self) -> int:
        return self.info.utterances

    @property
    def spec(self) -> MelSpec:
        """The mel convention of the corpus."""
        return self.info.spec

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers in the order of their numbers."""
        return tuple(self.info.speakers)

    @property
    def fingerprint(self) -> str:
        """Hash over the ids and contents of all utterances."""
        return self.info.fingerprint

    @property
    def ids(self) -> np.ndarray:
        """Ids, str [n]."""
        return self.table.ids

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every utterance, int32 [n]."""
        return self.table.frames

    @property
    def phones(self) -> np.ndarray:
        """Phonemes of every utterance, int32 [n]."""
        return self.table.phones

    @property
    def speaker(self) -> np.ndarray:
        """Number of every utterance's speaker, int32 [n]."""
        return self.table.speaker

    @property
    def text_hashes(self) -> np.ndarray:
        """Hash of every utterance's text, uint64 [n]; takes of a sentence share it."""
        return self.table.text_hashes

    def utterance(self, index: int | np.integer) -> Utterance:
        """The utterance at `index`, read from its shard."""
        return self.source[int(index)]

    @property
    def mel_gib(self) -> float:
        """Size of all mel-spectrograms as they are stored, in GiB."""
        return float(self.lengths.sum(dtype=np.int64)) * self.spec.mel_bins * 2 / 2**30

    def loaded(self) -> "Corpus":
        """The same corpus with its utterances decoded once and held in memory: reading is then no part of a step."""
        return dataclasses.replace(self, source=tuple(self.source))

    def find(self, ids: Sequence[str]) -> Int32[np.ndarray, " k"]:
        """Positions of the utterances with these ids; raises UserError for an unknown one."""
        where = {name: i for i, name in enumerate(self.ids.tolist())}
        for name in ids:
            if name not in where:
                raise UserError(f"unknown utterance '{name}'", "corpus", nearest(name, where) or "See lengths.npz.")
        return np.array([where[name] for name in ids], np.int32)


def open_corpus(path: str | Path, with_vectors: bool = True) -> Corpus:
    """Opens a folder made by `copycat build`, with its speaker vectors if it has any and they are wanted.

    Raises:
      UserError: not a built corpus, damaged, or its speaker vectors were made for another corpus.
    """
    path = Path(path)
    info, lengths = read_description(path)
    source = ShardReader([path / name for name in info.shards], info.spec)
    if len(source) != info.utterances:
        raise UserError(f"{len(source)} records for {info.utterances} utterances", str(path), "Build the corpus again.")
    vectors, made_by = None, ""
    if with_vectors and (path / VECTORS_FILE).is_file():
        vectors, made_by = read_vectors(path / VECTORS_FILE, info)
    return Corpus(info, lengths, source, vectors, made_by)


def memory_corpus(
    utterances: Sequence[Utterance], spec: MelSpec, speaker_vectors: Float32[np.ndarray, "n E"] | None = None
) -> Corpus:
    """A corpus of utterances that are already in memory: generated ones, or a test's."""
    info, lengths = describe(utterances, spec, shards=(), options={})
    return Corpus(info, lengths, utterances, speaker_vectors)


def read_vectors(path: str | Path, info: CorpusInfo) -> tuple[Float32[np.ndarray, "n E"], str]:
    """Speaker vectors in corpus order and the hash of the classifier that made them.

    Raises:
      UserError: the file is damaged, or belongs to another corpus.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "Run `copycat embed` again."
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata, vectors = file.metadata() or {}, file.get_tensor("vectors")
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"damaged speaker vectors ({error})", str(path), remedy) from error
    if metadata.get("corpus") != info.fingerprint:
        raise UserError("the speaker vectors were made for another corpus", str(path), remedy)
    if vectors.ndim != 2 or len(vectors) != info.utterances or not np.isfinite(vectors).all():
        raise UserError(f"speaker vectors of shape {vectors.shape} for {info.utterances} utterances", str(path), remedy)
    return vectors.astype(np.float32), metadata.get("bundle", "")


def write_vectors(path: str | Path, vectors: Float32[np.ndarray, "n E"], corpus: str, bundle: str) -> None:
    """Writes speaker vectors in corpus order, whole or not at all, with both fingerprints in the metadata."""
    from safetensors.numpy import save_file

    path = Path(path)
    metadata = {"corpus": corpus, "bundle": bundle}
    with replacing_file(path) as temporary:
        save_file({"vectors": np.ascontiguousarray(vectors, np.float32)}, str(temporary), metadata=metadata)


class VectorJoin:
    """Joins speaker vectors to rows: the utterance's own, another one's of the speaker, the speaker's centroid.

    Others and centroids come from `pool` only (the training utterances), so that evaluation never lends to training; a
    speaker without any in the pool uses all of its utterances.
    """

    def __init__(self, corpus: Corpus, pool: Int[np.ndarray, " k"] | None = None, embedding: int = EMBEDDING):
        vectors = corpus.speaker_vectors
        self._vectors = np.zeros((len(corpus), embedding), np.float32) if vectors is None else vectors
        self._speaker = corpus.speaker
        inside = np.ones(len(corpus), bool)
        if pool is not None:
            inside[:] = False
            inside[np.asarray(pool)] = True
        self._pools = []
        for number in range(len(corpus.speakers)):
            own = np.flatnonzero(self._speaker == number)
            self._pools.append(own[inside[own]] if inside[own].any() else own)
        self.centroids = np.stack([self._vectors[pool].mean(axis=0, dtype=np.float64) for pool in self._pools])
        self.centroids = self.centroids.astype(np.float32)

    def other(self, seed: int, step: int, index: int) -> int:
        """Another utterance of the speaker of `index`, by (seed, step, index); itself where it is the only one."""
        pool = self._pools[self._speaker[index]]
        pool = pool[pool != index]
        if len(pool) == 0:
            return index
        # A counter-based draw, so that it does not matter which process or thread makes the row.
        bits = np.random.Philox(key=[seed & (2**64 - 1), (step << 32) ^ int(index)]).random_raw()
        return int(pool[int(bits) % len(pool)])

    def __call__(
        self, indices: Int32[np.ndarray, " B"], seed: int, step: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(own, other, centroid), each float32 [B, E]."""
        others = [self.other(seed, step, int(index)) for index in indices]
        return self._vectors[indices], self._vectors[others], self.centroids[self._speaker[indices]]


def assemble(corpus: Corpus, join: VectorJoin, batch: BatchIndices, seed: int, step: int) -> Batch:
    """Reads and pads the rows of `batch`; mels leave as float32."""
    rows, spec = len(batch.indices), corpus.spec
    mel = np.zeros((rows, batch.frames, spec.mel_bins), np.float32)
    f0_hz, energy = np.zeros((2, rows, batch.frames), np.float32)
    phonemes, durations, breaks = np.zeros((3, rows, batch.phones), np.int32)
    frames, phones = corpus.lengths[batch.indices], corpus.phones[batch.indices]
    for row, index in enumerate(batch.indices):
        utterance = corpus.utterance(index)
        mel[row, : frames[row]] = utterance.mel
        f0_hz[row, : frames[row]] = utterance.f0_hz
        energy[row, : frames[row]] = utterance.energy
        phonemes[row, : phones[row]] = utterance.phonemes
        durations[row, : phones[row]] = utterance.durations
        breaks[row, : phones[row]] = utterance.breaks
    own, other, centroid = join(batch.indices, seed, step)
    return Batch(
        index=batch.indices.astype(np.int32),
        mel=mel,
        mask=np.arange(batch.frames) < frames[:, None],
        phonemes=phonemes,
        phoneme_mask=np.arange(batch.phones) < phones[:, None],
        durations=durations,
        breaks=breaks,
        f0_hz=f0_hz,
        energy=energy,
        speaker=corpus.speaker[batch.indices],
        speaker_vector=own,
        other_vector=other,
        centroid=centroid,
    )


def make_batches(
    corpus: Corpus,
    plan: BatchPlan,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    *,
    pool: Int[np.ndarray, " k"] | None = None,
    embedding: int = EMBEDDING,
) -> Callable[[int], Batch]:
    """Makes the function step -> this process's rows of the step's global batch.

    Args:
      corpus: where utterances come from.
      plan: what each step holds.
      seed: of shuffling and of the choice of other utterances.
      process_index: this process, of `process_count` that share every batch in equal, contiguous parts.
      process_count: how many processes share it.
      pool: utterances that may lend their speaker vectors; the planned ones by default.
      embedding: width of the zeros where the corpus has no speaker vectors.

    Raises:
      UserError: some batch cannot be shared evenly.
    """
    for bucket in plan.buckets:
        rows_of(bucket.members[:1].repeat(bucket.rows), process_index, process_count)
    join = VectorJoin(corpus, plan.members if pool is None else pool, embedding)

    def batch_of(step: int) -> Batch:
        planned = batch_at(plan, seed, step)
        part = planned._replace(indices=rows_of(planned.indices, process_index, process_count))
        return assemble(corpus, join, part, seed, step)

    return batch_of


def make_evaluation(
    corpus: Corpus, plan: BatchPlan, *, pool: Int[np.ndarray, " k"] | None = None, embedding: int = EMBEDDING
) -> list[Callable[[], tuple[Batch, Bool[np.ndarray, " B"]]]]:
    """Functions that each make one evaluation batch: every planned utterance once, and which rows count.

    The masks of rows that only fill up are False throughout, so that sums over real frames leave them out.
    """
    join = VectorJoin(corpus, plan.members if pool is None else pool, embedding)

    def make(number: int, planned: BatchIndices, counts: np.ndarray):
        batch = assemble(corpus, join, planned, 0, number)
        blank = {name: getattr(batch, name) & counts[:, None] for name in ("mask", "phoneme_mask")}
        return batch._replace(**blank), counts

    pairs = enumerate(evaluation_batches(plan))
    return [lambda n=n, planned=planned, counts=counts: make(n, planned, counts) for n, (planned, counts) in pairs]


def open_prefetch(
    batches: Callable[[int], Batch], start_step: int = 0, threads: int = 4, buffer: int = 8, stop_step: int = 2**31
) -> Iterator[Batch]:
    """Iterates over the batches of start_step, start_step + 1, ..., made ahead of time by `threads` threads.

    Threads, not processes: decoding releases the interpreter lock often enough, and worker processes start slowly and
    lose (0 threads: made when asked for).
    """
    import grain

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(buffer, threads) if threads else 0)
    steps = grain.MapDataset.range(start_step, stop_step)
    return iter(steps.map(lambda step: batches(int(step))).to_iter_dataset(options))
