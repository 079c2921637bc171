"""Log-mel extraction on the host in float64; `nn.spectrum` is its batched twin on device."""

import functools

import numpy as np
from jaxtyping import Float

from copycat_jax.errors import UserError
from copycat_jax.numba_cache import import_librosa
from copycat_jax.types import MelSpec

# Frames transformed at a time: bounds the memory that an hour of speech takes.
_CHUNK = 4096


@functools.lru_cache
def mel_filters(spec: MelSpec) -> Float[np.ndarray, "M F"]:
    """The Slaney-normalised triangular filters of a spec, float64 [M, F] with F = fft_samples / 2 + 1."""
    filters = import_librosa().filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.fft_samples,
        n_mels=spec.mel_bins,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        dtype=np.float64,
    )
    filters.setflags(write=False)
    return filters


def window(spec: MelSpec) -> Float[np.ndarray, " fft"]:
    """The periodic Hann window of `window_samples`, centred in `fft_samples`."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window_samples) / spec.window_samples)
    left = (spec.fft_samples - spec.window_samples) // 2
    return np.pad(hann, (left, spec.fft_samples - spec.window_samples - left))


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
    hann, filters = window(spec), mel_filters(spec).T
    mel = np.empty((len(frames), spec.mel_bins))
    for start in range(0, len(frames), _CHUNK):
        magnitude = np.abs(np.fft.rfft(frames[start : start + _CHUNK] * hann, axis=1))
        mel[start : start + _CHUNK] = magnitude @ filters
    return np.log(np.maximum(mel, spec.floor))
