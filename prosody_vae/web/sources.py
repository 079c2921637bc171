"""Recordings made ready for the page: what a transfer reads, what is drawn, and the sound itself.

Alignment and its dictionaries do not run in a browser, so each recording is analysed here. What is text goes into JSON;
what is numbers into one block of bytes: the log-mel, float32 [T, M], then the whole recording, int16 [N].
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.analysis import Analysis
from copycat_jax.audio.signal import Audio, read_audio, resample
from copycat_jax.demo import CLIP, clip_text
from copycat_jax.errors import UserError
from copycat_jax.synthesis import LONGEST_S, Synthesizer
from copycat_jax.text.phonemes import to_ids
from copycat_jax.types import Interval

CLIPS = Path(__file__).parent / "clips"


class PageSource(NamedTuple):
    """A recording for the page: `about` as JSON has it, and its numbers."""

    about: dict[str, Any]
    numbers: bytes


class Clip(NamedTuple):
    """A recording that ships."""

    id: str
    voice: str
    text: str
    path: Path


def shipped_clips() -> list[Clip]:
    """The ten recordings that the page offers."""
    rows = json.loads((CLIPS / "clips.json").read_text(encoding="utf-8"))
    clips = [Clip(row["id"], row["voice"], row["text"], CLIPS / f"{row['id']}.opus") for row in rows]
    demo = {"text": clip_text(), "path": CLIP / "source.opus"}
    return [clip._replace(**demo) if clip.id == "demo" else clip for clip in clips]


def clip_source(synthesizer: Synthesizer, clip: Clip) -> PageSource:
    """A shipped recording for the page."""
    source = page_source(synthesizer, read_audio(clip.path), clip.text)
    return source._replace(about={"id": clip.id, "who": clip.voice, **source.about})


def page_source(synthesizer: Synthesizer, audio: Audio, text: str) -> PageSource:
    """A recording of at most LONGEST_S for the page.

    Raises:
      UserError: it is longer, bad sound, or a text that is not what is said.
    """
    if audio.seconds > LONGEST_S:
        what = f"{audio.seconds:.1f} s are too long for the page"
        raise UserError(what, "recording", f"Give at most {LONGEST_S:g} s; `copycat transfer` takes any length.")
    source, spec = synthesizer.prepare(audio, text), synthesizer.spec
    found = source.analysis
    if len(source.pieces) != 1 or not isinstance(found, Analysis):
        raise UserError("is too long for the page", "recording", "Cut it in a pause.")
    whole = resample(audio.samples, audio.sample_rate, spec.sample_rate)[: found.length]
    (piece,) = source.pieces
    about = {
        "text": " ".join(text.split()),
        "frames": len(found.mel),
        "samples": len(whole),
        "length": found.length,
        "start": round(found.start_s * spec.sample_rate),
        "lufs": _finite(source.lufs),
        "register_hz": _finite(source.register_hz),
        "phonemes": to_ids(found.phonemes).tolist(),
        "durations": piece.durations.tolist(),
        "words": _rows(found.alignment.words),
        "phones": _rows(found.alignment.phones),
    }
    pcm = np.clip(np.round(whole * 32767.0), -32768, 32767).astype("<i2")
    return PageSource(about, found.mel.astype("<f4").tobytes() + pcm.tobytes())


def _rows(tier: tuple[Interval, ...]) -> list[list]:
    """[label, start, end] in seconds of the whole recording."""
    return [[i.label, round(i.start_s, 4), round(i.end_s, 4)] for i in tier]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
