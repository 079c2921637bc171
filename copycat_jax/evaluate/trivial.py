"""Systems that learn nothing: between what, and how far from what, a figure of a transfer lies.

`source` copies the recording, `shifted` moves its F0 to the target's register, `average` gives it the average melody,
`monotone` none, all three by WORLD (Morise et al. 2016); `copy-synthesis` is the truth through the vocoder: the ceiling
of every system that speaks through it. Each is a function of one row of a suite.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.mel import extract_mel
from copycat_jax.audio.pitch import register_hz
from copycat_jax.audio.signal import Audio, read_audio, resample
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.vocoder.hearing import vocode_mels
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, Vocoder, open_vocoder

FALL_SEMITONES = 4.0  # of the average melody: declination from start to end of a sentence, about its register
_FRAME_MS = 5.0  # WORLD's


class Taken(NamedTuple):
    """What WORLD takes a recording apart into."""

    f0_hz: Float[np.ndarray, " T"]  # 0 = unvoiced
    envelope: Float[np.ndarray, "T K"]
    aperiodicity: Float[np.ndarray, "T K"]


def source(row: Mapping[str, Any], register: float) -> Audio:
    """The recording as it is."""
    return read_audio(row["source"])


def shifted(row: Mapping[str, Any], register: float) -> Audio:
    """Its melody in the target's register; its own timbre."""
    return _spoken_at(row, lambda f0_hz: f0_hz * register / register_hz(f0_hz))


def monotone(row: Mapping[str, Any], register: float) -> Audio:
    """The target's register throughout."""
    return _spoken_at(row, lambda f0_hz: np.where(f0_hz > 0, register, 0.0))


def average(row: Mapping[str, Any], register: float) -> Audio:
    """A straight fall by `FALL_SEMITONES` from first to last voiced frame, about the target's register."""

    def fall(f0_hz: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(f0_hz > 0)
        place = (np.arange(len(f0_hz)) - at[0]) / max(at[-1] - at[0], 1)
        return np.where(f0_hz > 0, register * 2.0 ** (FALL_SEMITONES / 12 * (0.5 - place)), 0.0)

    return _spoken_at(row, fall)


def copy_synthesis(row: Mapping[str, Any], register: float) -> Audio:
    """The row's truth, or its source where there is none, through the mel and the vocoder that ships."""
    audio = read_audio(row.get("truth") or row["source"])
    samples = resample(audio.samples, audio.sample_rate, HIFIGAN.sample_rate)
    mel = extract_mel(samples, HIFIGAN)
    made = vocode_mels(_vocoder(), mel[None], HIFIGAN, bucket=lambda frames: -(-frames // 256) * 256)
    return Audio(made[0, : len(samples)].astype(np.float32), HIFIGAN.sample_rate)


# Name -> function of (row of a suite, register of its target in Hz).
TRIVIAL: dict[str, Callable[[Mapping[str, Any], float], Audio]] = {
    "source": source,
    "shifted": shifted,
    "average": average,
    "monotone": monotone,
    "copy-synthesis": copy_synthesis,
}


def _spoken_at(row: Mapping[str, Any], melody: Callable[[np.ndarray], np.ndarray]) -> Audio:
    """The row's source with another F0; unchanged where it has none. UserError where WORLD is not installed."""
    audio, world = read_audio(row["source"]), _world()
    taken = _take_apart(world, audio)
    if not (taken.f0_hz > 0).any():
        return audio
    f0_hz = np.ascontiguousarray(melody(taken.f0_hz), np.float64)
    made = world.synthesize(f0_hz, taken.envelope, taken.aperiodicity, audio.sample_rate, _FRAME_MS)
    samples = np.zeros(len(audio.samples), np.float32)
    samples[: len(made)] = made[: len(samples)]
    return Audio(samples, audio.sample_rate)


@functools.cache
def _vocoder() -> Vocoder:
    return open_vocoder(DEFAULT_VOCODER, HIFIGAN)


def _take_apart(world: Any, audio: Audio) -> Taken:
    samples = audio.samples.astype(np.float64)
    rough, times = world.harvest(samples, audio.sample_rate, frame_period=_FRAME_MS)
    f0_hz = world.stonemask(samples, rough, times, audio.sample_rate)
    envelope = world.cheaptrick(samples, f0_hz, times, audio.sample_rate)
    return Taken(f0_hz, envelope, world.d4c(samples, f0_hz, times, audio.sample_rate))


def _world() -> Any:
    try:
        import pyworld
    except ImportError:
        raise UserError("this system needs pyworld", remedy="Run: pip install 'copycat-jax[f0]'.") from None
    return pyworld
