"""Plain value types that both wings share: the mel-spectrogram convention and a labelled stretch of time."""

import dataclasses
from typing import NamedTuple

from copycat_jax.errors import UserError, nearest


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
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_samples

    def frames(self, samples: int) -> int:
        """Number of frames of a signal of `samples` samples."""
        return samples // self.hop_samples

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


class Interval(NamedTuple):
    """A labelled stretch of time in seconds, [start_s, end_s)."""

    start_s: float
    end_s: float
    label: str


class Alignment(NamedTuple):
    """Where every phone and word of an utterance lies in its recording.

    `phones` tile [0, duration of the recording]: contiguous, silences included as "SIL"; labels are symbols of
    `text.phonemes` (ARPABET with stress). `words` are the spoken words only. `score` is the aligner's mean phone score
    per 10 ms frame (higher is better), or NaN where the alignment was read from a file that carries none.
    """

    phones: tuple[Interval, ...]
    words: tuple[Interval, ...]
    score: float
