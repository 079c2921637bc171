"""F0 as the vocoder hears it: of any part and padding the same, without hum, and a corpus's registers by it."""

import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.audio.pitch import register_hz, spread_semitones
from copycat_jax.audio.signal import read_audio, resample, trim_bounds
from copycat_jax.audio.spool import Spool
from copycat_jax.corpus.corpus import memory_corpus
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.demo import CLIP
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.vocoder.harmonic import open_harmonic
from copycat_jax.vocoder.hearing import hear_f0, hear_speakers


@pytest.fixture(scope="module")
def vocode():
    return open_harmonic(HIFIGAN)


@pytest.fixture(scope="module")
def samples():
    audio = read_audio(CLIP / "source.opus")
    start, stop = trim_bounds(audio.samples, audio.sample_rate)
    return resample(audio.samples[start:stop], audio.sample_rate, HIFIGAN.sample_rate)


def semitones(a, b) -> float:
    return abs(12 * np.log2(a / b))


def test_parts_and_paddings_hear_what_the_whole_does(vocode, samples, tmp_path):
    frames = HIFIGAN.frames(len(samples))
    whole = hear_f0(vocode, samples, HIFIGAN, [(0, frames)], frames)
    mel = extract_mel(samples, HIFIGAN).astype(np.float32)
    np.testing.assert_allclose(whole, np.asarray(vocode.read_f0(mel[None]))[0], rtol=1e-3)
    spooled = Spool(tmp_path)
    spooled.append(samples)
    halves = [(0, frames // 2), (frames // 2, frames)]
    parts = hear_f0(vocode, spooled, HIFIGAN, halves, frames, lambda n: -(-n // 64) * 64)
    assert len(parts) == len(whole) == frames
    away = np.abs(np.arange(frames) - frames // 2) > 40  # of where they meet
    np.testing.assert_allclose(parts[away], whole[away], rtol=1e-3)
    # Pieces leave long pauses out: what is heard stays where it is.
    apart = hear_f0(vocode, samples, HIFIGAN, [(0, 100), (220, frames)], frames)
    assert not apart[100:220].any() and len(apart) == frames
    np.testing.assert_allclose(apart[260:], whole[260:], rtol=1e-3)


@pytest.mark.parametrize("hertz", [50, 60])
def test_hum_does_not_move_the_register(vocode, samples, hertz):
    frames = HIFIGAN.frames(len(samples))
    hum = 0.05 * np.sin(2 * np.pi * hertz * np.arange(len(samples)) / HIFIGAN.sample_rate)
    clean, noisy = (
        register_hz(hear_f0(vocode, x.astype(np.float32), HIFIGAN, [(0, frames)], frames))
        for x in (samples, samples + hum)
    )
    assert semitones(noisy, clean) < 0.5


def test_a_corpus_speaks_in_the_registers_that_it_was_made_in():
    made = [u._replace(speaker="high" if i % 2 else "low") for i, u in enumerate(synthetic_utterances(4, speakers=2))]
    corpus = memory_corpus(made, HIFIGAN)
    found = hear_speakers(corpus)
    assert list(found) == list(corpus.speakers)
    for name, (register, spread) in found.items():
        f0_hz = np.concatenate([u.f0_hz for u in made if u.speaker == name])
        assert semitones(register, register_hz(f0_hz)) < 1
        assert abs(spread - spread_semitones(f0_hz)) < 1
    assert set(hear_speakers(corpus, ["low", "nobody"])) == {"low"}
    with pytest.raises(UserError, match="mel convention"):
        hear_speakers(memory_corpus(made, PAPER_24K))
