"""The vocoder trained here (`models.vocoder`), from its bundle: the one that ships, or a user's own."""

from pathlib import Path

import jax

from copycat_jax.bundle.bundle import Bundle, read_bundle
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.models.vocoder import VocoderConfig, read_f0, synthesize
from copycat_jax.vocoder.registry import Vocoder

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
