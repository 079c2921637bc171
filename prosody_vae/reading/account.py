"""The JSON beside a recording: what was read with what, where every sentence sounds, and why it sounds so."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copycat_jax.audio.signal import COMMENT
from copycat_jax.errors import UserError
from copycat_jax.prosody.values import SentenceTimes
from copycat_jax.types import Interval
from prosody_vae.reading.passages import Passage, is_speakable
from prosody_vae.reading.wav_parts import Part
from prosody_vae.selection.choice import Choice

_FIELDS = {"comment", "settings", "chapters"}


def check_account(out: str | Path, inputs: Sequence[str | Path] = ()) -> Path:
    """The path of the JSON beside the recording `out`.

    Raises:
      UserError: a file stands there that is no account of a reading, or one of `inputs`.
    """
    path = Path(out).with_suffix(".json")
    given = any(Path(other).exists() and path.exists() and path.samefile(other) for other in inputs)
    if path.exists() and (given or not _is_account(path)):
        what = f"would be replaced by what is said of {out}"
        raise UserError(what, str(path), "Move it, or choose another name for the recording.")
    return path


def _is_account(path: Path) -> bool:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and fields.keys() >= _FIELDS and fields["comment"] == COMMENT


def rows_of(
    passage: Passage, choices: Sequence[Choice], spans_s: Sequence[Sequence[float]], first: int, start_s: float = 0.0
) -> Iterator[dict[str, Any]]:
    """A row for each sentence of a passage.

    Args:
      passage: what was read.
      choices: one for each sentence that was spoken.
      spans_s: where each of these begins and ends in the passage's own sound.
      first: the number, in the whole document, of the first of these.
      start_s: where that sound begins.
    """
    spoken = iter(zip(choices, spans_s, strict=True))
    for text in passage.sentences:
        if not is_speakable(text):
            yield {"paragraph": passage.paragraph, "text": text, "skipped": "nothing in it can be spoken"}
            continue
        choice, span = next(spoken)
        place = {name: round(start_s + at, 4) for name, at in zip(("start_s", "end_s"), span, strict=True)}
        why = {name: value for name, value in choice.to_dict().items() if name != "embedding"}
        yield {"paragraph": passage.paragraph, "sentence": first, **place, **why}
        first += 1


def account(
    titles: Sequence[str],
    settings: Mapping[str, Any],
    passages: Sequence[Passage],
    choices: Sequence[Sequence[Choice]],
    parts: Sequence[Part],
    rate: int,
) -> dict[str, Any]:
    """What a reading says of itself; `titles` are those of `passages.chapter_titles`, `rate` is in Hz."""
    chapters: list[dict[str, Any]] = [{"title": title, "start_s": None, "sentences": []} for title in titles]
    before, first = 0, 1
    for passage, chosen, part in zip(passages, choices, parts, strict=True):
        chapter = chapters[passage.chapter]
        if chapter["start_s"] is None:
            chapter["start_s"] = round(before / rate, 4)
        chapter["sentences"] += rows_of(passage, chosen, part.about["spans_s"], first, before / rate)
        before, first = before + part.samples, first + len(chosen)
    return {
        "comment": COMMENT,
        "seconds": round(before / rate, 4),
        "sample_rate": rate,
        "settings": dict(settings),
        "chapters": [chapter for chapter in chapters if chapter["sentences"]],
    }


def times_in(parts: Sequence[Part], rate: int) -> list[SentenceTimes]:
    """When every sentence of a recording made of `parts` is spoken, from its beginning; `rate` is in Hz."""
    times, before = [], 0
    for part in parts:
        for text, *tiers in part.about["times"]:
            tiers = (tuple(Interval(*interval) for interval in tier) for tier in tiers)
            times.append(SentenceTimes(text, *tiers).moved(before / rate))
        before += part.samples
    return times
