"""A recording ready for transfer in a file of arrays, for runtimes that have neither aligner nor F0 tracker."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from copycat_jax.align.pieces import cut_segments
from copycat_jax.analysis import analyse
from copycat_jax.audio.pitch import VOCODER, register_hz
from copycat_jax.audio.signal import read_audio
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.source import tracked_by
from copycat_jax.synthesis import LONGEST_S
from copycat_jax.text.phonemes import to_ids
from copycat_jax.vocoder.hearing import hear_f0
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, open_vocoder


class Prepared(NamedTuple):
    """One piece of a recording; T frames, P phonemes."""

    mel: Float32[np.ndarray, "T M"]  # natural log
    phonemes: Int32[np.ndarray, " P"]  # ids of the inventory
    durations: Int32[np.ndarray, " P"]  # frames; their sum is T
    register_hz: Float32[np.ndarray, ""]  # 0 where nothing is voiced


def prepare_recording(path: str | Path, text: str, spec: MelSpec, tracker: str) -> Prepared:
    """Reads, aligns and measures a recording of at most LONGEST_S; `tracker` measured the registers of the voices.

    Raises:
      UserError: bad sound, a text that does not match, or a longer recording.
    """
    found = analyse(read_audio(path), spec, text=text, tracker=tracked_by(tracker), where=str(path))
    pieces = cut_segments(found.phonemes, found.durations, found.words, spec.hop_s, LONGEST_S)
    if len(pieces) > 1:
        raise UserError(f"longer than {LONGEST_S:g} s", str(path), "Cut it in its pauses and give the parts.")
    durations, f0_hz = found.durations.astype(np.int32), found.f0_hz
    if tracker == VOCODER:
        frames = int(durations.sum())
        f0_hz = hear_f0(open_vocoder(DEFAULT_VOCODER, spec), found.samples, spec, [(0, frames)], frames)
    register = np.float32(np.nan_to_num(register_hz(f0_hz)))
    return Prepared(found.mel_part(0, int(durations.sum())), to_ids(found.phonemes), durations, np.array(register))


def prepared_bytes(prepared: Prepared) -> bytes:
    """The content of a .npz file with the fields of `Prepared`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **prepared._asdict())
    return buffer.getvalue()


def read_prepared(path: str | Path) -> Prepared:
    """Reads what `prepared_bytes` made; raises UserError for anything else."""
    try:
        with np.load(path) as found:
            prepared = Prepared(**{name: found[name] for name in Prepared._fields})
        sound = prepared.durations.sum() == len(prepared.mel) and len(prepared.phonemes) == len(prepared.durations)
    except (OSError, ValueError, KeyError, TypeError):
        sound, prepared = False, None
    if not sound or prepared is None:
        raise UserError("not a recording made ready", str(path), "Make it by `copycat export source`.")
    return prepared
