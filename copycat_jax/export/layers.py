"""The project's layers as ONNX nodes, from the arrays that a bundle has for them.

Inside, values are [B, T, C] and masks bool [B, T], as in JAX. Padding is replaced by Where, never multiplied.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.export.graph import FLOAT, INT32, Graph, Tensor
from copycat_jax.mel_spec import MelSpec, mel_edges_hz

Params = Mapping[str, Any]
# Our order of gates -> that of ONNX: r z n -> z r n, i f g o -> i o f g.
GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


class Mask(NamedTuple):
    """Which frames are real, in the forms that layers ask for."""

    real: Tensor  # bool [B, T]
    wide: Tensor  # bool [B, T, 1]
    lengths: Tensor  # int32 [B]


def mask_of(real: Tensor) -> Mask:
    """A mask from bool [B, T]."""
    return Mask(real, real.widen(2), real.cast(INT32).sum(1, keep=False))


def zero_padding(g: Graph, x: Tensor, mask: Mask) -> Tensor:
    """Zeros on padding, whatever stood there."""
    return g.where(mask.wide, x, 0.0)


def frames_of(g: Graph, mask: Mask) -> Tensor:
    """Real frames of each row as float32 [B, 1, 1], at least 1."""
    return g.op("Max", mask.lengths.cast(FLOAT), 1.0).widen(1, 2)


def dense(x: Tensor, params: Params) -> Tensor:
    """Flax's Dense, with or without bias."""
    y = x @ params["kernel"]
    return y + params["bias"] if "bias" in params else y


def convolution(g: Graph, x: Tensor, kernel: np.ndarray, bias: np.ndarray) -> Tensor:
    """Along time with a Flax kernel [k, C, D], as long as the input; an even kernel reaches further ahead."""
    taps = kernel.shape[0]
    pads = [(taps - 1) // 2, taps // 2]
    y = g.op("Conv", x.permute(0, 2, 1), np.transpose(kernel, (2, 1, 0)), bias, kernel_shape=[taps], pads=pads)
    return y.permute(0, 2, 1)


def layer_norm(g: Graph, x: Tensor, scale: np.ndarray, bias: np.ndarray, axis: int = -1) -> Tensor:
    """Flax's LayerNorm over the axes from `axis` on."""
    return g.op("LayerNormalization", x, scale, bias, axis=axis, epsilon=1e-6)


def instance_norm(g: Graph, x: Tensor, mask: Mask) -> Tensor:
    """Zero mean and unit variance of each channel over the real frames."""
    count = frames_of(g, mask)
    centred = x - zero_padding(g, x, mask).sum(1) / count
    variance = zero_padding(g, centred * centred, mask).sum(1) / count
    return centred / (variance + 1e-5).call("Sqrt")


def conv_stack(g: Graph, x: Tensor, params: Params, norm: str, mask: Mask) -> Tensor:
    """`nn.conv.ConvStack` without dropout."""
    for layer in range(sum(name.startswith("conv_") for name in params)):
        own = params[f"conv_{layer}"]
        x = convolution(g, zero_padding(g, x, mask), own["kernel"], own["bias"])
        if norm == "instance":
            x = instance_norm(g, x, mask)
        elif norm == "layer":
            x = layer_norm(g, x, **params[f"norm_{layer}"])
        x = x.call("Relu")
    return zero_padding(g, x, mask)


def recurrent(g: Graph, x: Tensor, params: Params, cell: str, mask: Mask) -> Tensor:
    """`nn.recurrent.Recurrent` as a native node: rows end at their own lengths, backwards they begin there.

    The GRU's candidate has a bias inside its recurrent product, so the product comes first (linear_before_reset).
    """

    def ordered(array: np.ndarray) -> np.ndarray:
        gates = np.split(np.asarray(array), len(GATES[cell]), axis=-1)
        return np.concatenate([gates[i] for i in GATES[cell]], axis=-1)

    inputs, states, bias = (ordered(params[f"{name}"]) for name in ("input_kernel", "recurrent_kernel", "input_bias"))
    directions, width = states.shape[:2]
    inner = np.zeros_like(bias)
    options: dict[str, Any] = {"hidden_size": width, "direction": "bidirectional" if directions == 2 else "forward"}
    if cell == "gru":
        inner[:, 2 * width :] = params["recurrent_bias"]
        options["linear_before_reset"] = 1
    weights = inputs.transpose(0, 2, 1), states.transpose(0, 2, 1), np.concatenate([bias, inner], axis=-1)
    time_first = zero_padding(g, x, mask).permute(1, 0, 2)
    y = g.op(cell.upper(), time_first, *weights, mask.lengths, **options)  # [T, directions, B, width]
    return zero_padding(g, y.permute(2, 0, 1, 3).reshape(0, 0, directions * width), mask)


def phoneme_of_frame(g: Graph, durations: Tensor, frames: Tensor) -> Tensor:
    """The place int32 [B, T] of each frame's phoneme: how many have ended."""
    ends = g.op("CumSum", durations, g.constant(1, np.int32))
    ended = ends.widen(1) <= g.count(frames).widen(0, 2)
    return g.op("Min", ended.cast(INT32).sum(2, keep=False), durations.size(1) - 1)


def take(g: Graph, values: Tensor, index: Tensor) -> Tensor:
    """Vectors of [B, P, D] at int32 [B, T]: [B, T, D]."""
    wide = index.widen(2).expand(index.shape(0), index.shape(1), values.shape(2))
    return g.op("GatherElements", values, wide, axis=1)


def over_time(vector: Tensor, like: Tensor) -> Tensor:
    """[B, E] at every frame of `like` [B, T, C]."""
    return vector.widen(1).expand(1, like.shape(1), 1)


def rms_normalize(g: Graph, vector: Tensor) -> Tensor:
    """A speaker vector scaled to length sqrt(E)."""
    square = (vector * vector).call("ReduceMean", axes=[-1], keepdims=1)
    return vector / g.op("Max", square, 1e-12).call("Sqrt")


def to_network(g: Graph, mel: Tensor, mask: Mask) -> Tensor:
    """Natural log-mel to the network's units."""
    return zero_padding(g, (mel + 5.0) * 0.5, mask)


def from_network(g: Graph, mel: Tensor, mask: Mask) -> Tensor:
    """The network's units to natural log-mel; zeros on padding."""
    return zero_padding(g, mel * 2.0 - 5.0, mask)


def stretch_mel(mel: Tensor, ratio: Tensor, spec: MelSpec) -> Tensor:
    """`nn.spectrum.stretch_mel` over Hz. Interpolation as a sum of clipped ramps: no search, no gather."""
    g, centres = mel.graph, mel_edges_hz(spec)[1:-1].astype(np.float32)
    wanted = g.constant(centres[None]) / ratio.widen(1)
    ramps = (wanted.widen(2) - centres[None, None, :-1]) / np.diff(centres)[None, None]
    places = g.op("Clip", ramps, 0.0, 1.0).sum(2, keep=False)
    bins = g.constant(np.arange(len(centres), dtype=np.float32)[None, :, None])
    hats = g.constant(1.0, np.float32) - (bins - places.widen(1)).call("Abs")
    return mel @ hats.call("Relu")


def encode_phonemes(g: Graph, embedded: Tensor, params: Params, mask: Mask, joined: Tensor | None = None) -> Tensor:
    """`modules.phoneme_encoder` behind its tables: convolutions, perhaps a speaker vector, LSTM."""
    x = conv_stack(g, embedded, params["convolutions"], "layer", mask)
    if joined is not None:
        x = g.concat(x, over_time(joined, x))
    return recurrent(g, x, params["lstm"], "lstm", mask)


def decode_mel(
    g: Graph, encodings: Tensor, latents: Tensor, voice: Tensor | None, params: Params, norm: str, mask: Mask
) -> Tensor:
    """`modules.decoder`; latents and voice [B, T, ...], no voice where its vector has no width."""
    speaker = [] if voice is None else [voice]
    x = conv_stack(g, g.concat(encodings, latents, *speaker), params["convolutions"], norm, mask)
    if norm == "instance" and speaker:
        x = g.concat(x, *speaker)
    x = recurrent(g, x, params["gru"], "gru", mask)
    return zero_padding(g, dense(x, params["output"]), mask)


def encode_utterance(g: Graph, mel: Tensor, real: Tensor, params: Params, config: Mapping[str, Any]) -> Tensor:
    """`modules.utterance_encoder`: mel in the network's units [B, T, M] to [B, E], not normalised."""
    strides = list(zip(config["time_strides"], config["bin_strides"], strict=True))
    x, bins = mel.widen(1), config["mel_bins"]  # [B, C, T, M]
    for layer, stride in enumerate(strides):
        own, norm = params[f"conv_{layer}"], params[f"norm_{layer}"]
        kernel = np.transpose(own["kernel"], (3, 2, 0, 1))
        options = {"kernel_shape": [3, 3], "strides": list(stride), "pads": [1, 1, 1, 1]}
        x = g.op("Conv", g.where(real.widen(1, 3), x, 0.0), kernel, own["bias"], **options)
        real, bins = real.part(1, step=stride[0]), -(-bins // stride[1])
        # Over the map of a frame, with one scale and bias a channel.
        affine = {name: np.broadcast_to(value, (bins, len(value))) for name, value in norm.items()}
        x = layer_norm(g, x.permute(0, 2, 3, 1), **affine, axis=2).call("Relu")
        if layer < len(strides) - 1:
            x = x.permute(0, 3, 1, 2)
    mask = mask_of(real)
    states = recurrent(g, x.reshape(0, 0, -1), params["gru"], "gru", mask)
    if config["pooling"] == "mean":
        pooled = states.sum(1, keep=False) / frames_of(g, mask).drop(2)
    else:
        last = g.op("Max", mask.lengths - 1, 0)
        pooled = take(g, states, last.widen(1)).drop(1)
    return dense(pooled, params["bottleneck"])
