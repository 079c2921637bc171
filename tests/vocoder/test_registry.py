"""Vocoders by name."""

import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.vocoder.registry import KNOWN_VOCODERS, VOCODERS, open_vocoder


def test_another_vocoder_is_one_entry(monkeypatch):
    monkeypatch.setitem(VOCODERS, "hum", lambda spec: lambda mel: np.zeros((len(mel), mel.shape[1] * spec.hop_samples)))
    assert open_vocoder("hum", HIFIGAN)(np.zeros((2, 5, 80))).shape == (2, 5 * HIFIGAN.hop_samples)


def test_an_unknown_name_is_answered_with_all_known():
    assert all(name in KNOWN_VOCODERS for name in VOCODERS)
    with pytest.raises(UserError, match=rf"Did you mean 'griffin_lim'\? Known: {KNOWN_VOCODERS}\."):
        open_vocoder("grifin_lim", HIFIGAN)


def test_hifigan_speaks_one_convention():
    with pytest.raises(UserError, match=r"does not speak .* Use griffin_lim"):
        open_vocoder("hifigan", PAPER_24K)
