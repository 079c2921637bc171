"""What one stored utterance is, the check that it is one, and the names and types of its fields on disk."""

import hashlib
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Float32, Int16, Int32

from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.records import fields_of, sizes_of
from copycat_jax.text.phonemes import INVENTORY, PAD_ID
from copycat_jax.text.phrasing import BREAKS


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
    samples: Int16[np.ndarray, " N"] = np.zeros(0, np.int16)  # T hops, full scale 32768; none unless built with --audio


ARRAYS = {name: field.dtype for name, field in fields_of(Utterance).items()}  # on disk, in this order
TEXTS = tuple(name for name in Utterance._fields if name not in ARRAYS)


def check_utterance(utterance: Utterance, spec: MelSpec) -> None:
    """Raises UserError, naming the utterance, unless it is fit to be stored: types, shapes, finite, sums, known ids."""
    where = f"utterance '{utterance.id}'"
    if not utterance.id or not utterance.speaker:
        raise UserError("has no id or no speaker", where)
    try:
        sizes = sizes_of(utterance)
    except ValueError as error:
        raise UserError(str(error), where) from error
    frames, bins, phones = sizes["T"], sizes["M"], sizes["P"]
    if bins != spec.mel_bins:
        raise UserError(f"mel has {bins} bins, expected {spec.mel_bins} bins", where)
    if not frames or not phones:
        raise UserError(f"{frames} frames with {phones} phonemes", where)
    for name in ARRAYS:
        if not np.isfinite(getattr(utterance, name)).all():
            raise UserError(f"{name} holds values that are not finite", where)
    if utterance.durations.min() < 1 or utterance.durations.sum() != frames:
        raise UserError(f"durations sum to {utterance.durations.sum()} for {frames} frames, or one is below 1", where)
    if not np.isin(utterance.breaks, range(BREAKS)).all():
        raise UserError("a break is none of text.phrasing", where)
    if utterance.phonemes.min() <= PAD_ID or utterance.phonemes.max() >= len(INVENTORY):
        raise UserError("a phoneme id is outside the inventory", where)
    if len(utterance.samples) not in (0, frames * spec.hop_samples):
        raise UserError(f"{len(utterance.samples)} samples for {frames} frames", where)
    if utterance.f0_hz.min() < 0:
        raise UserError("F0 is negative", where)


def content_hash(utterance: Utterance) -> bytes:
    """SHA-256 of everything in the utterance; equal content gives equal hashes on any machine."""
    digest = hashlib.sha256()
    for name in TEXTS:
        digest.update(getattr(utterance, name).encode() + b"\0")
    for name, dtype in ARRAYS.items():
        value = np.ascontiguousarray(getattr(utterance, name), dtype=dtype.newbyteorder("<"))
        if name == "samples" and not len(value):
            continue  # what was built without sound is what it was before sound could be stored
        digest.update(f"{name}{value.shape}".encode())
        digest.update(value.data)
    return digest.digest()


def text_key(text: str) -> str:
    """`text` reduced to lower-case words, so that punctuation and case never tell two takes of a sentence apart."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'")))


def text_hash(utterance_id: str, text: str) -> int:
    """64-bit hash of the text's key, of the id where there is none: takes of a sentence share it."""
    key = "text:" + text_key(text) if text_key(text) else "id:" + utterance_id
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
