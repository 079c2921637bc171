"""A tiny voice whose vocoder compiles nothing."""

import numpy as np
import pytest
from tiny_voice import tiny_bundle

from copycat_jax.vocoder.registry import VOCODERS, Vocoder
from prosody_vae.tts.voice import open_voice


@pytest.fixture(scope="module")
def voice():
    voice = open_voice(tiny_bundle())
    hop = voice.spec.hop_samples
    with pytest.MonkeyPatch.context() as patch:
        hum = lambda mel: np.repeat(np.tanh(np.asarray(mel).mean(axis=-1)), hop, axis=1)  # noqa: E731, compiles nothing
        patch.setitem(VOCODERS, "hum", lambda spec: Vocoder(lambda mel, f0_hz: hum(mel)))
        voice.vocoder("hum")
    return voice
