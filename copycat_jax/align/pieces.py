"""Where a long recording may be cut for synthesis, and how the results are joined again.

The models were trained on utterances of at most ten seconds with at most 100 ms of silence at either edge, so longer
recordings are cut inside their pauses, each piece keeps as much of the pause, and what lies between two pieces is
bridged afterwards, from the last frame of one to the first of the next.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from copycat_jax.text.phonemes import SIL
from copycat_jax.types import Interval

EDGE_S = 0.1


class Segment(NamedTuple):
    """Frames [start, stop) of a recording, and the phones in them: `first` is the index of durations[0]'s phone."""

    start: int
    stop: int
    first: int
    durations: np.ndarray  # int32, their sum is stop - start


def cut_segments(
    symbols: Sequence[str], durations: np.ndarray, words: Sequence[Interval], hop_s: float, longest_s: float
) -> tuple[Segment, ...]:
    """Cuts a recording into pieces of at most `longest_s` seconds.

    A cut falls into the longest pause of the latter half of what may still be taken, failing that into any pause,
    failing that between two words, failing that between two phones.

    Args:
      symbols: phones of the recording.
      durations: their frames, int32 [P].
      words: where its words lie, in seconds.
      hop_s: seconds per frame.
      longest_s: longest piece, in seconds.

    Returns:
      Pieces in order; a recording that is short enough is one piece.
    """
    edges = np.concatenate([[0], np.cumsum(durations)])
    longest, margin = int(longest_s / hop_s), max(1, round(EDGE_S / hop_s))
    word_ends = np.array([round(word.end_s / hop_s) for word in words], np.int64)
    pieces, start = [], 0
    while edges[-1] - start > longest:
        stop, following = _next_cut(symbols, edges, word_ends, start, longest, margin)
        pieces.append(_piece(edges, start, stop))
        start = following
    return (*pieces, _piece(edges, start, int(edges[-1])))


def bridged_blocks(
    mels: Iterable[np.ndarray], pieces: Sequence[Segment], frames: int, overlap: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Puts results of pieces [V, stop - start, M] on one time axis and bridges the gaps, block by block.

    Yields:
      (start, stop, mel): blocks that tile [0, frames), from each piece's start to the next one's; their mels
      [V, n, M] go on for up to `overlap` frames into the next block.
    """
    before, start = None, 0
    for mel, piece in zip(mels, pieces, strict=True):
        if before is not None:
            gap = piece.start - (start + before.shape[1])
            weight = (np.arange(1, gap + 1, dtype=np.float32) / (gap + 1))[None, :, None]
            bridge = (1 - weight) * before[:, -1:] + weight * mel[:, :1]
            yield start, piece.start, np.concatenate([before, bridge, mel[:, :overlap]], axis=1)
            start = piece.start
        before = mel
    if before is not None:
        yield start, frames, before


def crossfade_blocks(sounds: Iterable[tuple[int, np.ndarray]], overlap: int) -> Iterator[np.ndarray]:
    """Joins sounds [V, n] of which each goes on beyond its own (`length`, sound) by up to `overlap` samples."""
    tail = None
    for length, sound in sounds:
        if tail is not None:
            faded = min(overlap, length)
            sound[:, :faded] *= np.linspace(0, 1, faded, dtype=np.float32)
            sound[:, : tail.shape[1]] += tail
        tail = sound[:, length:] * np.linspace(1, 0, sound.shape[1] - length, dtype=np.float32)
        yield sound[:, :length]


def _next_cut(
    symbols: Sequence[str], edges: np.ndarray, word_ends: np.ndarray, start: int, longest: int, margin: int
) -> tuple[int, int]:
    """Where the piece that begins at `start` stops, and where the next one starts."""
    last = start + longest
    pauses = []
    for i in range(int(np.searchsorted(edges, start)), int(np.searchsorted(edges, last))):
        symbol, left, right = symbols[i], int(edges[i]), int(edges[i + 1])
        stop, following = min(left + margin, right), max(right - margin, left)
        if stop > following:  # a short pause: each side keeps half of it
            stop = following = (left + right + 1) // 2
        if symbol == SIL and left > start + margin and stop <= last and following < edges[-1]:
            pauses.append((right - left, stop, following))
    late = [pause for pause in pauses if pause[1] > start + longest // 2]
    if late or pauses:
        return max(late or pauses)[1:]
    for ends in (word_ends, edges):
        at = int(np.searchsorted(ends, last, side="right")) - 1
        if at >= 0 and start < ends[at] < edges[-1]:
            return int(ends[at]), int(ends[at])
    return last, last  # one phone longer than a piece


def _piece(edges: np.ndarray, start: int, stop: int) -> Segment:
    first = int(np.searchsorted(edges, start, side="right")) - 1
    after = int(np.searchsorted(edges, stop, side="left"))
    bounds = np.clip(edges[first : after + 1], start, stop)
    return Segment(start, stop, first, np.diff(bounds).astype(np.int32))
