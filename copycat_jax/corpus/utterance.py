"""What one stored utterance is, the check that it is one, and the names and types of its fields on disk."""

import hashlib
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Float32, Int32

from copycat_jax.errors import UserError
from copycat_jax.text.phonemes import INVENTORY, PAD_ID
from copycat_jax.text.phrasing import BREAKS
from copycat_jax.types import MelSpec


class Utterance(NamedTuple):
    """One utterance as stored: T frames, P phonemes, M mel bins; the durations sum to T, always."""

    id: str
    speaker: str
    text: str
    mel: Float16[np.ndarray, "T M"]  # natural log-mel of the corpus's MelSpec
    phonemes: Int32[np.ndarray, " P"]  # ids of text.phonemes
    durations: Int32[np.ndarray, " P"]  # frames, each at least 1
    breaks: Int32[np.ndarray, " P"]  # what follows the phoneme: values of text.phrasing, 0 = inside a word
    f0_hz: Float32[np.ndarray, " T"]  # 0 = unvoiced, or not tracked
    energy: Float32[np.ndarray, " T"]  # log-RMS of the frame


# Array fields and their types on disk. `mel` is the only one with a second axis: the spec's mel bins.
ARRAYS = {
    "mel": np.dtype(np.float16),
    "phonemes": np.dtype(np.int32),
    "durations": np.dtype(np.int32),
    "breaks": np.dtype(np.int32),
    "f0_hz": np.dtype(np.float32),
    "energy": np.dtype(np.float32),
}
TEXTS = ("id", "speaker", "text")


def check_utterance(utterance: Utterance, spec: MelSpec) -> None:
    """Raises UserError, naming the utterance, unless it is fit to be stored: types, shapes, finite, sums, known ids."""
    where = f"utterance '{utterance.id}'"
    if not utterance.id or not utterance.speaker:
        raise UserError("has no id or no speaker", where)
    for name, dtype in ARRAYS.items():
        value = getattr(utterance, name)
        if value.dtype != dtype or value.ndim != (2 if name == "mel" else 1):
            raise UserError(f"{name} is {value.dtype} with {value.ndim} axes, expected {dtype}", where)
        if not np.isfinite(value).all():
            raise UserError(f"{name} holds values that are not finite", where)
    frames, bins = utterance.mel.shape
    if frames == 0 or bins != spec.mel_bins:
        raise UserError(f"mel is {frames} frames x {bins} bins, expected {spec.mel_bins} bins", where)
    if len(utterance.f0_hz) != frames or len(utterance.energy) != frames:
        raise UserError(f"F0 or energy does not have the {frames} frames of the mel", where)
    if len(utterance.phonemes) == 0 or len(utterance.phonemes) != len(utterance.durations):
        raise UserError(f"{len(utterance.phonemes)} phonemes with {len(utterance.durations)} durations", where)
    if utterance.durations.min() < 1 or utterance.durations.sum() != frames:
        raise UserError(f"durations sum to {utterance.durations.sum()} for {frames} frames, or one is below 1", where)
    if len(utterance.breaks) != len(utterance.phonemes) or not np.isin(utterance.breaks, range(BREAKS)).all():
        found = f"{len(utterance.breaks)} breaks for {len(utterance.phonemes)} phonemes"
        raise UserError(f"{found}, or an unknown one", where)
    if utterance.phonemes.min() <= PAD_ID or utterance.phonemes.max() >= len(INVENTORY):
        raise UserError("a phoneme id is outside the inventory", where)
    if utterance.f0_hz.min() < 0:
        raise UserError("F0 is negative", where)


def content_hash(utterance: Utterance) -> str:
    """SHA-256 of everything in the utterance, as hexadecimal; equal content gives equal hashes on any machine."""
    digest = hashlib.sha256()
    for name in TEXTS:
        digest.update(getattr(utterance, name).encode() + b"\0")
    for name, dtype in ARRAYS.items():
        value = np.ascontiguousarray(getattr(utterance, name), dtype=dtype.newbyteorder("<"))
        digest.update(f"{name}{value.shape}".encode() + value.tobytes())
    return digest.hexdigest()


def text_key(text: str) -> str:
    """`text` reduced to lower-case words, so that punctuation and case never tell two takes of a sentence apart."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'")))


def text_hash(utterance_id: str, text: str) -> int:
    """64-bit hash of the text's key, of the id where there is none: takes of a sentence share it."""
    key = "text:" + text_key(text) if text_key(text) else "id:" + utterance_id
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
