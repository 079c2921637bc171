"""Loudness by ITU-R BS.1770-5, for one channel, and a sound brought to a loudness without clipping."""

import math

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.spool import Samples, blocks_of

STEP_S = 0.1  # of the gating blocks, which last four steps
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
CLOSE_LU = 0.1  # when a gain is good enough
KNEE = 0.8  # samples above it are bent towards 1 instead of clipped


class Meter:
    """Takes a sound of any length block by block and says how loud it is; holds ten numbers a second."""

    def __init__(self, rate: int):
        self._filter, self._step = _k_weighting(rate), max(1, round(STEP_S * rate))
        self._state = np.zeros((len(self._filter), 2))
        self._rest, self._powers = np.zeros(0), [np.zeros(0)]

    def add(self, samples: Float[np.ndarray, " N"]) -> None:
        """Hears the next samples."""
        from scipy.signal import sosfilt

        if not len(samples):
            return
        weighted, self._state = sosfilt(self._filter, np.asarray(samples, np.float64), zi=self._state)
        heard = np.concatenate([self._rest, weighted**2])
        whole = len(heard) // self._step * self._step
        self._powers.append(heard[:whole].reshape(-1, self._step).mean(axis=1))
        self._rest = heard[whole:]

    def lufs(self) -> float:
        """The gated loudness of all that was heard in LUFS; -inf if nothing passes the gates.

        What is shorter than a block of 0.4 s is one block.
        """
        steps = np.concatenate(self._powers)
        if len(steps) < 4:
            rest = [self._rest.mean()] if len(self._rest) else []
            power = np.array([np.mean([*steps, *rest])]) if len(steps) or rest else np.zeros(0)
        else:
            power = np.lib.stride_tricks.sliding_window_view(steps, 4).mean(axis=1)
        power = power[power > _power(ABSOLUTE_GATE_LUFS)]
        if not len(power):
            return -math.inf
        return _lufs(power[power > _power(_lufs(power.mean()) + RELATIVE_GATE_LU)].mean())


def loudness_lufs(samples: Samples, rate: int, gain: float = 1.0) -> float:
    """The loudness of a sound, as `Meter.lufs`; with a gain, of the sound times it, `limit`ed."""
    meter = Meter(rate)
    for block in blocks_of(samples):
        meter.add(block if gain == 1.0 else limit(gain * block))
    return meter.lufs()


def gain_to(lufs: float, samples: Samples, rate: int) -> float:
    """The factor after which a sound, once it is `limit`ed, has the loudness `lufs`; 1 where either is silent."""
    gain = 1.0
    for _ in range(4):  # the first step is exact but for the peaks that it bends
        missing = lufs - loudness_lufs(samples, rate, gain)
        if not math.isfinite(missing) or abs(missing) < CLOSE_LU:
            break
        gain *= 10 ** (missing / 20)
    return gain


def limit(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Samples bent smoothly to stay within [-1, 1]; those below KNEE are untouched, so that levels never jump."""
    loud = np.abs(samples)
    bent = KNEE + (1.0 - KNEE) * np.tanh((loud - KNEE) / (1.0 - KNEE))
    return np.where(loud > KNEE, np.sign(samples) * bent, samples).astype(np.float32)


def _k_weighting(rate: int) -> Float[np.ndarray, "2 6"]:
    """The standard's shelf and high-pass as second-order sections.

    It gives coefficients for 48 kHz; those of another rate come from the same analogue filters by the bilinear
    transform, whose frequencies, gain and qualities follow from the printed coefficients.
    """
    k, gain = math.tan(math.pi * 1681.974450955533 / rate), 10 ** (3.999843853973347 / 20)
    damping, middle = k / 0.7071752369554196, gain**0.4996667741545416
    shelf = [
        (gain + middle * damping + k * k, 2 * (k * k - gain), gain - middle * damping + k * k),
        (1 + damping + k * k, 2 * (k * k - 1), 1 - damping + k * k),
    ]
    k = math.tan(math.pi * 38.13547087602444 / rate)
    damping = k / 0.5003270373238773
    scale = 1 + damping + k * k  # the standard's numerator is 1, -2, 1 after the division by it
    high_pass = [(scale, -2 * scale, scale), (scale, 2 * (k * k - 1), 1 - damping + k * k)]
    return np.array([np.concatenate([above, below]) / below[0] for above, below in (shelf, high_pass)])


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
