"""What a training run is fed: the configuration with what the data decides, and the functions that make batches."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.config import Config, setting
from copycat_jax.corpus.corpus import Corpus, memory_corpus, open_corpus
from copycat_jax.data.batches import EMBEDDING, make_batches, make_evaluation
from copycat_jax.data.plan import BatchPlan, Share, held_out, make_batch_plan, make_evaluation_plan, rows_on
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN

SYNTHETIC_UTTERANCES, SYNTHETIC_SPEAKERS = 48, 4


@dataclasses.dataclass(frozen=True)
class DataConfig(Config, section="data"):
    """How batches are made of a built corpus.

    Attributes:
      batch_size: rows of a batch; 0 = fill batch_frames instead.
      batch_frames: padded frames of a batch.
      rows_multiple: rows of a batch are a multiple: any of 1, 2, 4, 8 devices sees the same batches. Of another number
        of devices they are a multiple too, so that every device has as many.
      per_device: batch_size and batch_frames are those of one device: the batch grows with the devices. With Adam the
        learning rate grows by the square root of that (Malladi et al. 2022), and the steps shrink by it.
      buckets: shapes of batches, each of which is compiled for.
      multiple_of: frames and phonemes of a batch are multiples (of the stride of the temporal bottleneck).
      min_seconds, max_seconds: shorter and longer utterances are left out.
      min_frames: utterances of fewer frames are left out: the adversary's window.
      balance_speakers: 0 leaves the data as it is, 1 makes speakers equally frequent.
      held_out: share of the texts that is not trained on.
      share: of the others, so much is trained on; what a smaller share has, a larger one has too.
      evaluated: so many of the held-out utterances, of all lengths, make an evaluation; 0 = all.
      in_memory_gib: a corpus up to this size is decoded once and kept in memory.
      needs_speaker_vectors, needs_f0, needs_audio: a corpus without them is refused.
    """

    batch_size: int = 0
    batch_frames: int = 25_600
    rows_multiple: int = 8
    per_device: bool = False
    buckets: int = 5
    multiple_of: int = 8
    min_seconds: float = 0.3
    max_seconds: float = 10.0
    min_frames: int = 0
    balance_speakers: float = 0.5
    held_out: float = 0.02
    share: float = setting(1.0, at_least=0.0)
    evaluated: int = 512
    in_memory_gib: float = 4.0
    needs_speaker_vectors: bool = False
    needs_f0: bool = False
    needs_audio: bool = False

    def rows_on(self, devices: int) -> dict[str, int]:
        """What decides the rows of a batch that so many devices share, as `make_batch_plan` takes it."""
        names = ("batch_size", "batch_frames", "rows_multiple", "per_device")
        return rows_on(devices, **{name: getattr(self, name) for name in names})


# Small batches, for tests.
TINY_DATA = DataConfig(batch_size=8, buckets=2, balance_speakers=0.0, held_out=0.1)


class Inputs(NamedTuple):
    """Batches of one process, and what they presuppose.

    The field `inputs` of a configuration names the function that makes this, "package.module:function", called as
    (path, config, share); `corpus_inputs` where a page says nothing.
    """

    config: dict[str, Any]  # resolved: with the section `shapes`, and what else the task's bundle needs to know
    batches: Callable[[int], Any]  # step -> this process's rows of the step's batch
    held_out: Sequence[Callable[[], Any]]  # each makes this process's rows of one held-out batch: each row once
    shapes: Sequence[tuple[int, int, int]] | None  # (rows, frames, phonemes) to compile ahead, for `Batch` only
    fingerprint: str  # of the data
    summary: str  # one line for the terminal
    epoch_steps: Sequence[float] = ()  # of one pass over the data, in each of the shapes, where there is such a thing
    names: Sequence[str] | np.ndarray = ()  # ids of what the field `index` of a batch counts


def corpus_inputs(
    path: str | None,
    config: Mapping[str, Any],
    share: Share,
    measure: Callable[[Corpus], Mapping[str, Any]] = lambda corpus: {},
) -> Inputs:
    """What most tasks train on: a built corpus, or where there is no path a generated one.

    Args:
      path: of the corpus.
      config: of the run.
      share: this process's of every batch.
      measure: what else of the corpus a model is sized by: joins the section `shapes`.

    Raises:
      UserError: no such corpus, it lacks what the section `data` needs, or nothing of it is left.
    """
    data = DataConfig.from_dict(config["data"])
    corpus = open_training_corpus(path, data) if path else synthetic_corpus(data.max_seconds)
    resolved = resolve(config, corpus) | {"rows": batch_of(data.rows_on(share.devices))}
    resolved["shapes"] |= measure(corpus)
    batches, held_out, plan = corpus_batches(corpus, resolved, share)
    summary = (
        f"{plan.utterances} utterances, {len(corpus.speakers)} speakers, {len(plan.shapes)} shapes, "
        f"padding efficiency {plan.padding_efficiency:.3f}"
    )
    steps = plan.epoch_steps
    return Inputs(resolved, batches, held_out, plan.shapes, corpus.fingerprint, summary, steps, corpus.ids)


def open_training_corpus(path: str, data: DataConfig) -> Corpus:
    """The built corpus at `path`, in memory if it is small; raises UserError where it lacks what `data` needs."""
    corpus = open_corpus(path)
    if data.needs_speaker_vectors and corpus.speaker_vectors is None:
        raise UserError(
            "has no speaker vectors", str(path), "Run `copycat embed --bundle SPEAKER --corpus DATA` first."
        )
    if data.needs_f0 and all(s.register_hz is None for s in corpus.info.speakers.values()):
        raise UserError("was built without F0", str(path), "Build it again with --f0 pyin or --f0 dio.")
    if data.needs_audio and not corpus.has_audio:
        raise UserError("was built without audio", str(path), "Build it again with --audio.")
    return corpus.loaded() if corpus.gib <= data.in_memory_gib else corpus


def synthetic_corpus(max_seconds: float, audio: bool = False) -> Corpus:
    """A small generated corpus in memory, each speaker with a vector of its own; with its sound if `audio`."""
    longest = min(3.0, max_seconds)
    utterances = synthetic_utterances(
        SYNTHETIC_UTTERANCES, HIFIGAN, speakers=SYNTHETIC_SPEAKERS, seconds=(longest / 3, longest * 0.99), audio=audio
    )
    names = sorted({u.speaker for u in utterances})
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((len(names), EMBEDDING))
    vectors = np.stack([voices[names.index(u.speaker)] + 0.1 * rng.standard_normal(EMBEDDING) for u in utterances])
    return memory_corpus(utterances, HIFIGAN, (vectors / EMBEDDING**0.5).astype(np.float32))


def resolve(config: Mapping[str, Any], corpus: Corpus) -> dict[str, Any]:
    """The configuration with what the data decides: sections shapes, mel_spec, speakers and vectors_by."""
    width = EMBEDDING if corpus.speaker_vectors is None else int(corpus.speaker_vectors.shape[1])
    shapes = {
        "mel_bins": corpus.spec.mel_bins,
        "speakers": len(corpus.speakers),
        "embedding": width,
        "frame_rate_hz": corpus.spec.frame_rate_hz,
    }
    decided = {"shapes": shapes, "mel_spec": corpus.spec.to_dict(), "speakers": list(corpus.speakers)}
    return {**config, **decided, "vectors_by": corpus.vectors_hash}


def batch_of(rows: Mapping[str, int]) -> dict[str, int]:
    """What of `rows_on` decides which utterances make up a batch: a run goes on where this is the same."""
    return {"batch_size": rows["batch_size"]} if "batch_size" in rows else dict(rows)


def corpus_batches(
    corpus: Corpus, config: Mapping[str, Any], share: Share
) -> tuple[Callable, Sequence[Callable], BatchPlan]:
    """(step -> batch, functions that make the held-out batches, plan) of a resolved configuration over a corpus.

    Raises:
      UserError: nothing is left of the corpus, or a batch cannot be shared by the processes.
    """
    data, width = DataConfig.from_dict(config["data"]), config["shapes"]["embedding"]
    seconds = corpus.lengths / corpus.spec.frame_rate_hz
    usable = (seconds <= data.max_seconds) & (seconds >= data.min_seconds) & (corpus.lengths >= data.min_frames)
    out = held_out(corpus.text_hashes, data.held_out) & usable
    below = data.held_out + (1.0 - data.held_out) * data.share
    kept = held_out(corpus.text_hashes, below) if data.share < 1.0 else usable
    chosen = np.flatnonzero(usable & kept & ~out)
    if len(chosen) == 0:
        frames = f", of {data.min_frames} frames and more," if data.min_frames else ""
        raise UserError(
            f"no utterance between {data.min_seconds} and {data.max_seconds} s{frames} is left",
            "data",
            f"Change data.max_seconds{', data.min_frames' if frames else ''}, data.held_out or data.share.",
        )
    sizes: dict[str, Any] = {"multiple_of": data.multiple_of, **data.rows_on(share.devices)}
    balance = {"speakers": corpus.speaker, "balance": data.balance_speakers}
    lengths, phones = corpus.lengths, corpus.phones
    plan = make_batch_plan(lengths, phones, indices=chosen, buckets=data.buckets, **balance, **sizes)
    batches = make_batches(corpus, plan, config["train"]["seed"], share, embedding=width)
    if not out.any() or not config["train"]["eval_every"]:
        return batches, (), plan
    few = min(4, data.buckets)
    rest = make_evaluation_plan(lengths, phones, np.flatnonzero(out), data.evaluated, buckets=few, **sizes)
    made = make_evaluation(corpus, rest, share, pool=chosen, embedding=width)
    return batches, [lambda make=make: make()[0] for make in made], plan
