"""The convention of a log-mel spectrogram: framing, window and Slaney's mel filters; NumPy alone, for both wings."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float

from copycat_jax.errors import UserError, nearest

# Slaney's scale (Auditory Toolbox): linear below 1 kHz, 200 / 3 Hz a mel; above, 27 mels to a factor of 6.4.
_HZ_PER_MEL, _CORNER_HZ, _LOG_STEP = 200.0 / 3, 1000.0, np.log(6.4) / 27.0
_CORNER_MEL = _CORNER_HZ / _HZ_PER_MEL


@dataclasses.dataclass(frozen=True)
class MelSpec:
    """One convention for log-mel spectrograms, framed so that N samples give exactly N // hop_samples frames.

    The signal is reflect-padded by (fft_samples - hop_samples) / 2 on each side and not centred; the magnitude
    (power 1) spectrum passes through Slaney-normalised mel filters; the result is the natural logarithm of the
    filter outputs clipped below at `floor`.
    """

    name: str
    sample_rate: int
    fft_samples: int
    window_samples: int
    hop_samples: int
    mel_bins: int
    fmin_hz: float
    fmax_hz: float
    floor: float = 1e-5

    @property
    def pad_samples(self) -> int:
        """Samples of reflection on each side."""
        return (self.fft_samples - self.hop_samples) // 2

    @property
    def hop_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_samples / self.sample_rate

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_samples

    def frames(self, samples: int) -> int:
        """Number of frames of a signal of `samples` samples."""
        return samples // self.hop_samples

    def is_like(self, other: "MelSpec") -> bool:
        """Whether it is the same convention, whatever it is called."""
        return dataclasses.replace(self, name="") == dataclasses.replace(other, name="")

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary; `from_dict` inverts it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> "MelSpec":
        """Rebuilds a spec from `to_dict`'s dictionary; raises UserError on unknown or missing fields."""
        names = {f.name for f in dataclasses.fields(cls)}
        if set(fields) - names or names - {"floor"} - set(fields):
            raise UserError(f"not a mel convention: fields {sorted(fields)}", remedy=f"Expected {sorted(names)}.")
        return cls(**fields)


HIFIGAN = MelSpec("hifigan", 22050, 1024, 1024, 256, 80, 0.0, 8000.0)
PAPER_24K = MelSpec("paper_24k", 24000, 2048, 1200, 300, 80, 50.0, 12000.0)
MEL_SPECS = {spec.name: spec for spec in (HIFIGAN, PAPER_24K)}


def mel_spec(name: str) -> MelSpec:
    """The named spec; raises UserError for an unknown name."""
    if name not in MEL_SPECS:
        raise UserError(
            f"unknown mel spec '{name}'", remedy=f"{nearest(name, MEL_SPECS)} Known: {', '.join(MEL_SPECS)}."
        )
    return MEL_SPECS[name]


def _mel_of(hertz: float) -> float:
    if hertz < _CORNER_HZ:
        return hertz / _HZ_PER_MEL
    return _CORNER_MEL + np.log(hertz / _CORNER_HZ) / _LOG_STEP


@functools.lru_cache
def mel_edges_hz(spec: MelSpec) -> Float[np.ndarray, " edges"]:
    """Where the mel filters begin, peak and end, float64: filter m rises from edge m to m + 1 and falls to m + 2."""
    mels = np.linspace(_mel_of(spec.fmin_hz), _mel_of(spec.fmax_hz), spec.mel_bins + 2)
    above = mels >= _CORNER_MEL
    edges = _HZ_PER_MEL * mels
    edges[above] = _CORNER_HZ * np.exp(_LOG_STEP * (mels[above] - _CORNER_MEL))
    edges.setflags(write=False)
    return edges


@functools.lru_cache
def mel_filters(spec: MelSpec, dtype: Any = np.float64) -> Float[np.ndarray, "F M"]:
    """The triangular mel filters, each of area 1 over Hz; F = fft_samples / 2 + 1. Equal to librosa's (Slaney)."""
    edges = mel_edges_hz(spec)
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(spec.fft_samples, 1.0 / spec.sample_rate))
    widths = np.diff(edges)[:, None]
    filters = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(dtype)
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    filters.setflags(write=False)
    return filters.T


@functools.lru_cache
def hann(size: int) -> Float[np.ndarray, " n"]:
    """The periodic Hann window, float64."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


@functools.lru_cache
def window(spec: MelSpec, dtype: Any = np.float64) -> Float[np.ndarray, " fft"]:
    """The periodic Hann window of `window_samples`, centred in `fft_samples`."""
    left = (spec.fft_samples - spec.window_samples) // 2
    padded = np.pad(hann(spec.window_samples), (left, spec.fft_samples - spec.window_samples - left)).astype(dtype)
    padded.setflags(write=False)
    return padded
