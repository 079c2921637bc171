import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.vocoder.griffin_lim import griffin_lim
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, VOCODERS, Vocoder, open_vocoder, vocoder_names


def test_griffin_lim_is_opened_by_its_name():
    mel = np.full((1, 8, HIFIGAN.mel_bins), -4.0, np.float32)
    np.testing.assert_array_equal(open_vocoder("griffin_lim", HIFIGAN)(mel), griffin_lim(mel, HIFIGAN))


def test_another_vocoder_is_one_entry(monkeypatch):
    monkeypatch.setitem(
        VOCODERS, "hum", lambda spec: Vocoder(lambda mel, f0_hz: np.zeros((len(mel), spec.hop_samples)))
    )
    assert open_vocoder("hum", HIFIGAN)(np.zeros((2, 1, 80))).shape == (2, 256)
    assert "hum" in vocoder_names()
    with pytest.raises(UserError, match=r"Did you mean 'hum'.*Known: harmonic, griffin_lim, hifigan, hum"):
        open_vocoder("humm", HIFIGAN)


def test_help_names_the_default_and_every_other():
    assert DEFAULT_VOCODER in VOCODERS
    assert vocoder_names() == "harmonic (default), griffin_lim, hifigan, a vocoder's bundle or a HiFi-GAN checkpoint"


def test_hifigan_refuses_another_mel_convention(tmp_path):
    (tmp_path / "any.pt").touch()
    for name in ("hifigan", str(tmp_path / "any.pt")):
        with pytest.raises(UserError, match="does not speak"):
            open_vocoder(name, PAPER_24K)
