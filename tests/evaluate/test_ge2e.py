"""The judge of voices: its network against its definition, its windows by hand, all of it against the published one."""

import sys

import numpy as np
import pytest

from copycat_jax.audio.signal import read_audio
from copycat_jax.demo import CLIP
from copycat_jax.errors import UserError
from copycat_jax.evaluate import ge2e


@pytest.fixture(scope="module")
def clip():
    return read_audio(CLIP / "source.opus")


@pytest.fixture
def installed():
    try:
        ge2e.weights_path()
    except UserError as error:
        pytest.skip(str(error))
    pytest.importorskip("webrtcvad")


def random_params(seed=0):
    rng, sizes = np.random.default_rng(seed), (ge2e.BANDS, ge2e.STATES, ge2e.STATES)
    params = {}
    for layer, inputs in enumerate(sizes):
        params[f"lstm.weight_ih_l{layer}"] = 0.1 * rng.standard_normal((4 * ge2e.STATES, inputs))
        params[f"lstm.weight_hh_l{layer}"] = 0.1 * rng.standard_normal((4 * ge2e.STATES, ge2e.STATES))
        for kind in ("ih", "hh"):
            params[f"lstm.bias_{kind}_l{layer}"] = 0.1 * rng.standard_normal(4 * ge2e.STATES)
    params["linear.weight"] = 0.1 * rng.standard_normal((256, ge2e.STATES))
    params["linear.bias"] = 0.1 * rng.standard_normal(256)
    return {name: value.astype(np.float32) for name, value in params.items()}


def test_the_network_is_three_lstms_and_a_rectified_layer():
    """Written out, frame by frame, in float64."""
    params, mel = random_params(), np.random.default_rng(1).random((2, 7, 40)).astype(np.float32)
    x = mel.astype(np.float64)
    for layer in range(3):
        hidden = cell = np.zeros((2, 256))
        states = []
        for frame in x.swapaxes(0, 1):
            gates = frame @ params[f"lstm.weight_ih_l{layer}"].T + params[f"lstm.bias_ih_l{layer}"]
            gates = gates + hidden @ params[f"lstm.weight_hh_l{layer}"].T + params[f"lstm.bias_hh_l{layer}"]
            i, f, o = (1 / (1 + np.exp(-gates[:, k * 256 : (k + 1) * 256])) for k in (0, 1, 3))
            cell = f * cell + i * np.tanh(gates[:, 512:768])
            hidden = o * np.tanh(cell)
            states.append(hidden)
        x = np.stack(states, 1)
    raw = np.maximum(x[:, -1] @ params["linear.weight"].T + params["linear.bias"], 0)
    wanted = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    import jax.numpy as jnp

    found = ge2e.network({name: jnp.asarray(value) for name, value in params.items()}, jnp.asarray(mel))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_windows_cover_a_recording_and_the_last_is_full_enough():
    assert ge2e.window_starts(16000) == [0]  # shorter than a window
    assert ge2e.window_starts(160 * 160) == [0]
    assert ge2e.window_starts(160 * 237) == [0, 77]
    assert ge2e.window_starts(160 * 230) == [0, 77]
    starts = ge2e.window_starts(16000 * 10)
    assert starts == list(range(0, 77 * len(starts), 77)) and 1000 - starts[-1] >= 0.75 * 160
    assert 1000 - starts[-1] < 160 + 77


def test_speech_is_smoothed_and_widened():
    flags = np.zeros(40)
    flags[10:20] = 1
    found = ge2e.widened(flags)
    # Five of eight and more: nine steps, and three on either side.
    assert found.sum() == 15 and found[10:20].all() and not found[:7].any() and not found[22:].any()
    flags = np.zeros(40)
    flags[10:13] = 1  # a click
    assert not ge2e.widened(flags).any()


def test_soft_recordings_are_raised_and_loud_ones_left(clip):
    loud = np.asarray(clip.samples, np.float32)
    assert np.array_equal(ge2e.raised(loud), loud)
    soft = ge2e.raised(1e-3 * loud)
    assert 20 * np.log10(np.sqrt(np.mean(soft**2))) == pytest.approx(ge2e.LOUDNESS_DBFS, abs=0.01)
    assert not ge2e.raised(np.zeros(9, np.float32)).any() and len(ge2e.raised(np.zeros(0, np.float32))) == 0


def test_a_voice_is_itself_at_any_rate_and_silence_none(installed, clip):
    whole = ge2e.embed_voice(clip.samples, clip.sample_rate)
    assert np.linalg.norm(whole) == pytest.approx(1, abs=1e-5)
    half = ge2e.embed_voice(clip.samples[: len(clip.samples) // 2], clip.sample_rate)
    assert whole @ half > 0.85
    time = np.arange(32000) / 16000
    assert not ge2e.embed_voice(np.zeros(32000, np.float32), 16000).any()
    assert whole @ ge2e.embed_voice((0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32), 16000) < 0.7


def test_what_is_missing_is_named(monkeypatch, installed, clip):
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(UserError, match="webrtcvad-wheels"):
        ge2e.spoken(np.zeros(16000, np.float32))
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    with pytest.raises(UserError, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        ge2e.weights_path()


@pytest.mark.parity
def test_it_is_resemblyzers(installed, clip):
    pytest.importorskip("torch")
    sys.modules.setdefault("scipy.ndimage.morphology", pytest.importorskip("scipy.ndimage"))
    resemblyzer = pytest.importorskip("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    samples = np.clip(np.asarray(clip.samples, np.float32), -0.999, 0.999)
    for part in (samples, samples[: clip.sample_rate], 0.001 * samples):
        published = encoder.embed_utterance(resemblyzer.preprocess_wav(part, source_sr=clip.sample_rate))
        np.testing.assert_allclose(ge2e.embed_voice(part, clip.sample_rate), published, atol=1e-4)
