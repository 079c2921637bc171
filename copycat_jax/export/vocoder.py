"""The vocoder as two ONNX graphs: F0 heard in a mel, and a mel with F0 to samples.

Their F0 is apart, because a transfer speaks the target's mel with the melody that is heard in the source's. The noise
of the excitation is a table in the graph (`nn.excitation.NOISE_PERIOD`): nobody has to give it, every call makes the
same sound, and it is that of JAX. Spectra and their inverse are strided convolutions with the bases of `nn.fourier`,
which the graph makes of one period of a cosine and a sine: runtimes do that once, when they load it.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError
from copycat_jax.export import layers
from copycat_jax.export.graph import FLOAT, INT64, Graph, Tensor
from copycat_jax.export.layers import Mask, Params
from copycat_jax.mel_spec import MelSpec, hann
from copycat_jax.models.vocoder import LOUDEST, VocoderConfig, fft_of, pseudo_inverse
from copycat_jax.models.vocoder_training import MIDDLE_HZ
from copycat_jax.nn import excitation
from copycat_jax.nn.noise import normal


def pitch_graph(bundle: Bundle) -> Any:
    """The model of `pitch.onnx`, which is `models.vocoder.read_f0`: mel [B, T, M] to f0_hz [B, T], 0 where unvoiced."""
    g, spec = Graph(), bundle.spec
    mel = g.input("mel", FLOAT, ["B", "T", spec.mel_bins])
    g.output(heard_f0(g, mel, bundle), "f0_hz", FLOAT, ["B", "T"])
    return g.model("pitch", _notes(bundle))


def vocoder_graph(bundle: Bundle) -> Any:
    """The model of `vocoder.onnx`, which is `models.vocoder.synthesize` with F0 given.

    Inputs: mel [B, T, M], at the convention's floor where nothing sounds; f0_hz [B, T], 0 where unvoiced.
    Output: samples [B, T * hop].
    """
    g, spec = Graph(), bundle.spec
    mel, f0_hz = g.input("mel", FLOAT, ["B", "T", spec.mel_bins]), g.input("f0_hz", FLOAT, ["B", "T"])
    g.output(samples_of(g, mel, f0_hz, bundle), "samples", FLOAT, ["B", "N"])
    return g.model("vocoder", _notes(bundle))


def heard_f0(g: Graph, mel: Tensor, bundle: Bundle) -> Tensor:
    """F0 in Hz [B, T] that the vocoder reads from a mel."""
    mask = _sounding(mel, bundle.spec)
    kernel = VocoderConfig.from_dict(bundle.config["vocoder"]).kernel
    out = _framewise(g, mel, mask, None, bundle.params["vocoder"]["pitch"], kernel)
    logit, octaves = (out.part(2, i, i + 1).drop(2) for i in (0, 1))
    return g.where(logit > 0.0, (octaves * math.log(2)).call("Exp") * MIDDLE_HZ, 0.0)


def samples_of(g: Graph, mel: Tensor, f0_hz: Tensor, bundle: Bundle) -> Tensor:
    """Samples [B, T * hop] of a mel excited at `f0_hz`.

    Raises:
      UserError: a mel convention that does not divide into the vocoder's spectra.
    """
    config, spec, params = VocoderConfig.from_dict(bundle.config["vocoder"]), bundle.spec, bundle.params["vocoder"]
    parts, size, hop = config.spectra, fft_of(config, spec), spec.hop_samples // config.spectra
    if spec.fft_samples % parts or spec.hop_samples % parts or (size - hop) % 2:
        what = f"{parts} spectra a frame do not divide the mel convention '{spec.name}'"
        raise UserError(what, "vocoder.spectra", "Train one whose hop and window they divide.")
    mask, bins, pad = _sounding(mel, spec), size // 2 + 1, (size - hop) // 2
    beyond = -(-pad // spec.hop_samples)  # frames of noise at either end
    surplus = beyond * spec.hop_samples - pad
    pulses = _excitation(g, f0_hz.pad(0, beyond, 0, beyond), spec)
    pulses = pulses.part(1, surplus, -surplus) if surplus else pulses
    analysis, synthesis = _bases(g, size, hop)
    spectrum = g.op("Conv", pulses.widen(1), analysis, kernel_shape=[size], strides=[hop]).permute(0, 2, 1)
    real, imaginary = (spectrum.part(2, i * bins, (i + 1) * bins).reshape(0, -1, parts, bins) for i in (0, 1))
    loud = (real * real + imaginary * imaginary).call("Sqrt") + 1e-4
    real, imaginary = real / loud, imaginary / loud
    envelope = mel.call("Exp") @ pseudo_inverse(spec)[:, ::parts]
    envelope = g.op("Max", envelope.call("Abs"), float(spec.floor)).call("Log")
    seen = g.concat(loud.call("Log") / 3.0, real, imaginary).reshape(0, 0, parts * 3 * bins)
    made = _framewise(g, mel, mask, g.concat(envelope / 3.0, seen), params["shape"], config.kernel)
    made = made.reshape(0, 0, parts, 2 * bins)
    level, turn = made.part(3, 0, bins) + envelope.widen(2), made.part(3, bins)
    magnitude = g.where(mask.wide.widen(3), g.op("Min", level, LOUDEST).call("Exp"), 0.0)
    cosine, sine = turn.call("Cos"), turn.call("Sin")
    turned = g.concat(
        magnitude * (real * cosine - imaginary * sine), magnitude * (real * sine + imaginary * cosine)
    ).reshape(0, -1, 2 * bins)
    options = {"kernel_shape": [size], "strides": [hop], "pads": [pad, pad]}
    return g.op("ConvTranspose", turned.permute(0, 2, 1), synthesis, **options).drop(1)


def _bases(g: Graph, size: int, hop: int) -> tuple[Tensor, Tensor]:
    """`nn.fourier.analysis_basis` and `synthesis_basis` as kernels of convolutions, each [W, 1, size]."""
    turn, bins = 2 * np.pi / size * np.arange(size), size // 2 + 1
    order, sample = (g.count(n) for n in (bins, size))
    index = g.op("Mod", order.widen(1) * sample.widen(0), size)
    cosine, sine = (g.op("Gather", wave.astype(np.float32), index, axis=0) for wave in (np.cos(turn), -np.sin(turn)))
    both, window = g.concat(cosine, sine, axis=0), hann(size)
    share = np.full((bins, 1), 2.0 * hop / size / np.square(window).sum())
    share[[0, -1]] /= 2
    weight = g.constant(np.tile(share, (2, 1))) * window[None]
    return (both * window[None]).widen(1), (both * weight).widen(1)


def _notes(bundle: Bundle) -> Mapping[str, object]:
    spec = bundle.spec
    return {"kind": "vocoder", "bundle": bundle.fingerprint, "sample_rate": spec.sample_rate, "hop": spec.hop_samples}


def _sounding(mel: Tensor, spec: MelSpec) -> Mask:
    """Frames that are not digital silence."""
    loudest = mel.call("ReduceMax", axes=[2], keepdims=0)
    return layers.mask_of(loudest > math.log(spec.floor) + 0.02)


def _excitation(g: Graph, f0_hz: Tensor, spec: MelSpec) -> Tensor:
    """`nn.excitation.excitation` [B, T * hop]: pulses at F0, noise where it is 0."""
    hop, rate = spec.hop_samples, float(spec.sample_rate)
    before = g.concat(f0_hz.part(1, 0, 1), f0_hz.part(1, 0, -1), axis=1)
    after = g.concat(f0_hz.part(1, 1), f0_hz.part(1, -1), axis=1)
    ends = [g.where(beside > 0.0, (beside + f0_hz) / 2.0, f0_hz) for beside in (before, after)]
    points = g.concat(*(x.widen(2) for x in (ends[0], f0_hz, ends[1]))) * (1 / rate)
    whole = excitation.whole_hop(hop).astype(np.int64)[None, None]
    steps = ((points * float(2**30)).cast(INT64) * whole).sum(2, keep=False)
    summed = g.op("CumSum", steps, g.constant(1, np.int32)) - steps
    begun = (g.op("Mod", summed, g.constant(2**32, np.int64)) / g.constant(256, np.int64)).cast(FLOAT) * 2.0**-24
    phase = begun.widen(2) + points @ excitation.ramp_sums(hop)
    phase = (phase - phase.call("Round")) * math.pi
    highest = g.op("Max", points.call("ReduceMax", axes=[2]), excitation.LOWEST_HZ / rate)
    harmonics = (g.constant(0.5) / highest).call("Floor")
    below = phase.call("Sin")
    peak = below.call("Abs") < 1e-4
    ratio = ((harmonics * 2.0 + 1.0) * phase).call("Sin") / (g.where(peak, 1.0, below) * 2.0)
    level = (g.constant(2.0, np.float32) / harmonics).call("Sqrt")
    pulses = g.where(peak, harmonics, ratio - 0.5) * level
    table = np.asarray(normal(jax.random.key(0), (1, excitation.NOISE_PERIOD)))[0]
    place = g.op("Mod", g.count(f0_hz.size(1) * hop), excitation.NOISE_PERIOD)
    noise = g.op("Gather", table, place, axis=0).reshape(1, -1, hop)
    excited = g.where((f0_hz > 0.0).widen(2), pulses + noise * excitation.BREATH, noise)
    return excited.reshape(0, -1)


def _framewise(g: Graph, mel: Tensor, mask: Mask, beside: Tensor | None, params: Params, taps: int) -> Tensor:
    """`models.vocoder.FramewiseNetwork` with a kernel of so many taps."""
    blocks, kernel = params.get("blocks", {}), params["mel"]["kernel"]
    x = layers.to_network(g, mel, mask)
    kernel = kernel.reshape(taps, -1, kernel.shape[1])
    x = _reaching(g, x, np.transpose(kernel, (2, 1, 0)), params["mel"]["bias"], 1)
    if beside is not None:
        x = x + layers.dense(beside, params["beside"])
    x = layers.zero_padding(g, layers.layer_norm(g, x, **params["norm_in"]), mask)
    for i in range(sum(name.startswith("taps_") for name in blocks)):
        own = blocks[f"taps_{i}"]
        y = _reaching(g, x, own.T[:, None], None, own.shape[1])
        y = layers.layer_norm(g, y, **blocks[f"norm_{i}"])
        y = layers.dense(_gelu(layers.dense(y, blocks[f"widen_{i}"])), blocks[f"narrow_{i}"])
        x = layers.zero_padding(g, x + y * blocks[f"scale_{i}"], mask)
    return layers.dense(layers.layer_norm(g, x, **params["norm_out"]), params["out"])


def _reaching(g: Graph, x: Tensor, kernel: np.ndarray, bias: np.ndarray | None, groups: int) -> Tensor:
    """Along time with a kernel [D, C / groups, k] whose middle is tap k // 2."""
    taps = kernel.shape[2]
    pads = [taps // 2, taps - 1 - taps // 2]
    options = {"kernel_shape": [taps], "pads": pads, "group": groups}
    return g.op("Conv", x.permute(0, 2, 1), kernel, bias, **options).permute(0, 2, 1)


def _gelu(x: Tensor) -> Tensor:
    """Its approximation by tanh, as flax.linen.gelu is; in the order of nodes that onnxruntime makes one of."""
    cube = x.graph.op("Pow", x, 3.0)
    return (x * 0.5) * (((x + cube * 0.044715) * math.sqrt(2 / math.pi)).call("Tanh") + 1.0)
