import pytest
from little_prosody import FRAME_S, example

from copycat_jax.prosody.values import times_of


def test_times_follow_from_durations_pauses_and_silences():
    prosody = example()
    first, second = times_of(prosody)
    assert first.phones[0].start_s == 0.0
    for sentence, times in zip(prosody.sentences, (first, second), strict=True):
        ends = [a.end_s == pytest.approx(b.start_s) for a, b in zip(times.phones, times.phones[1:], strict=False)]
        assert all(ends)
        assert times.phones[-1].end_s - times.phones[0].start_s == pytest.approx(sentence.seconds)
    assert second.phones[0].start_s == pytest.approx(prosody.sentences[0].seconds + 0.3)
    hi, you = first.words
    assert (hi.start_s, hi.end_s) == pytest.approx((5 * FRAME_S, 22 * FRAME_S))
    assert (you.start_s, you.end_s) == pytest.approx((34 * FRAME_S, 50 * FRAME_S))
