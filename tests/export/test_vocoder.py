"""The vocoder's ONNX graphs make JAX's samples, noise and all, and hear the same F0."""

import math

import jax
import numpy as np
import pytest
from exported import DECIBEL, VOCODER_OPTIONS, decibel, expected_samples, tiny_vocoder

from copycat_jax.errors import UserError
from copycat_jax.export.session import open_model
from copycat_jax.export.vocoder import pitch_graph, vocoder_graph
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.models import vocoder
from copycat_jax.nn.excitation import NOISE_PERIOD

pytest.importorskip("onnx")

FRAMES = 2 * 140  # beyond the period of the noise


def sounds(spec):
    """Two rows, the second with silence behind it: mel [2, T, M] and F0 that glides, jumps and stops."""
    rng = np.random.default_rng(2)
    mel = (rng.standard_normal((2, FRAMES, spec.mel_bins)) - 5).astype(np.float32)
    mel[1, 100:] = math.log(spec.floor)
    f0_hz = np.stack([np.geomspace(60, 420, FRAMES), np.full(FRAMES, 133.3)]).astype(np.float32)
    f0_hz[:, 40:60] = 0
    return mel, f0_hz


@pytest.mark.parametrize(
    ("spec", "options"),
    [(HIFIGAN, VOCODER_OPTIONS[0]), (HIFIGAN, VOCODER_OPTIONS[1]), (PAPER_24K, {"spectra": 2, "f0_blocks": 2})],
    ids=["tiny", "one spectrum", "24 kHz"],
)
def test_the_samples_are_those_of_jax(spec, options):
    bundle = tiny_vocoder(options, spec)
    config, params = vocoder.VocoderConfig.from_dict(bundle.config["vocoder"]), bundle.params["vocoder"]
    mel, f0_hz = sounds(spec)
    assert FRAMES * spec.hop_samples > NOISE_PERIOD
    wanted = expected_samples(bundle, mel, f0_hz)
    made = open_model(vocoder_graph(bundle).SerializeToString(), 1)(mel=mel, f0_hz=f0_hz)["samples"]
    assert made.shape == wanted.shape and all(decibel(*rows) > DECIBEL for rows in zip(wanted, made, strict=True))
    assert not made[1, 102 * spec.hop_samples :].any()
    network = vocoder.HarmonicVocoder(config, spec)
    logit, _ = jax.jit(lambda p, m: network.apply({"params": p}, m, method="read_f0"))(params, mel)
    params["pitch"]["out"]["bias"][0] -= np.median(logit[0])  # half of the frames are voiced
    heard = np.asarray(jax.jit(lambda p, m: vocoder.read_f0(p, config, m, spec))(params, mel))
    read = open_model(pitch_graph(bundle).SerializeToString(), 1)(mel=mel)["f0_hz"]
    assert (heard > 0).any() and (heard == 0).any()
    np.testing.assert_allclose(read, heard, rtol=1e-5)


def test_spectra_that_do_not_divide_are_refused():
    bundle = tiny_vocoder()
    bundle.config["vocoder"]["spectra"] = 3
    with pytest.raises(UserError, match=r"vocoder\.spectra: 3 spectra a frame do not divide"):
        vocoder_graph(bundle)
