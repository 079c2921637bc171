"""pYIN (Mauch and Dixon 2014): the fundamental frequency as the likeliest path through candidates of YIN.

It gives what `librosa.pyin` gives, which follows the authors' program rather than the paper. It is written out here
because a transfer waits for it: librosa compiles for half a minute when it is first used on a machine, and its search
looks at all pairs of states. Here all troughs of all frames are weighed at once, and a path moves at most as far in a
frame as librosa's may.
"""

import functools
import math

import numpy as np
from jaxtyping import Float, Int

# librosa's defaults, but for the prior on the thresholds, Beta(2, 18) there: on higher ones more of the low, creaky
# frames is heard, which a register needs.
_BETA = 12
_THRESHOLDS = 100
_DECAY = 2.0  # of the prior on the troughs below a threshold, the shortest period first (Boltzmann)
_NO_TROUGH = 0.01
_OCTAVES_PER_S = 35.92
_SWITCH = 0.01
_BINS_PER_SEMITONE = 5
_TINY = np.finfo(np.float64).tiny
_CHUNK = 1024  # frames that are looked at at a time: bounds the memory that long clips take


def track(
    frames: Float[np.ndarray, "T n"], rate: float, hop: int, fmin_hz: float, fmax_hz: float
) -> Float[np.ndarray, " T"]:
    """F0 in Hz of every frame, in steps of a fifth of a semitone; 0 where it is unvoiced.

    Args:
      frames: of a signal, `hop` samples apart; longer than a period of `fmin_hz`.
      rate: samples per second.
      hop: in samples.
      fmin_hz: lowest frequency looked for.
      fmax_hz: highest frequency looked for.
    """
    bins = math.floor(12 * _BINS_PER_SEMITONE * math.log2(fmax_hz / fmin_hz)) + 1
    chunks = (frames[at : at + _CHUNK] for at in range(0, len(frames), _CHUNK))
    chances = np.concatenate([_bin_chances(chunk, rate, fmin_hz, fmax_hz, bins) for chunk in chunks])
    path = _likeliest_path(chances, round(_OCTAVES_PER_S * 12 * hop / rate) * _BINS_PER_SEMITONE + 1)
    hertz = fmin_hz * 2.0 ** (np.arange(bins) / (12 * _BINS_PER_SEMITONE))
    return np.where(path < bins, hertz[path % bins], 0.0)


def _mean_normalised_difference(frames: Float[np.ndarray, "T n"], shortest: int, longest: int) -> np.ndarray:
    """YIN's d' (de Cheveigne and Kawahara 2002, equation 8) at lags of `shortest` to `longest` samples, float32."""
    frames = np.ascontiguousarray(frames, np.float32)
    size = -(-(frames.shape[1] + longest + 1) // 128) * 128
    spectra = np.fft.rfft(frames, size, axis=1)
    products = np.fft.irfft(spectra.real**2 + spectra.imag**2, size, axis=1)[:, : longest + 1]
    squares = np.cumsum(frames[:, :longest] ** 2, axis=1)
    difference = 2 * (products[:, :1] - products[:, 1:]) - squares
    mean = np.cumsum(difference, axis=1) / np.arange(1, longest + 1)
    return difference[:, shortest - 1 :] / (mean[:, shortest - 1 :] + np.finfo(np.float32).tiny)


def _bin_chances(frames: np.ndarray, rate: float, fmin_hz: float, fmax_hz: float, bins: int) -> np.ndarray:
    """How probable every bin of frequency is in every frame, float64 [T, bins]; what is left is that it is unvoiced."""
    shortest = math.floor(rate / fmax_hz)
    longest = min(math.ceil(rate / fmin_hz), frames.shape[1] - 1)
    curve = _mean_normalised_difference(frames, shortest, longest)
    falls = np.diff(curve, axis=1) < 0
    trough = np.ones(curve.shape, bool)
    trough[:, 1:] &= falls
    trough[:, :-1] &= curve[:, :-1] <= curve[:, 1:]
    trough[:, 0] = curve[:, 0] < curve[:, 1]
    frame, lag = np.nonzero(trough)
    chances = np.zeros((len(frames), bins + 1))
    if not len(frame):
        return chances[:, :-1]
    rank = (np.cumsum(trough, axis=1) - 1)[frame, lag]
    heights = np.full((len(frames), int(rank.max()) + 1), np.inf, np.float32)
    heights[frame, rank] = curve[frame, lag]
    chance = _trough_chances(heights)[frame, rank]
    frame, lag, chance = frame[chance > 0], lag[chance > 0], chance[chance > 0]
    period = shortest + lag + _parabolic_shifts(curve, frame, lag)
    bin_index = np.rint(12 * _BINS_PER_SEMITONE * np.log2(rate / period / fmin_hz))
    chances[frame, np.clip(bin_index, 0, bins).astype(np.int64)] = chance
    return chances[:, :-1]


def _parabolic_shifts(curve: np.ndarray, row: Int[np.ndarray, " K"], at: Int[np.ndarray, " K"]) -> np.ndarray:
    """From samples of `curve` to the extrema of the parabolas through them and their neighbours; 0 at the edges."""
    inner = np.clip(at, 1, curve.shape[1] - 2)
    before, here, after = (curve[row, inner + step] for step in (-1, 0, 1))
    bend, slope = after + before - 2 * here, (after - before) / 2
    near = (np.abs(slope) < np.abs(bend)) & (inner == at)
    return np.where(near, -slope / np.where(near, bend, 1), 0)


def _trough_chances(heights: Float[np.ndarray, "T R"]) -> Float[np.ndarray, "T R"]:
    """The probability of every trough of d' (infinite: none): over all thresholds, which of those below it is."""
    edges = np.linspace(0, 1, _THRESHOLDS + 1)
    weights = -np.diff((1 - edges) ** _BETA * (1 + _BETA * edges))  # Beta(2, b) is distributed as 1 less this
    edges, chances = edges[1:], np.zeros(heights.shape)
    below = sum((column[:, None] < edges for column in heights.T), np.zeros(1, np.int64))
    share = weights * (1 - math.exp(-_DECAY)) / (1 - np.exp(-_DECAY * np.maximum(below, 1)))
    for rank, column in enumerate(heights.T):
        taken = share * (column[:, None] < edges)
        chances[:, rank] = taken.sum(axis=1)
        share -= (1 - math.exp(-_DECAY)) * taken
    lowest = np.argmin(heights, axis=1)
    missed = (heights.min(axis=1)[:, None] >= edges) @ weights
    chances[np.arange(len(heights)), lowest] += _NO_TROUGH * missed
    return chances


@functools.lru_cache
def _local_steps(bins: int, width: int) -> tuple[int, np.ndarray]:
    """The first of `width` bins that one is reached from, relative to it, and the logarithms of those steps [w, bins].

    A triangle around the bin that is left, as wide as a voice may move within a frame; it is cut off at the ends.
    """
    lead = (bins - width) // 2 + bins // 2 + 1 - bins  # of the triangle, as librosa lays it
    place = np.arange(1, width + 1)
    triangle = np.minimum(place, width + 1 - place) - (0.5 if width % 2 == 0 else 0.0)
    offsets = np.arange(width) + lead
    left = np.arange(bins)[:, None] + offsets
    kept = np.where((left >= 0) & (left < bins), triangle, 0.0)
    norm = kept.sum(axis=1)
    source = np.arange(bins) - offsets[::-1, None]
    inside = (source >= 0) & (source < bins)
    chance = np.where(inside, triangle[::-1, None] / norm[np.clip(source, 0, bins - 1)], 0.0)
    return -int(offsets[-1]), np.log(chance + _TINY)


def _likeliest_path(chances: Float[np.ndarray, "T bins"], width: int) -> Int[np.ndarray, " T"]:
    """Viterbi's path through bins, voiced and unvoiced (bins more), float64 chances; see `_local_steps`."""
    frames, bins = chances.shape
    lead, steps = _local_steps(bins, width)
    unvoiced = (1 - np.clip(chances.sum(axis=1), 0, 1)) / bins
    seen = np.log(np.stack([chances, np.broadcast_to(unvoiced[:, None], chances.shape)], axis=1) + _TINY)
    stay, switch, far = math.log(1 - _SWITCH), math.log(_SWITCH), math.log(_TINY)
    padded = np.full((2, bins + width - 1), -np.inf)
    inner = padded[:, -lead : -lead + bins]
    reached = np.lib.stride_tricks.sliding_window_view(padded, bins, axis=1)  # [2, w, bins]
    values = np.empty((frames, 2, bins))
    values[0] = seen[0] - math.log(2 * bins)
    sums = np.empty((2, width, bins))
    for t in range(1, frames):
        inner[:] = values[t - 1]
        best = np.add(reached, steps, out=sums).max(axis=1)
        best = np.maximum(best + stay, best[::-1] + switch)
        values[t] = np.maximum(best, values[t - 1].max() + far) + seen[t]
    path = np.empty(frames, np.int64)
    path[-1] = np.argmax(values[-1])
    for t in range(frames - 2, -1, -1):
        voicing, at = divmod(int(path[t + 1]), bins)
        low, high = max(at + lead, 0), min(at + lead + width, bins)
        near = values[t, :, low:high] + steps[low - at - lead : high - at - lead, at]
        near[voicing] += stay
        near[1 - voicing] += switch
        best = int(np.argmax(near))
        path[t] = best // (high - low) * bins + low + best % (high - low)
        if near.flat[best] < values[t].max() + far:
            path[t] = np.argmax(values[t])
    return path
