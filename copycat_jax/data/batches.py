"""From a built corpus to batches: a batch is a function of (seed, step), the same on any number of hosts.

Shuffle first (data.plan), then take this process's rows: so a run may stop on four hosts and go on with one, and its
whole state is the number of the next step. grain runs the function ahead of the trainer in threads; this is the one
file that imports it.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Int, Int32

from copycat_jax.batch import Batch
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.data.plan import BatchIndices, BatchPlan, Share, batch_at, evaluation_batches
from copycat_jax.records import pad_rows

EMBEDDING = 128  # width of the zeros that stand in for speaker vectors, where a corpus has none yet


class VectorJoin:
    """Joins speaker vectors to rows: the utterance's own, another one's of the speaker, the speaker's centroid.

    Others and centroids come from `pool` only (the training utterances), so that evaluation never lends to training; a
    speaker without any in the pool uses all of its utterances.
    """

    def __init__(self, corpus: Corpus, pool: Int[np.ndarray, " k"] | None = None, embedding: int = EMBEDDING):
        self._speaker, speakers = corpus.speaker, len(corpus.speakers)
        inside = np.ones(len(corpus), bool)
        if pool is not None:
            inside[:] = False
            inside[np.asarray(pool)] = True
            inside |= (np.bincount(self._speaker[inside], minlength=speakers) == 0)[self._speaker]
        # Positions by speaker, rising: sorted once, however many speakers there are.
        lending = np.flatnonzero(inside).astype(np.int32)
        lending = lending[np.argsort(self._speaker[lending], kind="stable")]
        ends = np.cumsum(np.bincount(self._speaker[lending], minlength=speakers))
        self._pools = np.split(lending, ends[:-1])
        if corpus.speaker_vectors is None:
            self._vectors = np.broadcast_to(np.zeros(embedding, np.float32), (len(corpus), embedding))
            self.centroids = np.zeros((speakers, embedding), np.float32)
        else:
            self._vectors = corpus.speaker_vectors
            means = [self._vectors[pool].mean(axis=0, dtype=np.float64) for pool in self._pools]
            self.centroids = np.stack(means).astype(np.float32)

    def other(self, seed: int, step: int, index: int) -> int:
        """Another utterance of the speaker of `index`, by (seed, step, index); itself where it is the only one."""
        pool = self._pools[self._speaker[index]]
        place = int(np.searchsorted(pool, index))
        known = place < len(pool) and bool(pool[place] == index)
        count = len(pool) - known
        if count == 0:
            return index
        # A counter-based draw, so that it does not matter which process or thread makes the row.
        bits = np.random.Philox(key=[seed & (2**64 - 1), (step << 32) ^ int(index)]).random_raw()
        drawn = int(bits) % count
        return int(pool[drawn + (known and drawn >= place)])  # of the pool without the utterance itself

    def __call__(
        self, indices: Int32[np.ndarray, " B"], seed: int, step: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(own, other, centroid), each float32 [B, E]."""
        others = [self.other(seed, step, int(index)) for index in indices]
        return self._vectors[indices], self._vectors[others], self.centroids[self._speaker[indices]]


def assemble_batch(corpus: Corpus, join: VectorJoin, batch: BatchIndices, seed: int, step: int) -> Batch:
    """Reads and pads the rows of `batch`; mels leave as float32."""
    frames, phones = corpus.lengths[batch.indices], corpus.phones[batch.indices]
    own, other, centroid = join(batch.indices, seed, step)
    return pad_rows(
        Batch,
        [corpus.utterance(index) for index in batch.indices],
        {"T": batch.frames, "P": batch.phones, "M": corpus.spec.mel_bins},
        index=batch.indices.astype(np.int32),
        mask=np.arange(batch.frames) < frames[:, None],
        phoneme_mask=np.arange(batch.phones) < phones[:, None],
        speaker=corpus.speaker[batch.indices],
        speaker_vector=own,
        other_vector=other,
        centroid=centroid,
    )


def make_batches(
    corpus: Corpus,
    plan: BatchPlan,
    seed: int,
    share: Share = Share(),  # noqa: B008 - immutable
    *,
    pool: Int[np.ndarray, " k"] | None = None,
    embedding: int = EMBEDDING,
) -> Callable[[int], Batch]:
    """Makes the function step -> this process's rows of the step's global batch.

    Args:
      corpus: where utterances come from.
      plan: what each step holds.
      seed: of shuffling and of the choice of other utterances.
      share: this process's part of every batch.
      pool: utterances that may lend their speaker vectors; the planned ones by default.
      embedding: width of the zeros where the corpus has no speaker vectors.

    Raises:
      UserError: some batch cannot be shared evenly.
    """
    for bucket in plan.buckets:
        share.of(bucket.members[:1].repeat(bucket.rows))
    join = VectorJoin(corpus, plan.members if pool is None else pool, embedding)

    def batch_of(step: int) -> Batch:
        planned = batch_at(plan, seed, step)
        return assemble_batch(corpus, join, planned._replace(indices=share.of(planned.indices)), seed, step)

    return batch_of


def make_evaluation(
    corpus: Corpus,
    plan: BatchPlan,
    share: Share = Share(),  # noqa: B008 - immutable
    *,
    pool: Int[np.ndarray, " k"] | None = None,
    embedding: int = EMBEDDING,
) -> list[Callable[[], tuple[Batch, Bool[np.ndarray, " B"]]]]:
    """Functions that each make this process's rows of one evaluation batch, and say which of them count.

    All processes together hold every planned utterance once. The masks of rows that only fill up are False throughout,
    so that sums over what is real leave them out. The arguments are those of `make_batches`.
    """
    join = VectorJoin(corpus, plan.members if pool is None else pool, embedding)

    def make(number: int, planned: BatchIndices, counts: np.ndarray):
        batch = assemble_batch(corpus, join, planned._replace(indices=share.of(planned.indices)), 0, number)
        counts = share.of(counts)
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
