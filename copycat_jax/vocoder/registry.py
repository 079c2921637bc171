"""All vocoders by name, and how one is opened.

Another vocoder is a module of this package with a function `MelSpec -> Vocoder`, and its line in `VOCODERS`. Nothing is
imported before a vocoder is opened, so that the command line can list the names cheaply.
"""

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float

    from copycat_jax.mel_spec import MelSpec


@dataclasses.dataclass(frozen=True)
class Vocoder:
    """Turns log-mels [B, T, M] into samples [B, T * hop]; silence behind a row is at the convention's floor.

    Attributes:
      synthesize: (mel, F0 in Hz [B, T] with 0 where unvoiced, or None) -> samples. F0 helps where it is known better
        than the mel tells it; a vocoder that has no use for it lets it be.
      read_f0: mel -> the F0 that the vocoder hears in it; None where it has no use for one.
    """

    synthesize: 'Callable[[Float[np.ndarray, "B T M"], Float[np.ndarray, "B T"] | None], Float[Array, "B N"]]'
    read_f0: 'Callable[[Float[np.ndarray, "B T M"]], Float[Array, "B T"]] | None' = None

    def __call__(
        self, mel: 'Float[np.ndarray, "B T M"]', f0_hz: 'Float[np.ndarray, "B T"] | None' = None
    ) -> 'Float[Array, "B N"]':
        """Samples of a batch of log-mels."""
        return self.synthesize(mel, f0_hz)


def _opener(module: str, function: str) -> "Callable[[MelSpec], Vocoder]":
    return lambda spec: getattr(importlib.import_module(f"copycat_jax.vocoder.{module}"), function)(spec)


VOCODERS: "dict[str, Callable[[MelSpec], Vocoder]]" = {
    "harmonic": _opener("harmonic", "open_harmonic"),
    "griffin_lim": _opener("griffin_lim", "open_griffin_lim"),
    "hifigan": _opener("torch_weights", "open_hifigan"),
}
DEFAULT_VOCODER = "harmonic"


def vocoder_names() -> str:
    """What a vocoder may be called, in words for help texts."""
    names = (f"{name} (default)" if name == DEFAULT_VOCODER else name for name in VOCODERS)
    return f"{', '.join(names)}, a vocoder's bundle or a HiFi-GAN checkpoint"


def open_vocoder(name: str, spec: "MelSpec") -> Vocoder:
    """The vocoder `name`, as a function from log-mels [B, T, M] to samples [B, T * hop], for mels of `spec`.

    Args:
      name: one of `VOCODERS`, the folder of a vocoder's bundle, or a published HiFi-GAN V1, V2 or V3 checkpoint.
      spec: the convention of the mels it will be given.

    Raises:
      UserError: no such file, neither a vocoder's bundle nor a HiFi-GAN checkpoint, or one that does not speak `spec`.
    """
    if name in VOCODERS:
        return VOCODERS[name](spec)
    if Path(name).is_dir():
        from copycat_jax.vocoder.harmonic import open_harmonic

        return open_harmonic(spec, name)
    if not Path(name).is_file():
        known = f"Known: {', '.join(VOCODERS)}, a vocoder's bundle or a HiFi-GAN checkpoint."
        raise UserError(f"no vocoder '{name}'", remedy=f"{nearest(name, VOCODERS)} {known}")
    from copycat_jax.vocoder.torch_weights import open_hifigan

    return open_hifigan(spec, name)
