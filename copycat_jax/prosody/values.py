"""What is said and how, phone by phone: the values that a prosody file holds and that edits change.

A sentence is a row of phones, the first of which is the silence before it ("SIL"); a further SIL begins what is spoken
in a new breath. A pause belongs to the phone that it follows. Times follow from durations, pauses and silences alone.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from copycat_jax.text.phonemes import SIL
from copycat_jax.text.phrasing import PHRASE, SENTENCE, WORD
from copycat_jax.types import Interval

MARKS = {"word": WORD, "phrase": PHRASE, "sentence": SENTENCE}  # what may follow a word, as files name it


class Phone(NamedTuple):
    """One phone of a sentence."""

    symbol: str  # of text.phonemes
    duration_s: float
    f0_hz: float  # a melody for voiceless phones too; NaN where unknown
    energy: float  # log-RMS; NaN where unknown
    pause_s: float = 0.0  # the silence after it


class Word(NamedTuple):
    """A spoken word: phones [first, first + count) of its sentence."""

    text: str
    first: int
    count: int
    mark: int = WORD  # what follows: WORD, PHRASE or SENTENCE of text.phrasing


class Sentence(NamedTuple):
    """A sentence with its prosody; the words hold all phones but SIL, in order."""

    text: str
    words: tuple[Word, ...]
    phones: tuple[Phone, ...]
    silence_s: float = 0.0  # after it
    embedding: tuple[float, ...] = ()  # of a prosody space; empty where it came from none
    like: str = ""  # the id of the recording that it is spoken like

    @property
    def seconds(self) -> float:
        """How long it is, without the silence after it."""
        return sum(phone.duration_s + phone.pause_s for phone in self.phones)


class Prosody(NamedTuple):
    """A text with its prosody."""

    sentences: tuple[Sentence, ...]
    frame_s: float  # the unit that durations and pauses are whole multiples of when spoken
    bundle: str = ""  # fingerprint of the bundle whose embeddings these are
    speaker: str = ""


class SentenceTimes(NamedTuple):
    """Where a sentence lies in a recording, in seconds; `phones` tile it, pauses included as SIL."""

    text: str
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]

    def moved(self, by_s: float) -> "SentenceTimes":
        """The same, later by so many seconds."""
        return SentenceTimes(self.text, *(_moved(tier, by_s) for tier in self[1:]))


def times_of(prosody: Prosody) -> list[SentenceTimes]:
    """When every sentence, word and phone is spoken, from durations, pauses and silences."""
    times, at = [], 0.0
    for sentence in prosody.sentences:
        times.append(sentence_times(sentence).moved(at))
        at += sentence.seconds + sentence.silence_s
    return times


def sentence_times(sentence: Sentence) -> SentenceTimes:
    """When the words and phones of one sentence are spoken, from its own beginning."""
    spans, tiles, at = [], [], 0.0
    for phone in sentence.phones:
        spans.append((at, at + phone.duration_s))
        tiles.append(Interval(at, at + phone.duration_s, phone.symbol))
        at += phone.duration_s + phone.pause_s
        tiles.append(Interval(spans[-1][1], at, SIL))
    words = [Interval(spans[w.first][0], spans[w.first + w.count - 1][1], w.text) for w in sentence.words]
    return SentenceTimes(sentence.text, tuple(words), tuple(tile for tile in tiles if tile.end_s > tile.start_s))


def phones_named(prosody: Prosody, word: str) -> Iterator[tuple[int, int]]:
    """(sentence, word) of every place where a word of this spelling is spoken, in order; capitals mean nothing."""
    wanted = word.casefold()
    for i, sentence in enumerate(prosody.sentences):
        for j, found in enumerate(sentence.words):
            if found.text.casefold() == wanted:
                yield i, j


def _moved(tier: Sequence[Interval], by_s: float) -> tuple[Interval, ...]:
    return tuple(Interval(i.start_s + by_s, i.end_s + by_s, i.label) for i in tier)
