import numpy as np
import pytest

from copycat_jax.audio.pitch import register_hz, semitones
from copycat_jax.audio.signal import Audio, write_wav
from copycat_jax.evaluate import trivial

RATE = 16000


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    """A second of a vowel that rises from 110 to 165 Hz."""
    time = np.arange(RATE) / RATE
    phase = 2 * np.pi * np.cumsum(110 + 55 * time) / RATE
    samples = sum(np.sin(k * phase) / k for k in range(1, 12)).astype(np.float32) * 0.1
    path = tmp_path_factory.mktemp("vowel") / "rise.wav"
    write_wav(path, samples, RATE)
    return {"source": path, "voice": "v"}


def melody(audio: Audio) -> np.ndarray:
    world = pytest.importorskip("pyworld")
    f0_hz, _ = world.harvest(audio.samples.astype(np.float64), audio.sample_rate)
    return f0_hz[f0_hz > 0][20:-20]


def test_each_system_has_the_melody_that_it_says_and_the_length_of_its_source(row):
    pytest.importorskip("pyworld")
    made = {name: trivial.TRIVIAL[name](row, 220.0) for name in ("source", "shifted", "average", "monotone")}
    assert {len(audio.samples) for audio in made.values()} == {RATE}
    curves = {name: semitones(melody(audio)) for name, audio in made.items()}
    rise = np.polyfit(np.arange(len(curves["source"])), curves["source"], 1)[0] * len(curves["source"])
    assert 5 < rise < 8
    assert np.corrcoef(curves["source"][:150], curves["shifted"][:150])[0, 1] > 0.99
    assert abs(12 * np.log2(register_hz(melody(made["shifted"])) / 220.0)) < 0.3
    assert (
        np.std(curves["monotone"]) < 0.15 and abs(np.mean(curves["monotone"]) - semitones(np.array([220.0]))[0]) < 0.2
    )
    assert curves["average"][0] - curves["average"][-1] == pytest.approx(trivial.FALL_SEMITONES, abs=1.0)


def test_silence_stays_silence(row, tmp_path):
    pytest.importorskip("pyworld")
    write_wav(tmp_path / "silence.wav", np.zeros(RATE, np.float32), RATE)
    made = trivial.monotone({"source": tmp_path / "silence.wav"}, 220.0)
    assert len(made.samples) == RATE and not made.samples.any()


def test_copy_synthesis_is_the_truth_through_the_vocoder(row):
    made = trivial.copy_synthesis({"source": row["source"], "truth": row["source"]}, 220.0)
    assert abs(len(made.samples) / made.sample_rate - 1.0) < 0.01
    ours, own = melody(made)[:150], melody(trivial.source(row, 0.0))[:150]
    assert np.corrcoef(ours, own)[0, 1] > 0.98
