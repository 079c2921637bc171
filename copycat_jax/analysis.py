"""From a recording to its features: the one way that a corpus's build and a transfer both take.

A recording is trimmed, then aligned, so that silence around it changes nothing at all; an alignment that is given is
of the whole recording and cropped. All that is framed counts from the trimmed sound, which begins `start_s` into the
recording; the alignment counts from the recording's own zero.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from copycat_jax.align.durations import crop, frame_durations, merge_silences, phone_breaks
from copycat_jax.align.passages import align_text
from copycat_jax.align.pieces import cut_segments
from copycat_jax.align.suspicion import check_match, check_words, moved
from copycat_jax.audio.long import LongAudio, resample_long, trim_long
from copycat_jax.audio.mel import extract_mel, extract_mel_part
from copycat_jax.audio.pitch import frame_energy, track_f0, track_f0_part
from copycat_jax.audio.signal import Audio, resample, trim_bounds, voice_band
from copycat_jax.audio.spool import Samples, Spool, Stretch
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.text.lexicon import Lexicon
from copycat_jax.text.phonemes import SIL
from copycat_jax.text.phrasing import word_breaks
from copycat_jax.types import Alignment, Interval

# By which a given alignment may be longer or shorter than its recording. Phones that lie 50 ms late cost a transfer
# 0.013 of F0 correlation and 10 points of voicing error (48 development clips), 100 ms 0.024 and 17 points.
ALIGNMENT_SLACK_S = 0.05
TRACKED_S = 20.0  # of a long recording whose F0 is tracked at once


class Analysis(NamedTuple):
    """A recording and its features; N samples, T frames, P phonemes, M mel bins."""

    samples: Float32[np.ndarray, " N"]  # trimmed, at the spec's rate
    start_s: float  # when they begin in the recording
    length: int  # of the whole recording, in samples at the spec's rate, halves rounded up
    mel: Float32[np.ndarray, "T M"]  # natural log
    phonemes: tuple[str, ...]
    durations: Int32[np.ndarray, " P"]  # frames, each at least 1; their sum is T
    breaks: Int32[np.ndarray, " P"]  # what follows the phoneme: values of text.phrasing, 0 = inside a word
    alignment: Alignment  # of the whole recording
    words: tuple[Interval, ...]  # of the trimmed samples
    f0_hz: Float32[np.ndarray, " T"]  # 0 = unvoiced
    energy: Float32[np.ndarray, " T"]  # log-RMS of the frame

    def mel_part(self, start: int, stop: int) -> Float32[np.ndarray, "t M"]:
        """Frames [start, stop) of the mel."""
        return self.mel[start:stop]


class Survey(NamedTuple):
    """What of an `Analysis` conversion needs, of a recording of any length: its sound lies in a temporary file."""

    samples: Spool  # trimmed, at the spec's rate
    spec: MelSpec
    start_s: float
    length: int
    phonemes: tuple[str, ...]
    durations: Int32[np.ndarray, " P"]
    alignment: Alignment
    words: tuple[Interval, ...]
    f0_hz: Float32[np.ndarray, " T"]

    def mel_part(self, start: int, stop: int) -> Float32[np.ndarray, "t M"]:
        """Frames [start, stop) of the mel."""
        return extract_mel_part(self.samples, self.spec, start, stop).astype(np.float32)


def analyse(
    audio: Audio,
    spec: MelSpec,
    *,
    text: str | None = None,
    alignment: Alignment | None = None,
    lexicon: Lexicon | None = None,
    tracker: str = "pyin",
    where: str = "recording",
    force: bool = False,
) -> Analysis:
    """Trims, aligns and measures a recording.

    Args:
      audio: the recording as it came, at any rate.
      spec: the mel convention; its rate and frames are those of all features.
      text: what is said. Beside an alignment it tells which breaks follow its words, which must be the text's.
      alignment: where the phones of the whole recording lie, if that is known. Without it and without a text the
        whole is one silence: the features of a sound about whose words nothing is known.
      lexicon: looked into before all else.
      tracker: of F0, a name of `audio.pitch.TRACKERS`.
      where: the recording's name, for errors that name no other place.
      force: go on although the text does not seem to be what is said.

    Raises:
      UserError: nothing but silence, a text that is not what was said, or an alignment of something else.
    """
    rate, seconds = audio.sample_rate, len(audio.samples) / audio.sample_rate
    hop_s = spec.hop_s
    with _named(where):
        start, stop = trim_bounds(audio.samples, rate)
        start_s, stop_s = start / rate, stop / rate
        given = alignment is not None
        if alignment is None:
            alignment = _aligned(audio.samples[start:stop], start_s, seconds, rate, text, lexicon, force)
        _check_length(alignment, seconds)
        if not force:
            if given and text is not None:
                check_words(alignment, text, where, lexicon.entries if lexicon else ())
            check_match(alignment, where)
        samples = resample(audio.samples[start:stop], rate, spec.sample_rate)
        mel = extract_mel(samples, spec).astype(np.float32)
        heard = voice_band(samples, spec.sample_rate)
        phones, words = (crop(tier, start_s, stop_s) for tier in (alignment.phones, alignment.words))
        phonemes, durations = frame_durations(phones, len(mel), hop_s)
    kinds = word_breaks(text or "", lexicon.entries if lexicon else (), len(words))
    return Analysis(
        samples=samples,
        start_s=start_s,
        length=_length(audio, spec),
        mel=mel,
        phonemes=tuple(phonemes),
        durations=durations,
        breaks=_breaks(phonemes, phones, phone_breaks(phones, words, kinds)),
        alignment=alignment,
        words=tuple(words),
        f0_hz=track_f0(samples, spec.sample_rate, len(mel), hop_s, tracker, heard=heard),
        energy=frame_energy(heard, spec),
    )


def survey(
    audio: LongAudio,
    spec: MelSpec,
    *,
    text: str | None = None,
    alignment: Alignment | None = None,
    lexicon: Lexicon | None = None,
    tracker: str = "pyin",
    where: str = "recording",
    force: bool = False,
    progress: Callable[[float], object] = lambda seconds: None,
) -> Survey:
    """Trims, aligns and measures a recording of any length; arguments and errors as in `analyse`.

    `progress` hears twice of every second of the recording: when it is aligned, and when its F0 is tracked.
    """
    rate, seconds = audio.sample_rate, len(audio.samples) / audio.sample_rate
    with _named(where):
        start, stop = trim_long(audio.samples, rate)
        start_s, stop_s = start / rate, stop / rate
        given = alignment is not None
        if alignment is None:
            alignment = _aligned(
                Stretch(audio.samples, start, stop), start_s, seconds, rate, text, lexicon, force, progress
            )
        _check_length(alignment, seconds)
        if not force:
            if given and text is not None:
                check_words(alignment, text, where, lexicon.entries if lexicon else ())
            check_match(alignment, where)
        samples = resample_long(audio.samples, start, stop, rate, spec.sample_rate)
        phones, words = (crop(tier, start_s, stop_s) for tier in (alignment.phones, alignment.words))
        phonemes, durations = frame_durations(phones, spec.frames(len(samples)), spec.hop_s)
    f0_hz = []
    for piece in cut_segments(phonemes, durations, words, spec.hop_s, TRACKED_S):
        at = sum(map(len, f0_hz))  # the pause between two pieces belongs to the later one
        f0_hz.append(track_f0_part(samples, spec.sample_rate, at, piece.stop, spec.hop_s, tracker))
        progress(len(f0_hz[-1]) * spec.hop_s)
    return Survey(
        samples=samples,
        spec=spec,
        start_s=start_s,
        length=_length(audio, spec),
        phonemes=tuple(phonemes),
        durations=durations,
        alignment=alignment,
        words=tuple(words),
        f0_hz=np.concatenate(f0_hz),
    )


def _length(audio: Audio | LongAudio, spec: MelSpec) -> int:
    """Samples of the whole recording at the spec's rate, halves rounded up."""
    return (2 * len(audio.samples) * spec.sample_rate + audio.sample_rate) // (2 * audio.sample_rate)


def _aligned(
    speech: Samples,
    start_s: float,
    seconds: float,
    rate: int,
    text: str | None,
    lexicon: Lexicon | None,
    force: bool,
    progress: Callable[[float], object] = lambda seconds: None,
) -> Alignment:
    """Where the phones of `text` lie in a whole recording, of which `speech` is the part that is not silent."""
    if text is None:
        return Alignment((Interval(0.0, seconds, SIL),), (), float("nan"))
    return _moved(align_text(speech, rate, text, lexicon, progress, force), start_s, seconds)


def _check_length(alignment: Alignment, seconds: float) -> None:
    lasts = alignment.phones[-1].end_s if alignment.phones else 0.0
    if abs(lasts - seconds) > ALIGNMENT_SLACK_S:
        found = f"the alignment is {lasts:.2f} s long, the recording {seconds:.2f} s"
        raise UserError(found, remedy="Align the recording again.")


def _moved(alignment: Alignment, by_s: float, seconds: float) -> Alignment:
    """An alignment of the trimmed part as one of the whole recording, whose edges are silence."""
    phones, words = (
        [Interval(i.start_s + by_s, i.end_s + by_s, i.label) for i in tier]
        for tier in (alignment.phones, alignment.words)
    )
    edges = Interval(0.0, by_s, SIL), Interval(phones[-1].end_s, seconds, SIL)
    whole = merge_silences([edge for edge in (edges[0], *phones, edges[1]) if edge.end_s > edge.start_s])
    return alignment._replace(phones=tuple(whole), words=tuple(words), doubts=moved(alignment.doubts, by_s))


def _breaks(symbols: Sequence[str], phones: Sequence[Interval], kinds: Sequence[int]) -> np.ndarray:
    """`kinds` of `phones` as those of `symbols`: rounding to frames merges and drops silences, never another phone."""
    spoken = iter([kind for phone, kind in zip(phones, kinds, strict=True) if phone.label != SIL])
    return np.array([0 if symbol == SIL else next(spoken) for symbol in symbols], np.int32)


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Names the recording in a UserError that names no place of its own."""
    try:
        yield
    except UserError as error:
        raise error if error.where else type(error)(error.what, where, error.remedy) from None
