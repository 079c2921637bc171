"""The prosody heard in a recording, as a transfer speaks it in another voice, and when its words are spoken."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from copycat_jax.analysis import Analysis, Survey
from copycat_jax.errors import UserError
from copycat_jax.prosody.values import Phone, Prosody, Sentence, SentenceTimes, Word
from copycat_jax.text.phonemes import SIL
from copycat_jax.text.phrasing import SENTENCE, word_breaks
from copycat_jax.types import Interval

EDGE_S = 0.1  # the most silence that belongs to a sentence's own edges; the rest lies between sentences


def heard_prosody(
    found: Analysis | Survey, frame_s: float, text: str | None, ratio: float = 1.0, bundle: str = "", speaker: str = ""
) -> Prosody:
    """The prosody of a recording, phone by phone.

    F0 is the geometric mean of a phone's voiced frames, drawn straight between its neighbours where it has none; energy
    the mean of its frames, in log-RMS.

    Args:
      found: the recording's analysis.
      frame_s: seconds of its frames.
      text: what it says; None: its words.
      ratio: by which F0 is multiplied, as a transfer moves the register.
      bundle: the fingerprint of the bundle that speaks.
      speaker: the voice it speaks in.

    Raises:
      UserError: the recording is too long to have been analysed whole, or its alignment has no words.
    """
    if not isinstance(found, Analysis):
        raise UserError("is too long for a prosody file", "recording", "Give at most two minutes.")
    labels = [word.label for word in found.words]
    if not labels or int((found.breaks > 0).sum()) != len(labels):
        raise UserError("its alignment names no words", "recording", "Give the text, or a TextGrid with words.")
    whole = _whole(found, frame_s, ratio, labels)
    edge_s = max(1, math.floor(EDGE_S / frame_s)) * frame_s
    sentences = list(_split(whole, edge_s, 2 * frame_s))
    if text is not None and len(sentences) == 1:
        sentences = [sentences[0]._replace(text=" ".join(text.split()))]
    return Prosody(tuple(sentences), frame_s, bundle, speaker)


def heard_times(found: Analysis | Survey, text: str | None, by_s: float = 0.0, lexicon=None) -> list[SentenceTimes]:
    """When the words and phones of a recording are spoken, by its alignment, moved by `by_s`."""
    words, phones = found.alignment.words, found.alignment.phones
    kinds = word_breaks(text or "", lexicon.entries if lexicon else (), len(words))
    stops = [i for i, kind in enumerate(kinds) if kind == SENTENCE]
    times, first, start_s = [], 0, 0.0
    for stop in stops:
        last = stop == len(words) - 1
        end_s = phones[-1].end_s if last else words[stop].end_s
        own = tuple(p for p in phones if start_s - 1e-6 <= p.start_s and p.end_s <= end_s + 1e-6)
        said = text if text is not None and len(stops) == 1 else _joined([w.label for w in words[first : stop + 1]])
        times.append(SentenceTimes(" ".join(said.split()), tuple(words[first : stop + 1]), own).moved(by_s))
        first, start_s = stop + 1, end_s
    return times


def within(times: Sequence[SentenceTimes], seconds: float) -> list[SentenceTimes]:
    """Times cut to [0, seconds), as of a trimmed recording."""

    def cut(tier: Sequence[Interval]) -> Iterator[Interval]:
        for start_s, end_s, label in tier:
            start_s, end_s = max(start_s, 0.0), min(end_s, seconds)
            if end_s > start_s:
                yield Interval(start_s, end_s, label)

    return [SentenceTimes(s.text, tuple(cut(s.words)), tuple(cut(s.phones))) for s in times]


def _melody(f0_hz: np.ndarray, spans: Sequence[tuple[int, int]]) -> list[float]:
    """F0 of each span; NaN throughout where nothing is voiced."""
    logs = [np.log(voiced).mean() if len(voiced := f0_hz[a:b][f0_hz[a:b] > 0]) else math.nan for a, b in spans]
    known = np.flatnonzero(np.isfinite(logs))
    if not len(known):
        return [math.nan] * len(spans)
    middles = np.array([(a + b) / 2 for a, b in spans])
    return np.exp(np.interp(middles, middles[known], np.array(logs)[known])).tolist()


def _whole(found: Analysis, frame_s: float, ratio: float, labels: Sequence[str]) -> Sentence:
    """All of a recording as one sentence; a SIL becomes the pause of the phone before it."""
    stops = np.cumsum(found.durations)
    spans = list(zip((stops - found.durations).tolist(), stops.tolist(), strict=True))
    rows = zip(found.phonemes, found.durations, found.breaks, _melody(found.f0_hz * ratio, spans), spans, strict=True)
    phones: list[Phone] = []
    words: list[Word] = []
    first = 1
    for symbol, frames, kind, f0_hz, (start, stop) in rows:
        length_s, energy = int(frames) * frame_s, float(found.energy[start:stop].mean())
        if not phones:  # every sentence begins with a silence, and be it of no length
            phones.append(Phone(SIL, length_s if symbol == SIL else 0.0, f0_hz, energy))
            if symbol == SIL:
                continue
        if symbol == SIL:
            phones[-1] = phones[-1]._replace(pause_s=phones[-1].pause_s + length_s)
            continue
        phones.append(Phone(symbol, length_s, f0_hz, energy))
        if kind > 0:
            words.append(Word(labels[len(words)], first, len(phones) - first, int(kind)))
            first = len(phones)
    return Sentence(_joined(labels), tuple(words), tuple(phones))


def _split(whole: Sentence, edge_s: float, least_s: float) -> Iterator[Sentence]:
    """The sentences of one, cut where one ends with a pause of at least `least_s`, which is shared among both."""
    begin, lead = 0, whole.phones[0]
    for number, word in enumerate(whole.words, 1):
        stop = word.first + word.count
        last, pause_s = number == len(whole.words), whole.phones[stop - 1].pause_s
        if not last and not (word.mark == SENTENCE and pause_s >= least_s - 1e-9):
            continue
        own = whole.words[begin:number]
        phones = [lead, *whole.phones[own[0].first : stop]]
        tail_s = pause_s if last else min(edge_s, pause_s - least_s / 2)
        lead_s = 0.0 if last else min(edge_s, pause_s - tail_s)
        phones[-1] = phones[-1]._replace(pause_s=tail_s)
        moved = tuple(w._replace(first=w.first - own[0].first + 1) for w in own)
        silence_s = 0.0 if last else pause_s - tail_s - lead_s
        yield Sentence(_joined([w.text for w in own]), moved, tuple(phones), silence_s)
        begin, lead = number, whole.phones[stop - 1]._replace(symbol=SIL, duration_s=lead_s, pause_s=0.0)


def _joined(labels: Sequence[str]) -> str:
    """Words as a text; phonemes that stand for one in braces."""
    return " ".join(f"{{{label}}}" if " " in label else label for label in labels)
