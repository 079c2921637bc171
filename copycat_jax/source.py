"""A recording made ready for transfer, and how its making is followed."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from copycat_jax import console
from copycat_jax.align import suspicion
from copycat_jax.align.pieces import Segment
from copycat_jax.analysis import Analysis, Survey
from copycat_jax.audio import pitch
from copycat_jax.audio.signal import voice_band
from copycat_jax.bundle.bundle import Speaker
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec

RATIO_RANGE = (0.35, 3.0)  # of registers: beyond it an estimate is wrong, not a voice strange
LARGEST_SHIFT = 18.0  # semitones; beyond, even voices of one register leave that range

Progress = Callable[[float], object]  # hears of seconds done


def silently(seconds: float) -> None:
    """Hears of progress and says nothing."""


class Source(NamedTuple):
    """A recording made ready for transfer: what it is, whose voice it has, and how it is cut for the models."""

    analysis: Analysis | Survey  # a Survey of one longer than WHOLE_S
    register_hz: float
    vector: np.ndarray  # float32 [E]
    pieces: tuple[Segment, ...]
    lufs: float  # how loud it is

    @property
    def confidence(self) -> float:
        """How surely the text is what is said, 0..1; 1 where an alignment without a score was given."""
        return suspicion.confidence(self.analysis.alignment)


def reference_of(found: Analysis | Survey, start: int, stop: int, kind: str, spec: MelSpec) -> np.ndarray:
    """What a model of `kind` hears of the frames [start, stop): mel [T, M]; F0 in Hz and log-RMS [T, 2] a baseline."""
    if kind == "copycat":
        return found.mel_part(start, stop)
    if isinstance(found, Analysis):
        energy = found.energy[start:stop]
    else:
        part = found.samples[start * spec.hop_samples : stop * spec.hop_samples]
        energy = pitch.frame_energy(voice_band(part, spec.sample_rate), spec)
    return np.stack([found.f0_hz[start:stop], energy], -1).astype(np.float32)


def check_shift(semitones: float) -> None:
    """Raises UserError for a register shift that no two voices allow."""
    if not abs(semitones) <= LARGEST_SHIFT:  # also false for NaN
        remedy = f"Give {-LARGEST_SHIFT:g} to {LARGEST_SHIFT:g}."
        raise UserError(f"a register shift of {semitones:g} semitones", "--register-shift", remedy)


def tracker_of(voices: Mapping[str, Speaker]) -> str:
    """What measured the registers of a bundle's voices, by which a source's is measured too."""
    known = sorted({voice.tracker for voice in voices.values()} - {"none"})
    if len(known) > 1:
        raise UserError(f"its registers were measured by {' and '.join(known)}", "bundle", "Export it from one corpus.")
    return known[0] if known else pitch.TRACKERS[0]


def tracked_by(tracker: str) -> str:
    """What tracks the F0 of a recording, of `audio.pitch.TRACKERS`, where `tracker` measures the registers.

    Nothing where the vocoder hears it: that needs a mel, and comes after.
    """
    return "none" if tracker == pitch.VOCODER else tracker


def register_ratio(source_hz: float, target_hz: float, shift_semitones: float) -> float:
    """Target register / source register, shifted; 1 where the source has no voiced frame to tell its register by."""
    if not (math.isfinite(source_hz) and source_hz > 0):
        return 2.0 ** (shift_semitones / 12)
    wanted = target_hz / source_hz * 2.0 ** (shift_semitones / 12)
    ratio = min(max(wanted, RATIO_RANGE[0]), RATIO_RANGE[1])
    if ratio != wanted:
        far = f"{source_hz:.0f} Hz lies too far from {source_hz * wanted:.0f} Hz to be believed"
        console.warn(f"the register is moved by a factor of {ratio:g} only, not by {wanted:.2f}: {far}")
    return ratio
