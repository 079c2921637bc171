"""The vocoder trained here (`models.vocoder`), from its bundle: the one that ships, or a user's own."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.bundle.bundle import Bundle, read_bundle
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.models.vocoder import VocoderConfig, hear, hertz, read_f0, synthesize
from copycat_jax.models.vocoder_training import f0_terms
from copycat_jax.task import Terms
from copycat_jax.vocoder.registry import Vocoder


class Listener(NamedTuple):
    """What the vocoder hears in natural log-mels, for training what makes mels: pure and differentiable."""

    f0_hz: Callable[[Float[Array, "B T M"], Bool[Array, "B T"]], Float[Array, "B T"]]  # 0 where unvoiced
    # Of mels, their masks, an F0 that they should have, and frames whose F0 is a term of its own ("f0_octaves_ending").
    terms: Callable[[Float[Array, "B T M"], Bool[Array, "B T"], Float[Array, "B T"], Bool[Array, "B T"]], Terms]


SHIPPED_VOCODER = Path(__file__).parents[1] / "pretrained" / "vocoder"


def read_vocoder(spec: MelSpec, path: str | Path | None = None) -> Bundle:
    """A bundle of kind "vocoder", the one that ships by default, for mels of `spec`.

    Raises:
      UserError: no such bundle, or one for another mel convention.
    """
    bundle = read_bundle(SHIPPED_VOCODER if path is None else path, "vocoder")
    if not bundle.spec.is_like(spec):
        what = f"it speaks the mel convention '{bundle.spec.name}', not this bundle's '{spec.name}'"
        raise UserError(what, str(path or "the vocoder that ships"), "Use griffin_lim, or train one on such mels.")
    return bundle


def open_harmonic(spec: MelSpec, path: str | Path | None = None) -> Vocoder:
    """`models.vocoder.synthesize` with the weights of `read_vocoder`, compiled; raises UserError like it."""
    bundle = read_vocoder(spec, path)
    config = VocoderConfig.from_dict(bundle.config["vocoder"] | {"compute_dtype": "float32"})
    params = jax.device_put(bundle.params["vocoder"])  # jnp.asarray would compile a program for each shape
    make = jax.jit(lambda params, mel, f0_hz: synthesize(params, config, mel, f0_hz, spec))
    read = jax.jit(lambda params, mel: read_f0(params, config, mel, spec))
    return Vocoder(lambda mel, f0_hz: make(params, mel, f0_hz), lambda mel: read(params, mel))


def open_listener(mel_bins: int, frame_rate_hz: float) -> Listener:
    """The ears of the vocoder that ships; its weights are constants.

    Raises:
      UserError: it hears other mels.
    """
    bundle = read_bundle(SHIPPED_VOCODER, "vocoder")
    spec, params = bundle.spec, bundle.params["vocoder"]
    if spec.mel_bins != mel_bins or abs(spec.frame_rate_hz - frame_rate_hz) > 0.1:
        what = f"the vocoder that ships hears '{spec.name}', not {mel_bins} bins at {frame_rate_hz:g} frames a second"
        raise UserError(what, remedy="Build the corpus with --spec hifigan, or set model.heard=false.")
    config = VocoderConfig.from_dict(bundle.config["vocoder"] | {"compute_dtype": "float32"})

    def heard(mel: Array, mask: Array) -> tuple[Array, Array]:
        return hear(params, config, jnp.where(mask[..., None], mel, math.log(spec.floor)), spec)

    def f0_hz(mel: Array, mask: Array) -> Array:
        return jnp.where(mask, hertz(*heard(mel, mask)), 0.0)

    def terms(mel: Array, mask: Array, f0_hz: Array, ending: Array) -> Terms:
        logit, octaves = heard(mel, mask)
        at_the_end = f0_terms(logit, octaves, f0_hz, ending)["f0_octaves"]
        return f0_terms(logit, octaves, f0_hz, mask) | {"f0_octaves_ending": at_the_end}

    return Listener(f0_hz, terms)
