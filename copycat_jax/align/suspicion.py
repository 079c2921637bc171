"""Is the text what is said? What the aligner's scores, the clock and the loudness say against it.

The cost of a phone is minus its score: how much less likely it is, per 10 ms frame, than the best state in play. Three
things speak against a text:

* The mean cost of all words is above -SCORE_THRESHOLD: it is another text.
* More is said than is written. Speech that has no words of its own ends in silences, and in the phones beside them,
  drawn out. A stretch whose frames cost UNWRITTEN more than is excused is a doubt. Before the first word few states
  are in play and scores say little: there, loudness tells speech from silence.
* A written word is not heard. It is squeezed into the shortest phones there are, each at a high cost. A word whose
  phones cost UNHEARD more than is excused is a doubt; its confidence is 0.5 there. From DOUBTFUL on the aligner listens
  again without the word: where that saves SURPLUS, nobody says it.

Where all of a recording is heard poorly (noise, an accent), more is excused.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from copycat_jax.errors import UserError
from copycat_jax.text.phonemes import SIL
from copycat_jax.types import Alignment, Interval

FRAME_S = 0.01
SCORE_THRESHOLD = -38.0
FASTEST, SLOWEST = 25.0, 4.0  # phones per second of speech; people speak at 8 to 16
RATED = 10  # phones; fewer have no rate: one drawn out vowel would be all of it
LONGEST_PHONE_S = 1.0
LISTED = 3  # doubts that a reason names
TOLERATED, AFTER_S = 0.01, 30.0  # share of a recording's time beyond AFTER_S that may be doubtful

# What is excused grows by LENIENCE for each unit by which the median cost of the phones exceeds the ORDINARY.
ORDINARY, LENIENCE = 10.0, 1.5
LONG = 20  # frames: phones as long may hide speech that is not written, shorter ones may be words that are not said

# Speech without words: costs per frame.
EXCUSED, COSTLIEST = 25.0, 80.0
NATURAL, STRETCHED = 30, 70.0  # frames that a phone may last, and the least that each of the rest costs
LOUD_DB, LOUD = -10.0, 150.0  # against the mean power of the words; what a louder frame before them costs
UNWRITTEN = 1250.0

# Words without speech: costs per phone, however long it is.
PHONE_EXCUSED, PHONE_COSTLIEST = 35.0, 130.0
UNHEARD, SLOPE = 115.0, 25.0
DOUBTFUL, CHECKED = 20.0, 2  # how many doubtful words of a recording are looked at again
SURPLUS = 600.0
CONTRACTED = frozenset(("had", "has", "have"))  # spoken 'd, 's, 've, they cost half


class ScoredPhone(NamedTuple):
    """A phone as the aligner found it: index of its word (-1 = silence), first frame, frames, mean cost per frame."""

    word: int
    start: int
    frames: int
    cost: float


class Findings(NamedTuple):
    """What speaks against a text: stretches of doubt, in frames, with what is said of them; a confidence per word."""

    doubts: tuple[tuple[int, int, str], ...]
    confidences: tuple[float, ...]


class Mismatch(UserError):
    """The text does not seem to be what is said."""


def total_cost(phones: Sequence[ScoredPhone]) -> float:
    """What the whole path through a recording costs."""
    return sum(min(phone.cost, PHONE_COSTLIEST) * phone.frames for phone in phones)


def doubtful(phones: Sequence[ScoredPhone], words: Sequence[str]) -> list[int]:
    """Indices of the words that may be not there, the unlikeliest first; not of those of which that is sure."""
    excess = _excess(phones, words)
    likely = [i for i in np.argsort(-excess).tolist() if DOUBTFUL <= excess[i] < UNHEARD]
    return [i for i in likely if words[i] not in CONTRACTED][:CHECKED]


def find_doubts(
    phones: Sequence[ScoredPhone],
    words: Sequence[str],
    loudness: Float[np.ndarray, " F"],
    surplus: Sequence[int] = (),
) -> Findings:
    """Looks for speech without words and for words without speech.

    Args:
      phones: all of a recording, in order of time.
      words: how its words are written.
      loudness: level of each frame of the recording in dB.
      surplus: indices of words without which the recording is heard better by SURPLUS.

    Returns:
      Doubts in order of time, and a confidence within 0..1 for each word.
    """
    excess, bounds = _excess(phones, words), _bounds(phones, len(words))
    excess[list(surplus)] = np.maximum(excess[list(surplus)], UNHEARD)
    confidences = 1.0 / (1.0 + np.exp(np.clip((excess - UNHEARD) / SLOPE, -30.0, 30.0)))
    doubts = []
    for start, stop in excursions(_gains(phones, loudness), UNWRITTEN):
        shared = np.maximum(np.minimum(bounds[:, 1], stop) - np.maximum(bounds[:, 0], start), 0)
        confidences *= 1.0 - shared / (bounds[:, 1] - bounds[:, 0])
        near = np.flatnonzero(shared).tolist() or [max(int(np.sum(bounds[:, 0] < start)) - 1, 0)]
        doubts.append((start, stop, f"more is said than is written, near '{_quoted(words, near[0], near[-1])}'"))
    for first, last in _runs(excess >= UNHEARD):
        said = f"'{_quoted(words, first, last)}' is not heard"
        doubts.append((int(bounds[first, 0]), int(bounds[last, 1]), said))
    return Findings(_disjoint(sorted(doubts)), tuple(round(float(c), 3) for c in confidences))


def _excused(phones: Sequence[ScoredPhone]) -> float:
    """What any phone of a recording may cost more because all of it is heard poorly."""
    return LENIENCE * max(0.0, float(np.median([phone.cost for phone in phones if phone.word >= 0])) - ORDINARY)


def _excess(phones: Sequence[ScoredPhone], words: Sequence[str]) -> Float[np.ndarray, " W"]:
    """How much more than is excused the phones of each word cost."""
    excess, excused = np.zeros(len(words)), PHONE_EXCUSED + _excused(phones)
    for phone in phones:
        if phone.word >= 0:
            over = min(phone.cost, PHONE_COSTLIEST) - excused
            excess[phone.word] += over if phone.frames < LONG else min(over, 0.0)
    return excess * [0.5 if word in CONTRACTED else 1.0 for word in words]


def _bounds(phones: Sequence[ScoredPhone], words: int) -> Int[np.ndarray, "W 2"]:
    """[start, stop) of each word, in frames."""
    bounds = np.zeros((words, 2), np.int64)
    for phone in reversed(phones):
        if phone.word >= 0:
            bounds[phone.word] = phone.start, max(bounds[phone.word, 1], phone.start + phone.frames)
    return bounds


def _disjoint(doubts: Sequence[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    """`doubts` with those that overlap made one, since they share a tier of a TextGrid."""
    merged: list[tuple[int, int, str]] = []
    for start, stop, said in doubts:
        if merged and start < merged[-1][1]:
            first, last, before = merged.pop()
            start, stop, said = first, max(last, stop), f"{before}; {said}"
        merged.append((start, stop, said))
    return tuple(merged)


def _gains(phones: Sequence[ScoredPhone], loudness: Float[np.ndarray, " F"]) -> Float[np.ndarray, " F"]:
    """How much more than is excused each frame costs; never more in phones too short to hide other speech."""
    excused = EXCUSED + _excused(phones)
    costs, spoken = np.zeros(len(loudness)), np.zeros(len(loudness), bool)
    for phone in phones:
        frames = slice(phone.start, phone.start + phone.frames)
        spoken[frames] = phone.word >= 0
        costs[frames] = min(phone.cost, COSTLIEST)
        if phone.word >= 0 and phone.frames < LONG:
            costs[frames] = min(phone.cost, excused)
        elif phone.word >= 0:
            rest = slice(phone.start + NATURAL, phone.start + phone.frames)
            costs[rest] = np.maximum(costs[rest], STRETCHED)
    first = int(np.argmax(spoken))
    loud = loudness > 10.0 * math.log10(np.mean(10.0 ** (loudness[spoken] / 10.0))) + LOUD_DB
    costs[:first][loud[:first]] = LOUD
    return costs - excused


def excursions(gains: Sequence[float] | Float[np.ndarray, " F"], limit: float) -> list[tuple[int, int]]:
    """[start, stop) of every stretch over which `gains` add up to `limit`: from where the sum rises to its peak.

    The running sum never falls below zero; a stretch ends where it is back there.
    """
    found, total, peak, start, stop = [], 0.0, 0.0, 0, 0
    for i, gain in enumerate([*gains, -math.inf]):
        if total <= 0.0:
            total, peak, start = 0.0, 0.0, i
        total += gain
        if total > peak:
            peak, stop = total, i + 1
        if total <= 0.0 and peak >= limit:
            found.append((start, stop))
    return found


def _runs(mask: Bool[np.ndarray, " W"]) -> list[tuple[int, int]]:
    """First and last index of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)
    return [(int(first), int(after) - 1) for first, after in edges]


def _quoted(words: Sequence[str], first: int, last: int) -> str:
    """The words from `first` to `last`, the middle left out where they are many."""
    if last - first < 6:
        return " ".join(words[first : last + 1])
    return f"{' '.join(words[first : first + 3])} ... {' '.join(words[last - 1 : last + 1])}"


def phone_rate(alignment: Alignment) -> float:
    """Phones per second of speech, silences left out."""
    spoken = [phone for phone in alignment.phones if phone.label != SIL]
    return len(spoken) / sum(phone.end_s - phone.start_s for phone in spoken)


def suspicion(alignment: Alignment) -> str:
    """What looks wrong with an alignment, or an empty string."""
    reasons = []
    if alignment.score < SCORE_THRESHOLD:
        what = "the text does not match the recording"
        reasons.append(f"{what} (score {alignment.score:.1f}, below {SCORE_THRESHOLD})")
    doubts = alignment.doubts
    reasons += [f"{doubt.label} ({doubt.start_s:.2f} to {doubt.end_s:.2f} s)" for doubt in doubts[:LISTED]]
    if len(doubts) > LISTED:
        reasons.append(f"{len(doubts) - LISTED} more such places")
    spoken = [phone for phone in alignment.phones if phone.label != SIL]
    rate = phone_rate(alignment)
    if len(spoken) >= RATED and not SLOWEST <= rate <= FASTEST:
        reasons.append(f"{rate:.1f} phones per second are too {'slow' if rate < SLOWEST else 'fast'}")
    longest = max(spoken, key=lambda phone: phone.end_s - phone.start_s)
    if longest.end_s - longest.start_s > LONGEST_PHONE_S:
        reasons.append(f"{longest.label} at {longest.start_s:.2f} s lasts {longest.end_s - longest.start_s:.2f} s")
    return "; ".join(reasons)


def check_match(alignment: Alignment, where: str) -> None:
    """Raises Mismatch naming `where` if an alignment of ours is suspicious; one without a score was made elsewhere.

    Of a long recording a word or two are always doubted: up to TOLERATED of its time beyond AFTER_S that is no
    reason.
    """
    if math.isnan(alignment.score) or not (reason := suspicion(alignment)):
        return
    doubted_s = sum(doubt.end_s - doubt.start_s for doubt in alignment.doubts)
    tolerated_s = TOLERATED * max(0.0, alignment.phones[-1].end_s - AFTER_S)
    if doubted_s > tolerated_s or suspicion(alignment._replace(doubts=())):
        raise Mismatch(reason, where, "Give the words that are spoken, as they are spoken.")


def confidence(alignment: Alignment) -> float:
    """How surely a text is what is said, 0..1: half for each doubt; 0.5 at the threshold; 1 for a given alignment."""
    if math.isnan(alignment.score):
        return 1.0
    by_score = 1.0 / (1.0 + math.exp(min(60.0, (SCORE_THRESHOLD - alignment.score) / 3.0)))
    return by_score * 0.5 ** len(alignment.doubts)


def moved(doubts: Sequence[Interval], by_s: float) -> tuple[Interval, ...]:
    """`doubts` on a clock that began `by_s` earlier."""
    return tuple(Interval(d.start_s + by_s, d.end_s + by_s, d.label) for d in doubts)
