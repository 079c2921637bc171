"""Plain value types that the disk and the array side share: a labelled interval, and the alignment of a recording."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A labelled stretch of time in seconds, [start_s, end_s)."""

    start_s: float
    end_s: float
    label: str


class Alignment(NamedTuple):
    """Where every phone and word of an utterance lies in its recording.

    `phones` tile [0, duration of the recording]: contiguous, silences included as "SIL"; labels are symbols of
    `text.phonemes` (ARPABET with stress). `words` are the spoken words only. `score` is the aligner's mean phone score
    per 10 ms frame (higher is better), or NaN where the alignment was read from a file that carries none. `confidences`
    say of each word how surely it is heard, 0..1, or are empty where unknown; `doubts` are the stretches where text and
    sound disagree, labelled with what is wrong.
    """

    phones: tuple[Interval, ...]
    words: tuple[Interval, ...]
    score: float
    confidences: tuple[float, ...] = ()
    doubts: tuple[Interval, ...] = ()
