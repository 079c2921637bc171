"""The vocoder that ships speaks, at the F0 it is given, and reads the F0 of a mel."""

import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.audio.pitch import track_f0
from copycat_jax.demo import CLIP
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.vocoder.harmonic import SHIPPED_VOCODER, open_harmonic, open_listener


@pytest.fixture(scope="module")
def vocode():
    return open_harmonic(HIFIGAN)


@pytest.fixture(scope="module")
def recording():
    from copycat_jax.audio.signal import read_audio, resample

    audio = read_audio(CLIP / "source.opus")
    samples = resample(audio.samples, audio.sample_rate, 22050)[: 160 * 256]
    return samples, extract_mel(samples, HIFIGAN).astype(np.float32)[None]


def test_copy_synthesis_keeps_mel_and_melody(vocode, recording):
    samples, mel = recording
    made = np.asarray(vocode(mel))[0]
    assert np.abs(extract_mel(made, HIFIGAN)[4:-4] - mel[0, 4:-4]).mean() < 0.35
    own, again = (track_f0(x, 22050, 160, HIFIGAN.hop_s) for x in (samples, made))
    both = (own > 0) & (again > 0)
    assert both.sum() > 0.8 * (own > 0).sum()
    assert np.median(np.abs(12 * np.log2(again[both] / own[both]))) < 0.3


def test_it_reads_the_melody(vocode, recording):
    samples, mel = recording
    read, own = np.asarray(vocode.read_f0(mel))[0], track_f0(samples, 22050, 160, HIFIGAN.hop_s)
    both = (read > 0) & (own > 0)
    assert both.sum() > 0.85 * (own > 0).sum()
    assert np.median(np.abs(12 * np.log2(read[both] / own[both]))) < 0.3


def test_a_listener_hears_what_the_vocoder_reads_and_no_padding(vocode, recording):
    _, mel = recording
    read, listener = np.asarray(vocode.read_f0(mel)), open_listener(80, HIFIGAN.frame_rate_hz)
    mask = np.arange(200)[None] < 160
    padded, mask = jnp.asarray(np.pad(mel, ((0, 0), (0, 40), (0, 0)), constant_values=np.nan)), jnp.asarray(mask)
    heard = listener.f0_hz(padded, mask)
    np.testing.assert_allclose(heard[:, :160], read, rtol=1e-4)
    assert not np.asarray(heard[:, 160:]).any()
    ending = mask & (jnp.arange(200)[None] >= 120)
    terms = {name: float(t.sum / t.count) for name, t in listener.terms(padded, mask, heard, ending).items()}
    assert terms["voicing_error"] == 0 and terms["f0_octaves"] < 1e-5 and terms["voicing"] < 0.2
    bent = jnp.where(ending, 2 * heard, heard)
    higher = {name: float(t.sum / t.count) for name, t in listener.terms(padded, mask, bent, ending).items()}
    np.testing.assert_allclose(higher["f0_octaves_ending"], 1, atol=1e-4)
    assert 0.05 < higher["f0_octaves"] < 0.6
    with pytest.raises(UserError, match="'hifigan', not 40 bins"):
        open_listener(40, HIFIGAN.frame_rate_hz)


def test_f0_given_is_spoken_a_little_beside_what_the_mel_tells(vocode, recording):
    """A third of a semitone: less than 80 bins resolve, and far from where it would contradict them."""
    _, mel = recording
    read = np.asarray(vocode.read_f0(mel))
    np.testing.assert_allclose(vocode(mel, read), vocode(mel), atol=1e-5)
    found = [track_f0(np.asarray(vocode(mel, read * share))[0], 22050, 160, HIFIGAN.hop_s) for share in (0.98, 1.02)]
    both = (found[0] > 0) & (found[1] > 0)
    assert np.median(12 * np.log2(found[1][both] / found[0][both])) > 0.2


def test_the_file_is_small():
    assert (SHIPPED_VOCODER / "vocoder.safetensors").stat().st_size <= 13e6


def test_another_convention_is_refused():
    with pytest.raises(UserError, match=r"mel convention 'hifigan', not this bundle's 'paper_24k'"):
        open_harmonic(PAPER_24K)
