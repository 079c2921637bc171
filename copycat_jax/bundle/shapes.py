"""What arrays a model's configuration asks for: by them a bundle is checked when it is read, without tracing a model.

Each function gives nested dictionaries of shapes as the models' `init` gives arrays; `tests/bundle/test_shapes.py`
compares the two. A group's shapes and its configuration are looked up by name: models of another package have theirs.
"""

import importlib
import math
from collections.abc import Mapping
from typing import Any

from copycat_jax.config import Config
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec

Shapes = dict[str, Any]
# Group -> its configuration, and its shapes of (configuration, mel convention).
MODELS = {
    "copycat": ("copycat_jax.models.copycat:CopyCatConfig", "copycat_jax.bundle.shapes:copycat_shapes"),
    "baseline": ("copycat_jax.models.baseline:BaselineConfig", "copycat_jax.bundle.shapes:baseline_shapes"),
    "speaker": ("copycat_jax.models.speaker:SpeakerConfig", "copycat_jax.bundle.shapes:speaker_shapes"),
    "vocoder": ("copycat_jax.models.vocoder:VocoderConfig", "copycat_jax.bundle.shapes:vocoder_shapes"),
    "prosody_vae": ("prosody_vae.tts.config:VaeConfig", "prosody_vae.tts.shapes:voice_shapes"),
}


def check_group(group: str, fields: Mapping[str, Any], arrays: Mapping[str, Any], spec: MelSpec) -> Config:
    """The configuration of a group, after its arrays were compared with it.

    Args:
      group: a key of MODELS.
      fields: of its configuration.
      arrays: {path joined with "/": array}.
      spec: the mel convention.

    Raises:
      UserError: fields or values that the configuration does not have, an array too many, missing, of another shape, or
        with a value that is not finite.
    """
    config_class, shapes_of = (_named(place) for place in MODELS[group])
    try:
        config = config_class.from_dict(fields)
        wanted = flat_shapes(shapes_of(config, spec))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"its configuration makes no sense ({error})", group) from None
    for path in sorted(set(wanted) ^ set(arrays)):
        what = "is missing" if path in wanted else "belongs to no such model"
        raise UserError(f"weight {group}/{path} {what}")
    for path, array in arrays.items():
        if array.shape != wanted[path]:
            raise UserError(f"weight {group}/{path} has shape {array.shape}, its configuration asks for {wanted[path]}")
        if not math.isfinite(float(abs(array).max(initial=0.0))):
            raise UserError(f"weight {group}/{path} is not finite")
    return config


def flat_shapes(tree: Shapes, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Nested shapes as {path joined with "/": shape}."""
    flat: dict[str, tuple[int, ...]] = {}
    for name, value in tree.items():
        flat |= {prefix + name: value} if isinstance(value, tuple) else flat_shapes(value, f"{prefix}{name}/")
    return flat


# --- Layers.


def dense(inputs: int, outputs: int, bias: bool = True) -> Shapes:
    """Flax's Dense."""
    return {"kernel": (inputs, outputs)} | ({"bias": (outputs,)} if bias else {})


def layer_norm(width: int) -> Shapes:
    """Flax's LayerNorm."""
    return {"scale": (width,), "bias": (width,)}


def conv_stack(inputs: int, width: int, layers: int, kernel: int, norm: str) -> Shapes:
    """`nn.conv.ConvStack`."""
    shapes: Shapes = {}
    for i in range(layers):
        shapes[f"conv_{i}"] = {"kernel": (kernel, width if i else inputs, width), "bias": (width,)}
        if norm == "layer":
            shapes[f"norm_{i}"] = layer_norm(width)
    return shapes


def recurrent(cell: str, inputs: int, states: int, directions: int = 2) -> Shapes:
    """`nn.recurrent.Recurrent`."""
    gates = {"gru": 3, "lstm": 4}[cell] * states
    shapes: Shapes = {"input_kernel": (directions, inputs, gates), "input_bias": (directions, gates)}
    lone = {"recurrent_bias": (directions, states)} if cell == "gru" else {}
    return shapes | {"recurrent_kernel": (directions, states, gates)} | lone


def phoneme_encoder(phonemes: int, width: int, states: int, kernel: int, joined: int = 0, marks: int = 0) -> Shapes:
    """`modules.phoneme_encoder.PhonemeEncoder`; `joined`: width of the speaker vector that it is given."""
    tables = {"embedding": phonemes, "mark_embedding": marks}
    return {
        **{name: {"embedding": (size, width)} for name, size in tables.items() if size},
        "convolutions": conv_stack(width, width, 3, kernel, "layer"),
        "lstm": recurrent("lstm", width + joined, states),
    }


def decoder(inputs: int, voice: int, width: int, states: int, kernel: int, norm: str, bins: int) -> Shapes:
    """`modules.decoder.Decoder`; `inputs`: width of encodings and latents."""
    return {
        "convolutions": conv_stack(inputs + voice, width, 3, kernel, norm),
        "gru": recurrent("gru", width + (voice if norm == "instance" else 0), states),
        "output": dense(2 * states, bins),
    }


def utterance_encoder(config: Any, states: int, outputs: int) -> Shapes:
    """`modules.utterance_encoder.UtteranceEncoder` of a configuration with channels and strides."""
    shapes: Shapes = {}
    inputs, bins = 1, config.mel_bins
    for i, (channels, stride) in enumerate(zip(config.channels, config.bin_strides, strict=True)):
        shapes[f"conv_{i}"] = {"kernel": (3, 3, inputs, channels), "bias": (channels,)}
        shapes[f"norm_{i}"] = layer_norm(channels)
        inputs, bins = channels, -(-bins // stride)
    return shapes | {"gru": recurrent("gru", inputs * bins, states, 1), "bottleneck": dense(states, outputs)}


def framewise(bins: int, beside: int, width: int, hidden: int, blocks: int, kernel: int, outputs: int) -> Shapes:
    """`models.vocoder.FramewiseNetwork`; `beside`: width of its further inputs, 0 = none."""
    inner: Shapes = {}
    for i in range(blocks):
        inner |= {f"taps_{i}": (kernel, width), f"scale_{i}": (width,), f"norm_{i}": layer_norm(width)}
        inner |= {f"widen_{i}": dense(width, hidden), f"narrow_{i}": dense(hidden, width)}
    return {
        "mel": dense(kernel * bins, width),
        **({"beside": dense(beside, width, bias=False)} if beside else {}),
        "norm_in": layer_norm(width),
        **({"blocks": inner} if blocks else {}),
        "norm_out": layer_norm(width),
        "out": dense(width, outputs),
    }


# --- Models.


def copycat_shapes(config: Any, spec: MelSpec) -> Shapes:
    """`models.copycat.CopyCat`."""
    c, half = config, config.latent // 2
    _same_bins(c, spec)
    joined = c.embedding if c.speaker_in_phoneme_encoder else 0
    projected = {"kernel": (2, half, half), "bias": (2, half)}
    norm = "instance" if c.instance_norm else "none"
    return {
        "phoneme_encoder": phoneme_encoder(c.phonemes, c.width, c.states, c.kernel, joined),
        "reference_encoder": {
            "convolutions": conv_stack(c.mel_bins, c.width, 3, c.kernel, norm),
            "gru": recurrent("gru", c.width + 2 * c.states + c.embedding, half),
            "mean": projected,
            "log_variance": projected,
        },
        "decoder": decoder(
            2 * c.states + c.latent, c.embedding, c.width, c.states, c.kernel, c.decoder_norm, c.mel_bins
        ),
    }


def baseline_shapes(config: Any, spec: MelSpec) -> Shapes:
    """`models.baseline.Baseline`."""
    c = config
    _same_bins(c, spec)
    plain, variational = c.prosody == "none", c.prosody == "variational"
    prosody = {
        "convolutions": conv_stack(7, c.width, 3, 3, "layer"),
        "gru": recurrent("gru", c.width, c.latent),
        "output": dense(2 * c.latent, (2 if variational else 1) * c.latent),
    }
    read = 2 * c.states + (0 if plain else c.latent)
    return {
        "phoneme_encoder": phoneme_encoder(c.phonemes, c.width, c.states, c.kernel),
        **({} if plain else {"prosody_encoder": prosody}),
        "decoder": decoder(read, c.embedding, c.width, c.states, c.kernel, c.decoder_norm, c.mel_bins),
    }


def speaker_shapes(config: Any, spec: MelSpec) -> Shapes:
    """`models.speaker.SpeakerClassifier`."""
    _same_bins(config, spec)
    return {
        "encoder": utterance_encoder(config, config.states, config.embedding),
        "head": dense(config.embedding, config.speakers, bias=config.head == "softmax"),
    }


def vocoder_shapes(config: Any, spec: MelSpec) -> Shapes:
    """`models.vocoder.HarmonicVocoder`."""
    c, bins = config, spec.fft_samples // config.spectra // 2 + 1
    envelope = -(-(spec.fft_samples // 2 + 1) // c.spectra)
    beside, outputs = envelope + 3 * c.spectra * bins, 2 * c.spectra * bins
    return {
        "shape": framewise(spec.mel_bins, beside, c.width, c.hidden, c.blocks, c.kernel, outputs),
        "pitch": framewise(spec.mel_bins, 0, c.f0_width, c.f0_hidden, c.f0_blocks, c.kernel, 2),
    }


def _same_bins(config: Any, spec: MelSpec) -> None:
    if config.mel_bins != spec.mel_bins:
        raise ValueError(f"{config.mel_bins} mel bins in a convention of {spec.mel_bins}")


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
