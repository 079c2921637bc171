"""The voice as ONNX graphs: a text's phonemes and an embedding to a plan and a log-mel, and a recording to embeddings.

What `tts.plan.make_speech_plan` does in NumPy between the two networks is in the graph: rounding to whole frames, the
silence before the first word, pauses where they are likelier than not. Whoever knows better gives durations, pauses,
pitch or energy of single phonemes, and the rest stays as predicted.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export import layers
from copycat_jax.export.graph import BOOL, DOUBLE, FLOAT, INT32, Graph, Tensor
from copycat_jax.export.layers import Mask, Params
from copycat_jax.mel_spec import MelSpec
from prosody_vae.space.table import KIND
from prosody_vae.tts.config import VaeConfig
from prosody_vae.tts.modules import LOG_FRAMES
from prosody_vae.tts.plan import CUT_S, EDGE_PAUSE_S


class Text(NamedTuple):
    """What is to be said, by whom and with which prosody."""

    phonemes: Tensor  # int32 [B, P]
    breaks: Tensor  # int32 [B, P]
    mask: Mask
    z: Tensor  # [B, Z]
    speaker: Tensor | None  # [B, E]; None where the model knows one voice
    rate: Tensor  # [B], times the model's own speed
    last: Tensor  # bool [B]: nothing follows


class Plan(NamedTuple):
    """How it is said, per phoneme; pitch and energy are None for a model that does not know them."""

    durations: Tensor  # int32 [B, P], 0 on padding
    pauses: Tensor  # int32 [B, P]
    log_f0: Tensor | None
    energy: Tensor | None


def voice_graph(bundle: Bundle) -> Any:
    """The model of `voice.onnx`.

    Inputs: phonemes and breaks int32 [B, P], mask bool [B, P], z [B, Z], speaker [B, E], rate [B], last bool [B]; and
    what is known better, each [B, P] or [1, 1] where nothing is: durations int32 (below 1: as predicted), pauses int32
    (below 0: as predicted), log_f0 and energy (NaN: as predicted). A model of one voice has no `speaker`, one without
    `variance` neither log_f0 nor energy.
    Outputs: mel [B, T, M], at the convention's floor behind a row's end; frames int32 [B], the rows' ends; and the plan
    as it was spoken: durations, pauses, log_f0, energy.
    """
    config, spec, g = VaeConfig.from_dict(bundle.config[KIND]), bundle.spec, Graph()
    tokens = ["B", "P"]
    text = Text(
        phonemes=g.input("phonemes", INT32, tokens),
        breaks=g.input("breaks", INT32, tokens),
        mask=layers.mask_of(g.input("mask", BOOL, tokens)),
        z=g.input("z", FLOAT, ["B", config.latent]),
        speaker=g.input("speaker", FLOAT, ["B", config.embedding]) if config.speaker else None,
        rate=g.input("rate", FLOAT, ["B"]),
        last=g.input("last", BOOL, ["B"]),
    )
    better = {"durations": INT32, "pauses": INT32} | ({"log_f0": FLOAT, "energy": FLOAT} if config.variance else {})
    # Lengths of their own: each may be [1, 1], which is spread over all.
    given = [g.input(name, kind, [f"B or 1 ({name})", f"P or 1 ({name})"]) for name, kind in better.items()]
    mel, frames, plan = speak(g, bundle, text, given)
    g.output(mel, "mel", FLOAT, ["B", "T", spec.mel_bins])
    g.output(frames, "frames", INT32, ["B"])
    for name, value in plan._asdict().items():
        if value is not None:
            g.output(value, f"spoken_{name}", INT32 if name in ("durations", "pauses") else FLOAT, tokens)
    return g.model("voice", _notes(bundle))


def encoder_graph(bundle: Bundle) -> Any:
    """The model of `encoder.onnx`, which is `tts.model.encode`.

    Inputs: mel [B, T, M], mask bool [B, T]. Outputs: mean and log_variance [B, Z] of the utterance's embedding.
    """
    config, spec, g = VaeConfig.from_dict(bundle.config[KIND]), bundle.spec, Graph()
    mel, real = g.input("mel", FLOAT, ["B", "T", spec.mel_bins]), g.input("mask", BOOL, ["B", "T"])
    network = layers.to_network(g, mel, layers.mask_of(real))
    params = bundle.params[KIND]["reference_encoder"]
    both = layers.encode_utterance(g, network, real, params, config.to_dict())
    g.output(both.part(1, 0, config.latent), "mean", FLOAT, ["B", config.latent])
    g.output(both.part(1, config.latent), "log_variance", FLOAT, ["B", config.latent])
    return g.model("encoder", _notes(bundle))


def speak(g: Graph, bundle: Bundle, text: Text, given: list[Tensor]) -> tuple[Tensor, Tensor, Plan]:
    """(mel, frames, plan) of a text; `given` is [durations, pauses], with `variance` also log_f0 and energy."""
    config, params = VaeConfig.from_dict(bundle.config[KIND]), bundle.params[KIND]
    voice = None if text.speaker is None else layers.rms_normalize(g, text.speaker)
    encodings = _encode(g, text, params["phoneme_encoder"])
    planned = _predict(g, encodings, text, voice, params["predictor"])
    plan = _plan(g, planned, text, given, config, bundle.spec)
    mel, frames = _render(g, encodings, plan, text, voice, params, config, bundle.spec)
    return mel, frames, plan


def _notes(bundle: Bundle) -> dict[str, object]:
    return {"kind": KIND, "bundle": bundle.fingerprint, "sample_rate": bundle.spec.sample_rate}


def _encode(g: Graph, text: Text, params: Params) -> Tensor:
    """The encoder of frames with one frame for each token."""
    embedded = [
        g.op("Gather", params[table]["embedding"], g.where(text.mask.real, ids, 0), axis=0)
        for table, ids in (("embedding", text.phonemes), ("mark_embedding", text.breaks))
    ]
    return layers.encode_phonemes(g, embedded[0] + embedded[1], params, text.mask)


def _predict(g: Graph, encodings: Tensor, text: Text, voice: Tensor | None, params: Params) -> Tensor:
    """`tts.modules.ProsodyPredictor` [B, P, K]."""
    same = layers.over_time(text.z if voice is None else g.concat(text.z, voice), encodings)
    x = layers.conv_stack(g, g.concat(encodings, same), params["convolutions"], "layer", text.mask)
    x = layers.recurrent(g, g.concat(x, same), params["gru"], "gru", text.mask)
    return layers.zero_padding(g, layers.dense(x, params["output"]), text.mask)


def _plan(g: Graph, planned: Tensor, text: Text, given: list[Tensor], config: VaeConfig, spec: MelSpec) -> Plan:
    """`tts.plan.make_speech_plan`, and over it what is given."""
    mask, rate = text.mask.real, text.rate.widen(1)
    edge = max(1.0, EDGE_PAUSE_S * spec.frame_rate_hz)
    column = [planned.part(2, i, i + 1).drop(2) for i in range(5 if config.variance else 3)]
    frames, pause = (g.op("Max", _unscaled(column[i], LOG_FRAMES).call("Exp"), 1.0) for i in (0, 2))
    place = g.count(text.phonemes.size(1)).widen(0)
    expected = frames / rate
    expected = g.where(place.equals(0), g.op("Min", expected, edge), expected)
    # In double precision as in NumPy: what is a half decides a frame.
    summed = g.op("CumSum", g.op("Max", expected, 1.0).cast(DOUBLE), g.constant(1, np.int32))
    edges = (summed + g.constant(0.5, np.float64)).call("Floor").cast(INT32)
    durations = edges - edges.part(1, 0, -1).pad(0, 1, 0, 0)
    paused = (column[1].call("Sigmoid") > 0.5) & (text.breaks > 0)
    pauses = g.where(paused, g.op("Max", (pause / rate + 0.5).call("Floor"), 1.0).cast(INT32), 0)
    final = place.equals(text.mask.lengths.widen(1) - 1)
    cut = g.op("Max", pauses, math.ceil(CUT_S * spec.frame_rate_hz))
    pauses = g.where(final, g.where(text.last.widen(1), math.floor(edge), cut), pauses)

    durations = g.where(mask, g.where(given[0] > 0, given[0], durations), 0)
    pauses = g.where(mask, g.where(given[1] >= 0, given[1], pauses), 0)
    if not config.variance:
        return Plan(durations, pauses, None, None)
    spoken = []
    for value, known, by in zip(column[3:], given[2:], (config.pitch, config.energy), strict=True):
        spoken.append(g.where(mask, g.where(known.call("IsNaN"), _unscaled(value, by), known), 0.0))
    return Plan(durations, pauses, *spoken)


def _render(
    g: Graph, encodings: Tensor, plan: Plan, text: Text, voice: Tensor | None, params: Params, config: VaeConfig, spec
) -> tuple[Tensor, Tensor]:
    """`tts.model.render_mel`: mel [B, T, M] and frames int32 [B]."""
    tokens = encodings
    if plan.log_f0 is not None and plan.energy is not None:
        variance = [_scaled(plan.log_f0, config.pitch), _scaled(plan.energy, config.energy)]
        both = layers.zero_padding(g, g.concat(*(x.widen(2) for x in variance)), text.mask)
        tokens = tokens + layers.dense(both, params["variance_embedding"])
    # Over 2 P stretches: a token, its pause, a token, ...
    lengths = g.concat(plan.durations.widen(2), plan.pauses.widen(2)).reshape(0, -1)
    total = lengths.sum(1)
    longest = total.call("ReduceMax", keepdims=0)
    index = layers.phoneme_of_frame(g, lengths, longest)
    time = g.count(longest).widen(0)
    real = layers.mask_of(time < total)
    starts = g.op("CumSum", lengths, g.constant(1, np.int32)) - lengths
    since = (time - g.op("GatherElements", starts, index, axis=1)).cast(FLOAT)
    length = g.op("Max", g.op("GatherElements", lengths, index, axis=1), 1).cast(FLOAT)
    paused = g.op("Mod", index, 2).equals(1)
    layout = params["layout"]
    x = layers.take(g, layers.zero_padding(g, tokens, text.mask), g.op("Div", index, 2))
    x = x + g.where(paused.widen(2), layout["pause_embedding"][None], 0.0)
    place = ((since + 0.5) / length, _scaled(length.call("Log"), LOG_FRAMES), paused.cast(FLOAT))
    x = layers.zero_padding(g, x + layers.dense(g.concat(*(p.widen(2) for p in place)), layout["place"]), real)
    speaker = layers.over_time(voice, x) if voice is not None else None
    latents = layers.over_time(text.z, x)
    made = layers.decode_mel(g, x, latents, speaker, params["decoder"], config.decoder_norm, real)
    mel = layers.from_network(g, made, real)
    return g.where(real.wide, mel, math.log(spec.floor)), total.drop(1)


def _unscaled(values: Tensor, by: tuple[float, float]) -> Tensor:
    return values * float(by[1]) + float(by[0])


def _scaled(values: Tensor, by: tuple[float, float]) -> Tensor:
    return (values - float(by[0])) / float(by[1])
