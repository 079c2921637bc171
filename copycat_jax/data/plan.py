"""The batch plan: which utterances make up the batch of a step. Pure, and the same on every host.

Utterances are sorted into length buckets, each with one static shape: T frames (a multiple of the bottleneck stride),
P phonemes, a fixed number of rows. Bucket edges are those of least padding (dynamic programming). Every bucket has an
endless stream of utterances: epoch after epoch, each a fresh permutation; its batches are consecutive pieces of the
stream. So what does not fill a batch opens the next epoch, nothing is ever left out, and a bucket smaller than its
batch still fills one. Only a batch across a seam of two epochs may hold an utterance twice.

With `balance` > 0 utterances of small speakers come back more often, in exact proportion over epochs.

An evaluation is another plan: every utterance of a fixed sample of all lengths, once. Rows that only fill up its last
batches are marked.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, Shaped, UInt64

from copycat_jax.errors import UserError


class Share(NamedTuple):
    """Who asks for rows: this process, of so many that share every batch in equal, contiguous parts."""

    process: int = 0
    processes: int = 1
    devices: int = 1  # of all processes, times the parts of a step: rows divide over them

    def of(self, rows: Shaped[np.ndarray, "B ..."]) -> Shaped[np.ndarray, "b ..."]:
        """This process's part of the rows of a global batch; raises UserError where they cannot be shared evenly."""
        if len(rows) % self.processes:
            what = f"a batch of {len(rows)} rows cannot be shared by {self.processes} processes"
            raise UserError(what, "batch plan", f"Make the batch size a multiple of {self.processes}.")
        part = len(rows) // self.processes
        return rows[self.process * part : (self.process + 1) * part]


class BatchIndices(NamedTuple):
    """The global batch of one step, before any process takes its slice."""

    frames: int  # T, to which every row is padded
    phones: int  # P
    indices: Int32[np.ndarray, " B"]  # positions in the corpus


@dataclasses.dataclass(frozen=True, eq=False)
class Bucket:
    """One static shape and the utterances that are padded to it.

    Attributes:
      frames: T, a multiple of the plan's `multiple_of`.
      phones: P, likewise.
      rows: B, global rows of each batch.
      members: positions in the corpus, int32 [n].
      lengths: their frames, int32 [n].
      rates: how often each comes in an epoch, float64 [n]; all ones unless balanced.
    """

    frames: int
    phones: int
    rows: int
    members: np.ndarray
    lengths: np.ndarray
    rates: np.ndarray

    def drawn(self, epochs: int) -> np.ndarray:
        """How often each member has come after `epochs` epochs, int64 [n]."""
        phases = (self.members * 0.6180339887498949) % 1.0  # spread, so that fractional rates do not fall due at once
        return np.floor(self.rates * epochs + phases).astype(np.int64)

    def batches(self, epochs: int) -> int:
        """Whole batches that `epochs` epochs of the stream fill."""
        return _drawn_total(self, epochs) // self.rows


@dataclasses.dataclass(frozen=True, eq=False)
class BatchPlan:
    """Buckets, and from them the batch of every step: see `batch_at`."""

    buckets: tuple[Bucket, ...]
    multiple_of: int

    @property
    def batches_per_epoch(self) -> float:
        """Steps of one pass over the data, on average (epochs differ by a step or two)."""
        return sum(self.epoch_steps)

    @property
    def epoch_steps(self) -> tuple[float, ...]:
        """Of them, those of every bucket."""
        return tuple(float(bucket.rates.sum()) / bucket.rows for bucket in self.buckets)

    @property
    def utterances(self) -> int:
        """Number of utterances planned."""
        return sum(len(bucket.members) for bucket in self.buckets)

    @property
    def members(self) -> np.ndarray:
        """Positions in the corpus of all planned utterances, sorted, int32 [n]."""
        return np.sort(np.concatenate([bucket.members for bucket in self.buckets]))

    @property
    def padding_efficiency(self) -> float:
        """Share of the frames of all batches of an epoch that are real."""
        real = sum(float(bucket.rates @ bucket.lengths) for bucket in self.buckets)
        return real / sum(float(bucket.rates.sum()) * bucket.frames for bucket in self.buckets)

    @property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """The (rows, frames, phones) of every bucket: what a training step is compiled for."""
        return tuple((bucket.rows, bucket.frames, bucket.phones) for bucket in self.buckets)


def make_batch_plan(
    lengths: Int[np.ndarray, " n"],
    phones: Int[np.ndarray, " n"],
    *,
    batch_size: int | None = None,
    batch_frames: int | None = None,
    indices: Int[np.ndarray, " k"] | None = None,
    speakers: Int[np.ndarray, " n"] | None = None,
    balance: float = 0.0,
    buckets: int = 10,
    multiple_of: int = 8,
    rows_multiple: int = 1,
) -> BatchPlan:
    """Makes the plan for utterances of `lengths` frames and `phones` phonemes.

    Args:
      lengths: frames of every utterance of the corpus.
      phones: phonemes of every utterance.
      batch_size: global rows of every batch; give this or `batch_frames`.
      batch_frames: padded frames of a batch: buckets of short utterances get more rows.
      indices: plan only these positions of the corpus (a training or evaluation subset).
      speakers: speaker of every utterance, needed to balance.
      balance: 0 leaves the data as it is, 1 makes speakers equally frequent, between: frequency ~ count^(1 - balance).
      buckets: at most so many shapes.
      multiple_of: T and P are multiples of it (the bottleneck stride tau).
      rows_multiple: rows are multiples of it (the number of devices or processes that share a batch).

    Raises:
      UserError: nothing to plan, or sizes that cannot be met.
    """
    if (batch_size is None) == (batch_frames is None):
        raise UserError("give either batch_size or batch_frames", "batch plan")
    if batch_size is not None and (batch_size < 1 or batch_size % rows_multiple):
        remedy = f"Use a positive multiple of {rows_multiple}."
        raise UserError(f"batch size {batch_size} cannot be shared {rows_multiple} ways", "batch plan", remedy)
    if buckets < 1 or multiple_of < 1 or not 0.0 <= balance <= 1.0:
        raise UserError(
            f"buckets {buckets}, multiple_of {multiple_of} or balance {balance} is out of range", "batch plan"
        )
    lengths, phones = np.asarray(lengths), np.asarray(phones)
    chosen = np.arange(len(lengths)) if indices is None else np.unique(np.asarray(indices))
    if len(chosen) == 0:
        raise UserError("no utterances to plan", "batch plan", "Is the corpus, or the held-out share, empty?")
    rates = np.ones(len(chosen))
    if balance:
        if speakers is None:
            raise UserError("balancing needs the speakers", "batch plan")
        rates = _balanced_rates(np.asarray(speakers)[chosen], balance)
    padded = _round_up(lengths[chosen], multiple_of)
    edges = bucket_edges(padded, rates, buckets)
    made = []
    for low, high in zip([0, *edges[:-1]], edges, strict=True):
        inside = (padded > low) & (padded <= high)
        members = chosen[inside].astype(np.int32)
        rows = batch_size or max(1, (batch_frames or 0) // high // rows_multiple) * rows_multiple
        most_phones = int(_round_up(phones[members], multiple_of).max())
        made.append(Bucket(int(high), most_phones, int(rows), members, lengths[members], rates[inside]))
    return BatchPlan(tuple(made), multiple_of)


def rows_on(
    devices: int, *, batch_size: int = 0, batch_frames: int = 0, rows_multiple: int = 1, per_device: bool = False
) -> dict[str, int]:
    """What decides the rows of a batch that so many devices share, as `make_batch_plan` takes it.

    Args:
      devices: of all processes.
      batch_size: rows of a batch; 0 = fill `batch_frames`.
      batch_frames: padded frames of a batch.
      rows_multiple: rows are a multiple of it, and of `devices`: where these divide it, so do the batches agree.
      per_device: `batch_size` and `batch_frames` are those of one device.

    Raises:
      UserError: a batch size that is no multiple of `rows_multiple`.
    """
    if batch_size % rows_multiple:
        remedy = f"Use a positive multiple of {rows_multiple}."
        raise UserError(f"batch size {batch_size} cannot be shared {rows_multiple} ways", "batch plan", remedy)
    scale, multiple = devices if per_device else 1, math.lcm(rows_multiple, devices)
    if batch_size:
        return {"batch_size": -(-batch_size * scale // multiple) * multiple, "rows_multiple": multiple}
    return {"batch_frames": batch_frames * scale, "rows_multiple": multiple}


def make_evaluation_plan(
    lengths: Int[np.ndarray, " n"],
    phones: Int[np.ndarray, " n"],
    indices: Int[np.ndarray, " k"],
    count: int,
    *,
    rows_multiple: int = 1,
    **sizes: Any,
) -> BatchPlan:
    """The plan of an evaluation: `count` of `indices` (0 = all), as long and as short as all of them are.

    Sorted by length, every k-th is taken from a place drawn once and for all: the same in every run. A bucket has no
    more rows than it fills.

    Args:
      lengths, phones, rows_multiple, **sizes: as for `make_batch_plan`.
      indices: what may be evaluated.
      count: how much of it is.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(np.asarray(indices))
    order = order[np.argsort(lengths[order], kind="stable")]
    if 0 < count < len(order):
        order = order[((np.arange(count) + rng.random()) * len(order) / count).astype(int)]
    plan = make_batch_plan(lengths, phones, indices=order, rows_multiple=rows_multiple, **sizes)
    enough = (-(-len(bucket.members) // rows_multiple) * rows_multiple for bucket in plan.buckets)
    buckets = (dataclasses.replace(b, rows=min(b.rows, n)) for b, n in zip(plan.buckets, enough, strict=True))
    return dataclasses.replace(plan, buckets=tuple(buckets))


def batch_at(plan: BatchPlan, seed: int, step: int) -> BatchIndices:
    """The global batch of `step`, a pure function of its arguments (epochs are only memoised)."""
    bucket, batch = _batch_of(plan, seed, step)
    start, stop = batch * bucket.rows, (batch + 1) * bucket.rows
    return BatchIndices(bucket.frames, bucket.phones, _stream(bucket, seed, start, stop))


def epoch_of(plan: BatchPlan, step: int) -> int:
    """The epoch to which `step` belongs, counted from 0."""
    epoch = int(step / plan.batches_per_epoch)
    while _steps_before(plan, epoch) > step:
        epoch -= 1
    while _steps_before(plan, epoch + 1) <= step:
        epoch += 1
    return epoch


def evaluation_batches(plan: BatchPlan) -> list[tuple[BatchIndices, Bool[np.ndarray, " B"]]]:
    """Every planned utterance exactly once, in the plan's shapes, with the rows that count.

    Rows beyond the last utterance of a bucket repeat its first one and are marked False.
    """
    batches = []
    for bucket in plan.buckets:
        for start in range(0, len(bucket.members), bucket.rows):
            part = bucket.members[start : start + bucket.rows]
            filler = np.repeat(bucket.members[:1], bucket.rows - len(part))
            batch = BatchIndices(bucket.frames, bucket.phones, np.concatenate([part, filler]).astype(np.int32))
            batches.append((batch, np.arange(bucket.rows) < len(part)))
    return batches


def held_out(text_hashes: UInt64[np.ndarray, " n"], fraction: float) -> Bool[np.ndarray, " n"]:
    """Which utterances are held out for evaluation: those whose text's hash falls into the given share.

    A sentence's takes share its hash, so that they stay on one side; adding utterances never moves one across.
    """
    if not 0.0 <= fraction < 1.0:
        raise UserError(f"held-out fraction {fraction} is outside [0, 1)", "data")
    return np.asarray(text_hashes, np.uint64) < np.uint64(fraction * 2.0**64)


def bucket_edges(padded: Int[np.ndarray, " n"], weights: Float[np.ndarray, " n"], buckets: int) -> list[int]:
    """The at most `buckets` upper edges, among the values of `padded`, that need the fewest padded frames.

    Exact, by dynamic programming over the distinct lengths: cost of one bucket = its weight x its upper edge.
    """
    values, inverse = np.unique(np.asarray(padded), return_inverse=True)
    below = np.concatenate([[0.0], np.cumsum(np.bincount(inverse, np.asarray(weights, np.float64)))])
    buckets = min(buckets, len(values))
    # cost[j]: least padded frames of the first j values so far; from_[k][j]: where its last bucket starts.
    cost = np.full(len(values) + 1, np.inf)
    cost[0] = 0.0
    starts = []
    for _ in range(buckets):
        # one[i, j]: the first i values as before, values i..j-1 in one bucket with edge values[j - 1].
        one = cost[:, None] + (below[None, 1:] - below[:, None]) * values[None, :]
        one[np.tril_indices(len(values) + 1, -1, len(values))] = np.inf
        start = np.argmin(one, axis=0)
        starts.append(start)
        cost = np.concatenate([[np.inf], one[start, np.arange(len(values))]])
    edges, j = [], len(values)
    for start in reversed(starts):
        edges.append(int(values[j - 1]))
        j = int(start[j - 1])
    return edges[::-1]


def _round_up(values: np.ndarray, multiple: int) -> np.ndarray:
    return (np.maximum(values, 1) + multiple - 1) // multiple * multiple


def _balanced_rates(speakers: np.ndarray, balance: float) -> np.ndarray:
    _, inverse, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    weights = counts[inverse].astype(np.float64) ** -balance
    return weights * (len(weights) / weights.sum())


# Keyed by identity (eq=False): a memo of pure functions, bounded, safe under threads.
@functools.lru_cache(maxsize=4096)
def _drawn_total(bucket: Bucket, epochs: int) -> int:
    return int(bucket.drawn(epochs).sum())


def _steps_before(plan: BatchPlan, epoch: int) -> int:
    return sum(bucket.batches(epoch) for bucket in plan.buckets)


@functools.lru_cache(maxsize=16)
def _epoch_order(plan: BatchPlan, seed: int, epoch: int) -> np.ndarray:
    """The batches of an epoch in order, int64 [steps, 2]: bucket, number of the batch within the bucket's stream."""
    pairs = [(b, k) for b, x in enumerate(plan.buckets) for k in range(x.batches(epoch), x.batches(epoch + 1))]
    return np.random.default_rng((seed, epoch)).permutation(np.array(pairs, np.int64).reshape(-1, 2))


def _batch_of(plan: BatchPlan, seed: int, step: int) -> tuple[Bucket, int]:
    epoch = epoch_of(plan, step)
    bucket, batch = _epoch_order(plan, seed, epoch)[step - _steps_before(plan, epoch)]
    return plan.buckets[bucket], int(batch)


@functools.lru_cache(maxsize=256)
def _epoch_stream(bucket: Bucket, seed: int, epoch: int) -> np.ndarray:
    """What the epoch adds to the bucket's stream: its members as often as they fall due, shuffled."""
    due = np.repeat(bucket.members, bucket.drawn(epoch + 1) - bucket.drawn(epoch))
    return np.random.default_rng((seed, epoch, bucket.frames)).permutation(due)


def _stream(bucket: Bucket, seed: int, start: int, stop: int) -> np.ndarray:
    """Positions [start, stop) of the bucket's endless stream, int32."""
    epoch = int(start / max(bucket.rates.sum(), 1e-9))
    while _drawn_total(bucket, epoch) > start:
        epoch -= 1
    while _drawn_total(bucket, epoch + 1) <= start:
        epoch += 1
    parts, position = [], _drawn_total(bucket, epoch)
    while position < stop:
        part = _epoch_stream(bucket, seed, epoch)
        parts.append(part[max(start - position, 0) : stop - position])
        position += len(part)
        epoch += 1
    return np.concatenate(parts).astype(np.int32)


def steps_of_epochs(plan: BatchPlan, epochs: float | int) -> int:
    """Steps that make `epochs` passes over the data."""
    return max(1, math.ceil(plan.batches_per_epoch * epochs))
