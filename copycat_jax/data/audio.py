"""Windows of recordings with their mel and F0, for a vocoder: drawn anew at every step, as pure as any batch."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, Int32

from copycat_jax.batch import Array
from copycat_jax.config import Config, setting
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.data.inputs import DataConfig, Inputs, batch_of, open_training_corpus, synthetic_corpus
from copycat_jax.data.plan import BatchIndices, Share, evaluation_batches, held_out, make_evaluation_plan, rows_on
from copycat_jax.errors import UserError
from copycat_jax.records import allocate


class AudioWindows(NamedTuple):
    """B windows of T frames, N = T * hop samples; every frame is real."""

    index: Int32[Array, "B"]
    samples: Int16[Array, "B N"]  # full scale is 32768
    mel: Float32[Array, "B T M"]  # natural log
    f0_hz: Float32[Array, "B T"]  # 0 = unvoiced
    mask: Bool[Array, "B T"]


@dataclasses.dataclass(frozen=True)
class AudioConfig(Config, section="data"):
    """How windows are drawn from a corpus built with --audio.

    Attributes:
      batch_size: windows of a batch, over all hosts.
      window_frames: frames of a window.
      held_out: share of the texts that is not trained on.
      evaluated: of so many of the held-out utterances, of all lengths, one window each is evaluated; 0 = of all.
      in_memory_gib: a corpus up to this size is decoded once and kept in memory.
      bundles: folders of bundles, in a list with commas; see `bundle.reconstruction.finetuning_inputs`.
      bundle_share: of the windows of an utterance that a bundle reconstructs, how many show its mel.
      balance_speakers: 0 draws every second of sound equally often, 1 every speaker.
    """

    batch_size: int = setting(64, at_least=1)
    window_frames: int = setting(80, at_least=8)
    held_out: float = 0.01
    evaluated: int = 512
    in_memory_gib: float = 16.0
    bundles: str = ""
    bundle_share: float = 0.6
    balance_speakers: float = 0.15


class WindowDraw(NamedTuple):
    """What windows are drawn from: utterances at least a window long, and how likely each is."""

    members: Int[np.ndarray, " n"]
    chances: np.ndarray  # float64 [n], sum 1


def audio_inputs(path: str | None, config: Mapping[str, Any], share: Share) -> Inputs:
    """Opens a corpus with audio for the trainer; a generated one where there is no path.

    Raises:
      UserError: no such corpus, one built without audio or F0, or nothing long enough in it.
    """
    return window_inputs(open_audio_corpus(path, config), config, share)


def open_audio_corpus(path: str | None, config: Mapping[str, Any]) -> Corpus:
    """The corpus at `path`, a generated one where there is none; raises UserError without audio or F0."""
    needs = DataConfig(in_memory_gib=config["data"]["in_memory_gib"], needs_f0=True, needs_audio=True)
    return open_training_corpus(path, needs) if path else synthetic_corpus(3.0, audio=True)


def window_inputs(
    corpus: Corpus,
    config: Mapping[str, Any],
    share: Share,
    mels: Mapping[int, Sequence[np.ndarray]] | None = None,
) -> Inputs:
    """Batches of windows of an open corpus; `mels`: index -> other mels [T, M], shown in `bundle_share` of them."""
    data = AudioConfig.from_dict(config["data"])
    out = held_out(corpus.text_hashes, data.held_out)
    long = corpus.lengths >= data.window_frames
    draw, rest = (window_draw(corpus, np.flatnonzero(long & ~out), data), np.flatnonzero(long & out))
    spec, rows = corpus.spec, rows_on(share.devices, batch_size=data.batch_size)
    data = dataclasses.replace(data, batch_size=rows["batch_size"])
    batches = make_windows(corpus, draw, data, config["train"]["seed"], share, mels)
    evaluated = len(rest) and config["train"]["eval_every"]
    held = held_out_windows(corpus, rest, data, rows, share, mels) if evaluated else ()
    shapes = {"mel_spec": spec.to_dict(), "speakers": len(corpus.speakers)}
    resolved = {**config, "shapes": shapes, "mel_spec": spec.to_dict(), "rows": batch_of(rows)}
    hours = float(corpus.lengths[draw.members].sum()) * spec.hop_s / 3600
    summary = f"{len(draw.members)} utterances, {hours:.2f} h, {len(corpus.speakers)} speakers"
    # Windows bring no speaker vectors: the corpus may be embedded meanwhile.
    return Inputs(resolved, batches, held, None, corpus.info.fingerprint, summary, names=corpus.ids)


def window_draw(corpus: Corpus, members: Int[np.ndarray, " n"], data: AudioConfig) -> WindowDraw:
    """How likely each utterance is; raises UserError where none is as long as a window."""
    if len(members) == 0:
        seconds = data.window_frames * corpus.spec.hop_s
        raise UserError(f"no utterance of {seconds:.2f} s is left", "data", "Lower data.window_frames.")
    frames = corpus.lengths[members].astype(np.float64)
    per_speaker = np.bincount(corpus.speaker[members], frames, len(corpus.speakers))
    chances = frames * per_speaker[corpus.speaker[members]] ** -data.balance_speakers
    return WindowDraw(members, chances / chances.sum())


def make_windows(
    corpus: Corpus,
    draw: WindowDraw,
    data: AudioConfig,
    seed: int,
    share: Share = Share(),  # noqa: B008 - immutable
    mels: Mapping[int, Sequence[np.ndarray]] | None = None,
) -> Callable[[int], AudioWindows]:
    """Makes the function step -> this process's rows of the step's windows, by (seed, step) alone."""
    bounds = np.cumsum(draw.chances)

    def windows_of(step: int) -> AudioWindows:
        rng = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), step]))
        draws = rng.random((data.batch_size, 3))
        chosen = np.minimum(np.searchsorted(bounds, draws[:, 0] * bounds[-1], side="right"), len(bounds) - 1)
        indices = share.of(draw.members[chosen].astype(np.int32))
        return cut_windows(corpus, indices, share.of(draws[:, 1:]), data, mels)

    return windows_of


def held_out_windows(
    corpus: Corpus,
    members: Int[np.ndarray, " n"],
    data: AudioConfig,
    rows: Mapping[str, int],
    share: Share,
    mels: Mapping[int, Sequence[np.ndarray]] | None = None,
) -> list[Callable[[], AudioWindows]]:
    """Functions that make this process's rows of the evaluation: one window, always the same, of each utterance."""
    draws = np.random.default_rng(0).random((len(corpus), 2))
    plan = make_evaluation_plan(corpus.lengths, corpus.phones, members, data.evaluated, buckets=1, **rows)

    def make(planned: BatchIndices, counts: np.ndarray) -> AudioWindows:
        indices = share.of(planned.indices)
        windows = cut_windows(corpus, indices, draws[indices], data, mels)
        return windows._replace(mask=windows.mask & share.of(counts)[:, None])

    return [functools.partial(make, *pair) for pair in evaluation_batches(plan)]


def cut_windows(
    corpus: Corpus,
    indices: Int32[np.ndarray, " B"],
    draws: Float[np.ndarray, "B 2"],
    data: AudioConfig,
    mels: Mapping[int, Sequence[np.ndarray]] | None = None,
) -> AudioWindows:
    """A window of each utterance; from 0 to 1 `draws` tell where it lies, and whether and which other mel it shows."""
    frames, hop, others = data.window_frames, corpus.spec.hop_samples, mels or {}
    sizes = {"B": len(indices), "T": frames, "N": frames * hop, "M": corpus.spec.mel_bins}
    windows = allocate(AudioWindows, sizes, index=indices)
    windows.mask[:] = True
    for row, (index, (place, own)) in enumerate(zip(indices, draws, strict=True)):
        utterance: Utterance = corpus.utterance(index)
        start = int(place * (len(utterance.mel) - frames + 1))
        windows.samples[row] = utterance.samples[start * hop : (start + frames) * hop]
        mel = utterance.mel
        if own < data.bundle_share and (found := others.get(int(index))):
            mel = found[int(own / data.bundle_share * len(found))]
        windows.mel[row] = mel[start : start + frames]
        windows.f0_hz[row] = utterance.f0_hz[start : start + frames]
    return windows
