import math

import numpy as np
import pytest

from copycat_jax.analysis import Analysis
from copycat_jax.errors import UserError
from copycat_jax.prosody.heard import heard_prosody, heard_times, within
from copycat_jax.prosody.values import times_of
from copycat_jax.text.phonemes import SIL
from copycat_jax.text.phrasing import SENTENCE, WORD
from copycat_jax.types import Alignment, Interval

FRAME_S = 0.01
ROWS = [  # "Hi you. No." with a pause between the sentences, which begins without a silence
    *(("HH", 4, 0), ("AY1", 10, WORD), ("Y", 4, 0), ("UW1", 12, SENTENCE)),
    *((SIL, 40, 0), ("N", 5, 0), ("OW1", 15, SENTENCE), (SIL, 6, 0)),
]


def analysis(**changed) -> Analysis:
    symbols, frames, breaks = zip(*ROWS, strict=True)
    durations = np.array(frames, np.int32)
    edges, start_s = np.concatenate([[0], np.cumsum(durations)]) * FRAME_S, 0.5
    f0_hz = np.repeat([0, 200, 0, 150, 0, 100, 120, 0], durations).astype(np.float32)
    phones = [Interval(start_s + a, start_s + b, s) for a, b, s in zip(edges, edges[1:], symbols, strict=False)]
    phones = [Interval(0.0, start_s, SIL), *phones]
    words = [Interval(edges[a], edges[b], name) for a, b, name in ((0, 2, "hi"), (2, 4, "you"), (5, 7, "no"))]
    own = {
        "samples": np.zeros(0, np.float32),
        "start_s": start_s,
        "length": 0,
        "mel": np.zeros((durations.sum(), 80), np.float32),
        "phonemes": symbols,
        "durations": durations,
        "breaks": np.array(breaks, np.int32),
        "alignment": Alignment(
            tuple(phones), tuple(Interval(w.start_s + start_s, w.end_s + start_s, w.label) for w in words), -1.0
        ),
        "words": tuple(words),
        "f0_hz": f0_hz,
        "energy": np.repeat(np.arange(len(ROWS), dtype=np.float32), durations),
    }
    return Analysis(**own | changed)


def test_sentences_last_as_long_as_the_recording_and_the_pause_between_them_is_shared():
    first, second = heard_prosody(analysis(), FRAME_S, "Hi you. No.").sentences
    assert first.seconds + first.silence_s + second.seconds == pytest.approx(0.96)
    assert [w.text for w in first.words] == ["hi", "you"] and [w.text for w in second.words] == ["no"]
    assert first.phones[0].symbol == second.phones[0].symbol == SIL and first.phones[0].duration_s == 0.0
    assert first.phones[-1].pause_s == pytest.approx(0.1) == second.phones[0].duration_s
    assert first.silence_s == pytest.approx(0.2) and second.phones[-1].pause_s == pytest.approx(0.06)
    assert times_of(heard_prosody(analysis(), FRAME_S, None))[1].words[0].start_s == pytest.approx(0.7)


def test_f0_is_that_of_voiced_frames_moved_to_the_voice_and_drawn_straight_where_there_is_none():
    (first, _) = heard_prosody(analysis(), FRAME_S, None, ratio=2.0).sentences
    hh, ay, y, uw = (phone.f0_hz for phone in first.phones[1:])
    assert hh == ay == pytest.approx(400) and uw == pytest.approx(300)
    assert 300 < y < 400
    assert [phone.energy for phone in first.phones[1:]] == [0, 1, 2, 3]
    silent = heard_prosody(analysis(f0_hz=np.zeros(96, np.float32)), FRAME_S, None)
    assert math.isnan(silent.sentences[0].phones[1].f0_hz)


def test_words_are_timed_on_the_recording_and_of_a_trimmed_result_on_its_own():
    first, second = heard_times(analysis(), "Hi you. No.")
    assert first.words[0].start_s == 0.5 and second.words[0].end_s == pytest.approx(1.4)
    assert first.phones[0] == Interval(0.0, 0.5, SIL) and second.phones[-1].end_s == pytest.approx(1.46)
    assert sum(len(times.phones) for times in (first, second)) == len(ROWS) + 1
    trimmed = within(heard_times(analysis(), "Hi you. No.", -0.5), 0.93)
    assert trimmed[0].words[0].start_s == 0.0 and trimmed[1].phones[-1].end_s == 0.93


def test_an_alignment_without_words_has_no_prosody_file():
    with pytest.raises(UserError, match="names no words"):
        heard_prosody(analysis(words=()), FRAME_S, None)
