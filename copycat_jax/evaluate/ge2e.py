"""The judge of voices, GE2E, in JAX: from the weights that lie in an installed `resemblyzer` package, which is not run.

The network is that of Wan et al. 2018 (Generalized End-to-End Loss for Speaker Verification) as Resemblyzer 0.1.4
trained and published it (Apache-2.0): three LSTMs of 256 states over 40 mel bands of 16 kHz sound, a dense layer of 256
on the last state, rectified, of unit length; a recording is the mean over windows of 1.6 s. Its weights are read
without PyTorch, by a reader that runs nothing. It judges; nothing is ever trained with it.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from copycat_jax.audio.signal import resample
from copycat_jax.errors import UserError
from copycat_jax.torch_checkpoint import read_torch_checkpoint

RATE_HZ, HOP, WINDOW = 16_000, 160, 400  # samples
BANDS, STATES, LAYERS = 40, 256, 3
FRAMES = 160  # of a window of speech: 1.6 s
WINDOWS_PER_S = 1.3
LEAST_COVERED = 0.75  # of a last window; one that holds less is left out
LOUDNESS_DBFS = -30.0  # to which softer recordings are raised
# Voice detection: webrtcvad at its strictest in steps of 30 ms, smoothed over 8 of them, widened by 3 on either side.
VAD_STEP, VAD_MODE, VAD_SMOOTHED, VAD_WIDENED = 480, 3, 8, 3

_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_ROWS = 8  # windows that are judged at once: one shape to compile

Params = dict[str, Any]  # arrays by PyTorch's names


def weights_path() -> Path:
    """The weights in the installed package; raises UserError where there is none."""
    found = importlib.util.find_spec("resemblyzer")
    path = Path(found.origin).parent / "pretrained.pt" if found and found.origin else None
    if path is None or not path.is_file():
        raise UserError("no weights of GE2E", "resemblyzer", "Run: pip install --no-deps resemblyzer==0.1.4")
    return path


@cache
def read_params() -> Params:
    """The network's arrays by PyTorch's names; raises UserError where they are not those of this network."""
    path = weights_path()
    state = read_torch_checkpoint(path).get("model_state", {})
    names = [f"lstm.{kind}_l{layer}" for layer in range(LAYERS) for kind in _KINDS]
    params = {name: state.get(name) for name in (*names, "linear.weight", "linear.bias")}
    shape = getattr(params["lstm.weight_ih_l0"], "shape", None)
    if any(value is None for value in params.values()) or shape != (4 * STATES, BANDS):
        raise UserError("not the weights of GE2E", str(path), "Install resemblyzer==0.1.4.")
    return {name: np.asarray(value, np.float32) for name, value in params.items()}


def embed_voice(samples: Float[np.ndarray, " N"], rate: int) -> Float[np.ndarray, "256"]:
    """The voice of a recording, of unit length; zeros where no speech is found in it.

    Args:
      samples: mono, in [-1, 1].
      rate: sampling rate in Hz, any.

    Raises:
      UserError: the weights, or webrtcvad, are not installed.
    """
    speech = spoken(raised(np.asarray(resample(samples, rate, RATE_HZ), np.float32)))
    if not len(speech):
        return np.zeros(STATES, np.float32)
    starts = window_starts(len(speech))
    padded = np.pad(speech, (0, max(0, (starts[-1] + FRAMES) * HOP - len(speech))))
    mel = mel_bands(padded)
    windows = np.stack([mel[start : start + FRAMES] for start in starts])
    vectors = np.concatenate([np.asarray(_network(read_params(), part)) for part in _padded_parts(windows)])
    mean = vectors[: len(windows)].mean(axis=0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def raised(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """A recording softer than `LOUDNESS_DBFS` (RMS) raised to it."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 1.0
    gain_db = max(LOUDNESS_DBFS - 10 * np.log10(max(power, 1e-20)), 0.0)
    return samples * np.float32(10 ** (gain_db / 20))


def spoken(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " K"]:
    """What a voice detector calls speech, and a little around it; UserError where webrtcvad is not installed."""
    try:
        import webrtcvad
    except ImportError:
        raise UserError("this judge needs webrtcvad", remedy="Run: pip install webrtcvad-wheels") from None
    steps = len(samples) // VAD_STEP
    if not steps:
        return samples[:0]
    detector, cut = webrtcvad.Vad(VAD_MODE), samples[: steps * VAD_STEP]
    pcm = np.round(np.clip(cut, -1, 1) * 32767).astype("<i2").reshape(steps, VAD_STEP)
    flags = np.array([detector.is_speech(step.tobytes(), RATE_HZ) for step in pcm], float)
    return cut.reshape(steps, VAD_STEP)[widened(flags)].ravel()


def widened(flags: Float[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
    """Steps called speech where more than half of those around them are, and their neighbours."""
    before = (VAD_SMOOTHED - 1) // 2
    padded = np.pad(flags, (before, VAD_SMOOTHED - 1 - before))
    smooth = np.convolve(padded, np.ones(VAD_SMOOTHED), "valid") / VAD_SMOOTHED
    near = np.pad(np.round(smooth), VAD_WIDENED)
    return np.convolve(near, np.ones(2 * VAD_WIDENED + 1), "valid") > 0.5


def window_starts(samples: int) -> list[int]:
    """First frames of the windows over so many samples."""
    frames, step = -(-(samples + 1) // HOP), round(RATE_HZ / WINDOWS_PER_S / HOP)
    starts = list(range(0, max(1, frames - FRAMES + step + 1), step))
    covered = (samples - starts[-1] * HOP) / (FRAMES * HOP)
    return starts[:-1] if covered < LEAST_COVERED and len(starts) > 1 else starts


def mel_bands(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T 40"]:
    """Power in 40 mel bands (Slaney's scale and norm) of Hann windows of 25 ms every 10 ms, centred; no logarithm."""
    from librosa.feature import melspectrogram

    mel = melspectrogram(y=samples, sr=RATE_HZ, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS)
    return mel.astype(np.float32).T


def network(params: Params, mel: Float[Array, "B T 40"]) -> Float[Array, "B 256"]:
    """Windows to vectors of unit length."""
    x = mel
    for layer in range(LAYERS):
        own = {kind: params[f"lstm.{kind}_l{layer}"] for kind in _KINDS}
        x = _lstm(x, **own)
    raw = jax.nn.relu(x[:, -1] @ params["linear.weight"].T + params["linear.bias"][None])
    return raw / jnp.linalg.norm(raw, axis=1, keepdims=True)


def _lstm(x: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array) -> Array:
    """One layer over [B, T, K]; gates in PyTorch's order: input, forget, cell, output."""
    gates = x @ weight_ih.T + (bias_ih + bias_hh)[None, None]
    start = jnp.zeros((x.shape[0], STATES), x.dtype)

    def step(carry: tuple[Array, Array], gate: Array) -> tuple[tuple[Array, Array], Array]:
        hidden, cell = carry
        i, f, g, o = jnp.split(gate + hidden @ weight_hh.T, 4, axis=1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    return jax.lax.scan(step, (start, start), gates.swapaxes(0, 1))[1].swapaxes(0, 1)


_network = jax.jit(network)


def _padded_parts(windows: np.ndarray) -> list[np.ndarray]:
    padded = np.pad(windows, ((0, -len(windows) % _ROWS), (0, 0), (0, 0)), mode="edge")
    return list(padded.reshape(-1, _ROWS, *windows.shape[1:]))
