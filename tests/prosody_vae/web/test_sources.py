import numpy as np
import pytest
from tiny_bundle import write_tiny

from copycat_jax.audio.signal import Audio, read_audio
from copycat_jax.errors import UserError
from copycat_jax.synthesis import load
from copycat_jax.text.phonemes import to_symbols
from prosody_vae.web.sources import clip_source, page_source, shipped_clips


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory):
    return load(write_tiny(tmp_path_factory.mktemp("tiny") / "bundle"))


def test_a_source_holds_what_a_transfer_reads(synthesizer):
    clip = shipped_clips()[0]
    about, numbers = clip_source(synthesizer, clip)
    prepared = synthesizer.prepare(clip.path, clip.text)
    mel = np.frombuffer(numbers, "<f4", about["frames"] * 80).reshape(-1, 80)
    assert (mel == prepared.analysis.mel).all()
    sound = np.frombuffer(numbers, "<i2", offset=mel.nbytes)
    assert len(sound) == about["samples"] == about["length"]
    assert sum(about["durations"]) == about["frames"]
    assert to_symbols(about["phonemes"]) == list(prepared.analysis.phonemes)
    assert [word for word, _, _ in about["words"]] == clip.text.lower().strip("?").split()
    assert about["phones"][0][1] == 0.0 and about["phones"][-1][2] == pytest.approx(
        read_audio(clip.path).seconds, abs=1e-3
    )


def test_a_long_recording_is_refused(synthesizer):
    with pytest.raises(UserError, match="too long for the page"):
        page_source(synthesizer, Audio(np.zeros(11 * 8000, np.float32), 8000), "a")
