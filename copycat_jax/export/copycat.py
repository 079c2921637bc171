"""CopyCat's transfer as an ONNX graph: a source's log-mel in, the target's log-mel out, by the posterior's mean."""

from typing import Any

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError
from copycat_jax.export import layers
from copycat_jax.export.graph import BOOL, FLOAT, INT32, Graph, Tensor
from copycat_jax.export.layers import Mask
from copycat_jax.models.copycat import CopyCatConfig


def transfer_graph(bundle: Bundle) -> Any:
    """The model of `transfer.onnx`, which is `models.copycat.transfer_mel` without a draw.

    Inputs: mel [B, T, M], ratio [B], phonemes and durations int32 [B, P], mask bool [B, T], source and target [B, E].
    Output: out [B, T, M]; zeros on padding.

    Raises:
      UserError: the bundle's configuration has what this version cannot export.
    """
    config = CopyCatConfig.from_dict(bundle.config["copycat"])
    if config.bottleneck != "last":
        raise UserError(f"bottleneck '{config.bottleneck}' has no ONNX form", "copycat.bottleneck", "Known: last.")
    params, spec, g = bundle.params["copycat"], bundle.spec, Graph()
    mel, ratio = g.input("mel", FLOAT, ["B", "T", spec.mel_bins]), g.input("ratio", FLOAT, ["B"])
    phonemes, durations = g.input("phonemes", INT32, ["B", "P"]), g.input("durations", INT32, ["B", "P"])
    mask = layers.mask_of(g.input("mask", BOOL, ["B", "T"]))
    voices = [g.input(name, FLOAT, ["B", config.embedding]) for name in ("source", "target")]
    source, target = (layers.rms_normalize(g, voice) for voice in voices)

    def encode(speaker: Tensor) -> Tensor:
        own = params["phoneme_encoder"]
        place = layers.phoneme_of_frame(g, durations, mel.size(1))
        ids = g.op("GatherElements", phonemes, place, axis=1)
        embedded = g.op("Gather", own["embedding"]["embedding"], ids, axis=0)
        joined = speaker if config.speaker_in_phoneme_encoder else None
        return layers.encode_phonemes(g, embedded, own, mask, joined)

    encodings = encode(source)
    heard = layers.stretch_mel(mel, ratio, spec) if config.register_stretch else mel
    reference = layers.to_network(g, heard, mask)
    latents = _latents(g, reference, encodings, source, params["reference_encoder"], config, mask)
    if config.speaker_in_phoneme_encoder:
        encodings = encode(target)
    voice = layers.over_time(target, encodings)
    made = layers.decode_mel(g, encodings, latents, voice, params["decoder"], config.decoder_norm, mask)
    g.output(layers.from_network(g, made, mask), "out", FLOAT, ["B", "T", spec.mel_bins])
    return g.model("transfer", {"kind": "copycat", "bundle": bundle.fingerprint, "sample_rate": spec.sample_rate})


def _latents(
    g: Graph, mel: Tensor, encodings: Tensor, speaker: Tensor, params: Any, config: CopyCatConfig, mask: Mask
) -> Tensor:
    """Mean of the posterior behind the temporal bottleneck [B, T, Z]."""
    x = layers.conv_stack(g, mel, params["convolutions"], "instance" if config.instance_norm else "none", mask)
    x = layers.recurrent(g, g.concat(x, encodings, layers.over_time(speaker, x)), params["gru"], "gru", mask)
    half, tau = config.latent // 2, config.tau
    kernel, bias = params["mean"]["kernel"], params["mean"]["bias"]
    # Frame t reads the end of its block with the forward half, its start with the backward half.
    start = (g.op("Div", g.count(mel.size(1)), tau) * tau).widen(0)
    last = g.op("Max", mask.lengths - 1, 0).widen(1)
    kept = []
    for part, offset in ((0, tau - 1), (1, 0)):
        mean = x.part(2, part * half, (part + 1) * half) @ kernel[part] + bias[part]
        kept.append(layers.take(g, mean, g.op("Min", start + offset, last)))
    return layers.zero_padding(g, g.concat(*kept), mask)
