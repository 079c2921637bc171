"""Log-mel extraction on the host in float64; `nn.spectrum` is its batched twin on device."""

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.spool import Samples
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec, mel_filters, window

# Frames transformed at a time: bounds the memory that an hour of speech takes.
_CHUNK = 4096


def frame_signal(samples: Float[np.ndarray, " N"], spec: MelSpec) -> Float[np.ndarray, "T fft"]:
    """The frames of a signal, float64 [N // hop, fft], reflect-padded by (fft - hop) / 2 on each side (a view).

    Raises:
      UserError: the signal is too short to be reflected, or shorter than one hop.
    """
    samples = np.asarray(samples, np.float64)
    needed = max(spec.pad_samples + 1, spec.hop_samples)
    if len(samples) < needed:
        raise UserError(
            f"the recording has {len(samples)} samples ({1000 * len(samples) / spec.sample_rate:.1f} ms)",
            remedy=f"At least {needed} samples at {spec.sample_rate} Hz are needed.",
        )
    padded = np.pad(samples, spec.pad_samples, mode="reflect")
    everywhere = np.lib.stride_tricks.sliding_window_view(padded, spec.fft_samples)
    return everywhere[:: spec.hop_samples][: spec.frames(len(samples))]


def extract_mel(samples: Float[np.ndarray, " N"], spec: MelSpec) -> Float[np.ndarray, "T M"]:
    """Log-mel spectrogram of a signal at the spec's own sample rate, float64 [N // hop_samples, M].

    Equal to the logarithm of librosa's melspectrogram (power 1, Slaney, `center=False` on the same padding).

    Raises:
      UserError: the signal is shorter than the padding.
    """
    frames = frame_signal(samples, spec)
    hann, filters = window(spec), mel_filters(spec)
    mel = np.empty((len(frames), spec.mel_bins))
    for start in range(0, len(frames), _CHUNK):
        magnitude = np.abs(np.fft.rfft(frames[start : start + _CHUNK] * hann, axis=1))
        mel[start : start + _CHUNK] = magnitude @ filters
    return np.log(np.maximum(mel, spec.floor))


def extract_mel_part(samples: Samples, spec: MelSpec, start: int, stop: int) -> Float[np.ndarray, "t M"]:
    """Frames [start, stop) of the whole signal's `extract_mel`; only they and what lies around them are read."""
    margin = -(-spec.pad_samples // spec.hop_samples)
    first, last = max(0, start - margin), stop + margin
    whole = spec.frames(len(samples))
    end = len(samples) if last >= whole else last * spec.hop_samples
    mel = extract_mel(samples[first * spec.hop_samples : end], spec)
    return mel[start - first : stop - first]
