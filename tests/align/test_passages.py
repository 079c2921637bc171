import numpy as np
import pytest

from copycat_jax.align import aligner, passages, suspicion
from copycat_jax.audio import signal
from copycat_jax.demo import CLIP, clip_text
from copycat_jax.errors import UserError

TIMES = 3


@pytest.fixture(scope="module")
def spoken():
    """The clip three times over, and its words once, each with its own alignment."""
    clip = signal.read_audio(CLIP / "source.opus")
    return np.tile(clip.samples, TIMES), clip.sample_rate, aligner.align_text(*clip, clip_text())


@pytest.fixture(autouse=True)
def short_passages(monkeypatch):
    monkeypatch.setattr(passages, "WHOLE_S", 7.0)
    monkeypatch.setattr(passages, "STRETCH_S", 6.0)


def test_words_lie_where_they_lie_in_each_part(spoken):
    samples, rate, alone = spoken
    seconds, heard = len(samples) / rate / TIMES, []
    found = passages.align_text(samples, rate, " ".join([clip_text()] * TIMES), progress=heard.append)
    assert [word.label for word in found.words] == [word.label for word in alone.words] * TIMES
    wanted = [word.start_s + k * seconds for k in range(TIMES) for word in alone.words]
    distances = np.abs(np.array([word.start_s for word in found.words]) - wanted)
    assert np.median(distances) <= 0.02 and np.mean(distances > 0.05) < 0.1
    assert len(heard) >= 2 and sum(heard) == pytest.approx(TIMES * seconds, abs=0.01)
    edges = [(phone.start_s, phone.end_s) for phone in found.phones]
    assert edges[0][0] == 0.0 and edges[-1][1] == pytest.approx(TIMES * seconds)
    for (_, end), (start, _) in zip(edges[:-1], edges[1:], strict=True):  # noqa: RUF007
        assert start == pytest.approx(end, abs=1e-6)
    assert found.score == pytest.approx(alone.score, abs=4.0)
    assert len(found.confidences) == len(found.words) and not suspicion.suspicion(found)


def test_a_short_recording_is_aligned_as_ever(spoken):
    samples, rate, alone = spoken
    assert passages.align_text(samples[: len(samples) // TIMES], rate, clip_text()) == alone


@pytest.mark.parametrize(
    "text",
    [
        clip_text(),  # the rest is missing
        " ".join([clip_text(), "Nothing of the kind was uttered by anyone here, not even remotely.", clip_text()]),
        " ".join(["Nothing of the kind was ever uttered by anyone."] * TIMES),
    ],
)
def test_a_text_that_is_not_said_is_refused_with_the_place(spoken, text):
    samples, rate, _ = spoken
    with pytest.raises(UserError, match=r"(between \d+:\d\d and \d+:\d\d|does not match)"):
        suspicion.check_match(passages.align_text(samples, rate, text), "here")


def test_a_doubt_lies_on_the_clock_of_the_whole(spoken):
    samples, rate, _ = spoken
    text = " ".join([clip_text()] * TIMES) + " Umbrella."
    found = passages.align_text(samples, rate, text)
    assert "umbrella" in found.doubts[-1].label and found.confidences[-1] <= 0.5
    assert found.doubts[-1].end_s > found.words[-2].start_s


def test_force_lets_a_passage_of_any_score_through(spoken, monkeypatch):
    samples, rate, _ = spoken
    monkeypatch.setattr(passages, "PASSAGE_THRESHOLD", 0.0)
    text = " ".join([clip_text()] * TIMES)
    with pytest.raises(suspicion.Mismatch, match=r"between \d+:\d\d and \d+:\d\d"):
        passages.align_text(samples, rate, text)
    assert passages.align_text(samples, rate, text, force=True).score < 0.0


def test_how_far_a_stretch_reaches(spoken):
    samples, rate, alone = spoken
    words = passages.words_of(" ".join([clip_text()] * TIMES))
    reached = aligner.reach(samples[: round(1.5 * len(samples) / TIMES)], rate, words)
    indices = [index for _, _, index in reached if index is not None]
    assert indices == list(range(len(indices))) and len(alone.words) < len(indices) < 2 * len(alone.words)
    assert not [index for *_, index in aligner.reach(np.zeros(2 * rate, np.float32), rate, words) if index is not None]
