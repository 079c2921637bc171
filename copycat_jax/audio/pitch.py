"""Fundamental frequency, voicing and energy on the frames of a mel spectrogram; a voice's register and spread."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from copycat_jax.audio import pyin
from copycat_jax.audio.mel import frame_signal
from copycat_jax.audio.signal import resample, speech_mask, voice_band
from copycat_jax.audio.spool import Samples
from copycat_jax.errors import UserError, nearest
from copycat_jax.mel_spec import MelSpec, window

TRACKERS = ("pyin", "dio", "none")
VOCODER = "vocoder"  # measured a register by the ears of the vocoder that ships (`vocoder.hearing`)
MARGIN_S = 0.5  # what a tracker of a part hears beside it
VOICED_HZ = 46.0  # no one speaks lower; rendered curves hold such values where they mean "unvoiced"
REGISTERS_HZ = (65.0, 400.0)  # of voices, from the lowest basses to small children

# pYIN at about 16 kHz in frames of 64 ms: three periods of the lowest voice.
_PYIN_RATE_HZ = 16000
_PYIN_FRAME = 1024
_DIO_RATE_HZ = 24000
_OCTAVE = 12.0  # semitones


def track_f0(
    samples: Float[np.ndarray, " N"],
    rate: int,
    frames: int,
    hop_s: float,
    tracker: str = "pyin",
    fmin_hz: float = 55.0,
    fmax_hz: float = 600.0,
    heard: Float[np.ndarray, " N"] | None = None,
) -> Float[np.ndarray, " T"]:
    """Tracks the fundamental frequency at the centres of mel frames.

    Args:
      samples: the signal, float32 [N].
      rate: its sample rate in Hz.
      frames: how many values to return, T.
      hop_s: seconds between frames; value t stands at (t + 0.5) * hop_s, the centre of frame t.
      tracker: "pyin" (`audio.pyin`), "dio" (pyworld's dio and stonemask) or "none" (all unvoiced).
      fmin_hz: lowest frequency looked for.
      fmax_hz: highest frequency looked for.
      heard: what `voice_band` makes of the signal, where that is known.

    Returns:
      F0 in Hz, float32 [T]; 0 where the frame is unvoiced.

    Raises:
      UserError: the tracker is unknown, or pyworld is not installed.
    """
    if tracker not in TRACKERS:
        known = f"{nearest(tracker, TRACKERS)} Known: {', '.join(TRACKERS)}."
        raise UserError(f"unknown pitch tracker '{tracker}'", remedy=known)
    if tracker == "none" or not np.any(samples):
        return np.zeros(frames, np.float32)
    track = _pyin if tracker == "pyin" else _dio
    samples = np.asarray(samples, np.float32)
    heard = voice_band(samples, rate) if heard is None else heard
    f0_hz = track(heard, rate, frames, hop_s, fmin_hz, fmax_hz).astype(np.float32)
    if heard is not samples:  # what is left of a hum has a pitch, too
        centres = ((np.arange(frames) + 0.5) * hop_s * rate).astype(np.int64)
        f0_hz[~speech_mask(heard, rate)[np.minimum(centres, len(heard) - 1)]] = 0.0
    return f0_hz


def track_f0_part(
    samples: Samples, rate: int, start: int, stop: int, hop_s: float, tracker: str = "pyin"
) -> Float[np.ndarray, " t"]:
    """Values [start, stop) of `track_f0` of the whole signal, for which only MARGIN_S more on either side is read.

    A path through the whole may differ where it is undecided for longer than the margin; cut in pauses it is not.
    """
    margin = round(MARGIN_S / hop_s)
    first = max(0, start - margin)
    part = samples[round(first * hop_s * rate) : round((stop + margin) * hop_s * rate)]
    return track_f0(part, rate, stop - first, hop_s, tracker)[start - first :]


def _pyin(samples: np.ndarray, rate: int, frames: int, hop_s: float, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    hop = max(1, round(_PYIN_RATE_HZ * hop_s))
    signal = resample(samples, rate, hop / hop_s)  # the rate at which a hop is a whole number of samples
    left = _PYIN_FRAME // 2 - hop // 2
    padded = np.pad(signal, (left, max(0, (frames - 1) * hop + _PYIN_FRAME - left - len(signal))))
    heard = np.lib.stride_tricks.sliding_window_view(padded, _PYIN_FRAME)[::hop][:frames]
    return pyin.track(heard, hop / hop_s, hop, fmin_hz, fmax_hz)


def _dio(samples: np.ndarray, rate: int, frames: int, hop_s: float, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    try:
        import pyworld
    except ImportError as error:
        raise UserError(
            "the pitch tracker 'dio' needs pyworld", remedy="Run: pip install 'copycat-jax[f0]', or use 'pyin'."
        ) from error

    if rate > _DIO_RATE_HZ:
        samples, rate = resample(samples, rate, _DIO_RATE_HZ), _DIO_RATE_HZ
    # WORLD's values stand at multiples of the hop; half a hop of silence before the signal moves them to its centres.
    right = max(0, int(np.ceil((frames + 1) * hop_s * rate)) - len(samples))
    signal = np.pad(samples, (round(hop_s * rate / 2), right)).astype(np.float64)
    world: Any = pyworld  # compiled: its names are not seen
    f0, times = world.dio(signal, rate, f0_floor=fmin_hz, f0_ceil=fmax_hz, frame_period=1000 * hop_s)
    return world.stonemask(signal, f0, times, rate)[1 : frames + 1]


def voiced(f0_hz: Float[np.ndarray, " T"]) -> Bool[np.ndarray, " T"]:
    """True where a frame has a fundamental frequency: at least `VOICED_HZ` and finite."""
    f0_hz = np.asarray(f0_hz, np.float64)
    return np.isfinite(f0_hz) & (f0_hz >= VOICED_HZ)


def semitones(f0_hz: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """F0 in semitones above 1 Hz, float64; NaN where a frame is unvoiced."""
    return 12.0 * np.log2(np.where(voiced(f0_hz), np.asarray(f0_hz, np.float64), np.nan))


def frame_energy(samples: Float[np.ndarray, " N"], spec: MelSpec) -> Float[np.ndarray, " T"]:
    """Natural log of the root mean square of every windowed frame, clipped below at the spec's floor, float32 [T].

    Of a recording that may hum give what `audio.signal.voice_band` makes of it.

    Raises:
      UserError: the signal is shorter than the spec's padding.
    """
    frames, weights = frame_signal(samples, spec), window(spec) ** 2
    power = np.einsum("tf,tf,f->t", frames, frames, weights / weights.sum())
    return np.log(np.maximum(np.sqrt(power), spec.floor)).astype(np.float32)


def melody(f0_hz: Float[np.ndarray, " T"]) -> tuple[Float[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """Semitones above 1 Hz, and which frames to believe: voiced, and within an octave of the median."""
    curve, kept = semitones(f0_hz), voiced(f0_hz)
    if kept.any():
        kept &= np.abs(curve - np.median(curve[kept])) <= _OCTAVE
    return curve, kept


def register_hz(f0: Float[np.ndarray, " T"]) -> float:
    """A voice's register: the geometric mean of its voiced F0 in Hz, the outer tenths drawn in; NaN if none is voiced.

    Values beyond the 10th and 90th percentile count as those percentiles: of the estimates tried on single clips (mean,
    median, trimmed means, quantiles, weights by energy, without the last words) this comes nearest to the speaker's
    register, and it does not mind octave errors. Give the curves of several clips, concatenated, for a better one.
    Trackers miss the lowest, creaky frames, so compare registers only of curves from the same tracker.
    """
    curve, kept = melody(f0)
    heard = curve[kept]
    if not len(heard):
        return float("nan")
    return float(2 ** (np.clip(heard, *np.quantile(heard, [0.1, 0.9])).mean() / 12))


def register_doubt(hertz: float) -> str:
    """What speaks against a register as a voice's, or an empty string."""
    if not np.isfinite(hertz):
        return "nothing in it is voiced, so that its register is not known"
    low, high = REGISTERS_HZ
    if low <= hertz <= high:
        return ""
    return f"a register of {hertz:.0f} Hz is hardly a voice's (they lie between {low:g} and {high:g} Hz)"


def spread_semitones(f0: Float[np.ndarray, " T"]) -> float:
    """Standard deviation of voiced F0 in semitones, octave errors left out; NaN if nothing is voiced."""
    curve, kept = melody(f0)
    heard = curve[kept]
    return float(heard.std()) if len(heard) else float("nan")
