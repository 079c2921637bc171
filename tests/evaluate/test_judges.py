"""Doors to the judges: what is missing is named, answers are remembered; each judge tried where it is installed."""

import json
import sys

import numpy as np
import pytest
import soundfile

from copycat_jax.errors import UserError
from copycat_jax.evaluate import judges
from copycat_jax.evaluate.objective import on_grid, transfer_scores

RATE = 16000


def _glide(seconds=1.0):
    t = np.arange(int(RATE * seconds)) / RATE
    f0 = 150 * 2 ** (4 * np.sin(2 * np.pi * t) / 12)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, 15)).astype(np.float32) * 0.2, f0


def _need(judge):
    if reason := judges.missing(judge):
        pytest.skip(reason)


@pytest.mark.parametrize("module", list(judges.INSTALL))
def test_a_missing_judge_says_what_to_install(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=f"needs {module}.*Install it: pip install"):
        judges.door(module)


def test_answers_are_remembered_by_content(tmp_path, monkeypatch):
    asked = []

    def fake(judge, path, place):
        asked.append(path)
        place.write_text(json.dumps([1.0, 2.0]))

    monkeypatch.setattr(judges, "judge_file", fake)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, _glide(0.2)[0], RATE)
    memory = judges.Memory(tmp_path / "memory")
    np.testing.assert_array_equal(memory.recall("voice", tmp_path / "a.wav"), [1, 2])
    assert list(judges.judge_all([("voice", tmp_path / n) for n in ("a.wav", "b.wav")], memory)) == []
    assert asked == [tmp_path / "a.wav"]
    with pytest.raises(UserError, match="no such file"):
        memory.recall("voice", tmp_path / "c.wav")


def test_numbers_case_and_punctuation_are_no_word_errors():
    assert judges.plain_words("In 1964, Mr. Smith's dog -- well-known -- ate 3 pies!") == judges.plain_words(
        "in nineteen sixty four mister smith's dog well known ate three pies"
    )
    assert judges.plain_words("") == [] and judges.plain_words("...") == []


def test_pitch_follows_a_glide():
    _need("f0")
    samples, f0 = _glide()
    pitch = judges.track_pitch(samples, RATE)
    exact = np.interp(np.arange(80) * 0.0125, np.arange(len(f0)) / RATE, f0)
    scores = transfer_scores(on_grid(pitch.times_s, pitch.f0_hz, 80), exact)
    assert scores.gross == 0 and scores.rmse < 0.3 and scores.frames > 60


@pytest.mark.slow
def test_voices_are_told_apart(corpora):
    _need("voice")
    folder = corpora / "vctk_mini" / "audio"
    clips = {
        name: soundfile.read(folder / f"{name}.flac", dtype="float32") for name in ("p225_003", "p225_008", "p226_003")
    }
    a, b, other = (judges.embed_voice(*clip) for clip in clips.values())
    assert a @ b > a @ other + 0.1 and np.linalg.norm(a) == pytest.approx(1, abs=1e-3)
