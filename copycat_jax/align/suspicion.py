"""Is the text what is said? What the aligner heard and the clock say against it.

These things speak against a text:

* The mean cost of all words is above -SCORE_THRESHOLD: it is another text. The cost of a phone is minus its score: how
  much less likely it is, per 10 ms frame, than the best state in play.
* A written word is not heard: with the text not binding, the aligner's best path leaves it out, unless the phones that
  it has in its place are of the word's kind, as where it is pronounced in another way. Or the word is squeezed in: no
  phone has time, and all cost much. Small words are spoken so (weak forms) and are not judged by that. Or several words
  in a row cost much: others are said.
* More is said than is written: that path has phones, HIDDEN or more in a row, that are of no word. Or speech is hidden
  where it costs little: in the first or last phone, drawn out, or in a silence.
* Phones come faster or slower than people speak, or one lasts too long.

The aligner's prices of a word left out and of a phone put in are likelihood ratios: so much better must the recording
be explained.

Measured on clips of LibriSpeech, VCTK, LJSpeech, Kathleen and Kokoro. The rules beside the prices were chosen on 206
true texts, of which they refuse two, one of them rightly ("i.e." is not read "that is"), and on altered ones: the
last word missing 90 of 90 caught, a word too many within 88, three too many 87, three swapped 88; eight other kinds
all [11 to 14 each]. On others: of 195 true texts one is refused; the last word missing 15 of 16 caught, a word too
many 16 of 16, three too many 16 of 16, three swapped 13 of 16, eight other kinds all 30. Words IN_A_ROW are judged
because of those three, of which one is caught now. Refused wrongly in all: 1 of 79 (LibriSpeech), 1 of 40 (VCTK), 0
of 29, 100, 152 (LJSpeech, Kathleen, Kokoro).
"""

import difflib
import math
import re
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from copycat_jax.errors import UserError
from copycat_jax.text.normalize import spoken_words
from copycat_jax.text.phonemes import SIL, VOWELS
from copycat_jax.types import Alignment, Interval

FRAME_S = 0.01
SCORE_THRESHOLD = -38.0
FASTEST, SLOWEST = 25.0, 4.0  # phones per second of speech; people speak at 8 to 16
RATED = 10  # phones; fewer have no rate: one drawn out vowel would be all of it
LONGEST_PHONE_S = 1.0
LISTED = 3  # doubts that a reason names
TOLERATED, AFTER_S = 0.01, 30.0  # share of a recording's time beyond AFTER_S that may be doubtful

ALIKE = 0.75  # share of the words that an alignment and its text have in common
HIDDEN = 2  # phones that are of no word; a single one is a breath or a click

# Confidence of a word is 0.5 where its phones cost UNHEARD more than is excused, each up to PHONE_COSTLIEST however
# long it is. What is excused grows by LENIENCE for each unit by which the median cost exceeds the ORDINARY.
ORDINARY, LENIENCE = 10.0, 1.5
PHONE_EXCUSED, PHONE_COSTLIEST = 35.0, 130.0
UNHEARD, SLOPE = 115.0, 25.0
LONG = 20  # frames: phones as long may hold silence


# What follows goes by the cost of a frame beyond the median phone's of the recording.
SQUEEZED_FRAMES, SQUEEZED_COST = 4.4, 40.0  # mean frames of a phone, at most; mean cost of a frame, at least
SQUEEZED_PHONES = 3  # of a word that may be judged by them
IN_A_ROW, ROW_COST, ROW_COST_IN_ALL = 3, 40.0, 2100.0  # words; of a frame and in all, phones up to PHONE_COSTLIEST
DRAWN_FRAMES, DRAWN_COST = 26, 25.0  # of a phone at the edge, at least; cost of its frames
NOISY_COST = 850.0  # of a silence in all
RESEMBLING = 0.55  # edits for each phone: 1 for another phone, put in or left out, half for one of its kind
_KINDS = {
    phone: kind
    for kind, phones in enumerate((VOWELS, *map(str.split, ("P B T D K G CH JH", "F V TH DH S Z SH ZH HH", "M N NG"))))
    for phone in phones
}  # the others, L R W Y, are one kind too
# Prepositions, pronouns, auxiliaries, conjunctions, articles.
_SMALL_WORDS = (
    "a am an and are as at be been but by can could did do does for from had has have he her here him his i if in into "
    "is it its just me more must my no nor not of off on one or our out shall she should so some such than that the "
    "their them then there these they this those till to too under until up upon us very was we were what when where "
    "which while who will with without would you your"
)
_WEAK = frozenset(_SMALL_WORDS.split())


class ScoredPhone(NamedTuple):
    """A phone as the aligner found it, in frames, with its mean cost per frame."""

    word: int  # its index, -1 = silence
    start: int
    frames: int
    cost: float
    phone: str = ""  # without stress


class Heard(NamedTuple):
    """What was heard with the text not binding: a word (its index), or a phone beside them, or silence; in frames."""

    word: int  # -1 = none
    phone: str  # "" where it is a word or a silence
    start: int
    stop: int


class Findings(NamedTuple):
    """What speaks against a text: stretches of doubt, in frames, with what is said of them; a confidence per word."""

    doubts: tuple[tuple[int, int, str], ...]
    confidences: tuple[float, ...]


class Mismatch(UserError):
    """The text does not seem to be what is said."""


def find_doubts(phones: Sequence[ScoredPhone], heard: Sequence[Heard], words: Sequence[str]) -> Findings:
    """Looks for words without speech and for speech without words.

    Args:
      phones: all of a recording with the text binding, in order of time.
      heard: the same recording with the text not binding; none of it says nothing.
      words: how they are written.

    Returns:
      Doubts in order of time, and a confidence within 0..1 for each word.
    """
    bounds = _bounds(phones, len(words))
    usual = float(np.median([phone.cost for phone in phones if phone.word >= 0]))
    missing = _squeezed(phones, words, usual) | _misfit(phones, len(words), usual)
    more = _hidden(phones, usual)
    for gone, said, near in _differences(heard, len(words)):
        written = [phone.phone for phone in phones if phone.word in gone]
        if gone and said and _edits([part.phone for part in said], written) <= RESEMBLING:
            continue
        missing[list(gone)] = True
        if len(said) >= HIDDEN:
            more.append((said[0].start, said[-1].stop, near))
    confidences = np.where(
        missing, 0.0, 1.0 / (1.0 + np.exp(np.clip((_excess(phones, words) - UNHEARD) / SLOPE, -30.0, 30.0)))
    )
    doubts = []
    for first, last in _runs(missing):
        said = f"'{_quoted(words, first, last)}' is not heard"
        doubts.append((int(bounds[first, 0]), int(bounds[last, 1]), said))
    for start, stop, near in more:
        shared = np.maximum(np.minimum(bounds[:, 1], stop) - np.maximum(bounds[:, 0], start), 0)
        confidences *= 1.0 - shared / (bounds[:, 1] - bounds[:, 0])
        doubts.append((start, stop, f"more is said than is written, near '{words[near]}'"))
    return Findings(_disjoint(sorted(doubts)), tuple(round(float(c), 3) for c in confidences))


def _differences(heard: Sequence[Heard], words: int) -> Iterator[tuple[range, list[Heard], int]]:
    """Between any two words that were heard: those left out, the phones put in, and the word before."""
    said: list[Heard] = []
    before = -1
    for part in [*heard, Heard(words, "", 0, 0)] if heard else ():
        if part.phone:
            said.append(part)
        elif part.word >= 0:
            if said or part.word > before + 1:
                yield range(before + 1, part.word), said, max(before, 0)
            said, before = [], part.word


def _edits(said: Sequence[str], written: Sequence[str]) -> float:
    """How far phones are from those of what is written: edits for each phone of the longer."""
    row = np.arange(len(written) + 1.0)
    for i, one in enumerate(said, 1):
        above, row = row, np.full(len(written) + 1, float(i))
        for j, other in enumerate(written, 1):
            changed = 0.0 if one == other else 0.5 if _KINDS.get(one) == _KINDS.get(other) else 1.0
            row[j] = min(above[j - 1] + changed, above[j] + 1.0, row[j - 1] + 1.0)
    return float(row[-1]) / max(len(said), len(written))


def _squeezed(phones: Sequence[ScoredPhone], words: Sequence[str], usual: float) -> Bool[np.ndarray, " W"]:
    """The words of several phones that have no time to be spoken, and do not sound so."""
    count, frames, costs = np.zeros((3, len(words)))
    for phone in phones:
        if phone.word >= 0:
            count[phone.word] += 1
            frames[phone.word] += phone.frames
            costs[phone.word] += phone.frames * (phone.cost - usual)
    weak = np.array([word in _WEAK for word in words], bool)
    short = (count >= SQUEEZED_PHONES) & (frames <= SQUEEZED_FRAMES * count)
    return short & ~weak & (costs >= SQUEEZED_COST * frames)


def _misfit(phones: Sequence[ScoredPhone], words: int, usual: float) -> Bool[np.ndarray, " W"]:
    """The words that stand in a row of IN_A_ROW which sound like others."""
    frames, costs = np.zeros((2, words))
    for phone in phones:
        if phone.word >= 0:
            frames[phone.word] += phone.frames
            costs[phone.word] += phone.frames * (min(phone.cost, PHONE_COSTLIEST) - usual)
    found = np.zeros(words, bool)
    for first in range(words - IN_A_ROW + 1):
        row = slice(first, first + IN_A_ROW)
        if costs[row].sum() >= max(ROW_COST_IN_ALL, ROW_COST * frames[row].sum()):
            found[row] = True
    return found


def _hidden(phones: Sequence[ScoredPhone], usual: float) -> list[tuple[int, int, int]]:
    """[start, stop) of silences and of drawn out phones at either edge that hold speech, and the word before."""
    spoken = [i for i, phone in enumerate(phones) if phone.word >= 0]
    found, near = [], 0
    for i, phone in enumerate(phones):
        near = max(near, phone.word)
        more = phone.cost - usual
        drawn = i in (spoken[0], spoken[-1]) and phone.frames >= DRAWN_FRAMES and more >= DRAWN_COST
        if drawn or (phone.word < 0 and phone.frames * more >= NOISY_COST):
            found.append((phone.start, phone.start + phone.frames, near))
    return found


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
    return excess


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
    if doubted_s >= tolerated_s or suspicion(alignment._replace(doubts=())):
        raise Mismatch(reason, where, "Give the words that are spoken, as they are spoken.")


def other_words(alignment: Alignment, text: str, lexicon: Container[str] = ()) -> str:
    """Where an alignment's words are not those of `text`, or an empty string.

    Aligners elsewhere write numbers and abbreviations their own way, and leave unknown words out: a quarter of the
    words may differ.

    Args:
      alignment: made elsewhere, or for an earlier text.
      text: written English.
      lexicon: lower-case words that are never spelled out.
    """
    labels = [label for word in alignment.words if (label := _letters(word.label))]
    spoken = [word if isinstance(word, str) else word.text for word in spoken_words(text, keep=lexicon)]
    readings = [[word for word in map(_letters, reading) if word] for reading in (spoken, text.split())]
    if max(_shared(labels, reading) for reading in readings) >= ALIKE:
        return ""
    return f"the words that are aligned, '{_quoted(labels, 0, len(labels) - 1)}', are not the text's"


def check_words(alignment: Alignment, text: str, where: str, lexicon: Container[str] = ()) -> None:
    """Raises Mismatch, naming `where`, if an alignment's words are not those of `text`."""
    if reason := other_words(alignment, text, lexicon):
        raise Mismatch(reason, where, "Give its own alignment, or align the recording again.")


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of the longer that both have in the same order; 1 where only the spaces differ."""
    if "".join(one) == "".join(other):
        return 1.0
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / max(len(one), len(other), 1)


def _letters(word: str) -> str:
    return re.sub(r"\W", "", word.lower())


def confidence(alignment: Alignment) -> float:
    """How surely a text is what is said, 0..1: half for each doubt; 0.5 at the threshold; 1 for a given alignment."""
    if math.isnan(alignment.score):
        return 1.0
    by_score = 1.0 / (1.0 + math.exp(min(60.0, (SCORE_THRESHOLD - alignment.score) / 3.0)))
    return by_score * 0.5 ** len(alignment.doubts)


def moved(doubts: Sequence[Interval], by_s: float) -> tuple[Interval, ...]:
    """`doubts` on a clock that began `by_s` earlier."""
    return tuple(Interval(d.start_s + by_s, d.end_s + by_s, d.label) for d in doubts)
