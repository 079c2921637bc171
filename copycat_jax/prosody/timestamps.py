"""Times of words and phones beside a recording, in the format that the ending asks for.

`.srt` and `.vtt` are captions of a line each, cut at the ends of sentences and phrases, which begin and end with their
words; in `.vtt` every word has its own time too. `.TextGrid` (Praat) and `.json` hold every word and every phone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax.align.textgrid import textgrid_text
from copycat_jax.errors import UserError
from copycat_jax.files import check_file, json_text, write_text
from copycat_jax.prosody.values import SentenceTimes
from copycat_jax.text.phonemes import SIL
from copycat_jax.types import Alignment, Interval

CAPTION_CHARACTERS = 42  # of a line, as subtitles have it
CAPTION_PAUSE_S = 0.3  # a caption ends at such a silence


class Caption(NamedTuple):
    """Words that are shown together."""

    words: tuple[Interval, ...]


def check_timestamps(
    path: str | Path, inputs: tuple[str | Path, ...] = (), others: tuple[str | Path | None, ...] = ()
) -> Path:
    """The path of a file of times that is to be written, beside `others`.

    Raises:
      UserError: an unknown ending, the path of one of the `others`, or as `check_file`.
    """
    if any(other is not None and Path(other).absolute() == Path(path).absolute() for other in others):
        raise UserError("is written already, with something else", str(path), "Choose another name for --timestamps.")
    endings = {ending.lower(): ending for ending in FORMATS}
    suffix = Path(path).suffix.lower()
    if suffix not in endings:
        known = f"{', '.join(list(FORMATS)[:-1])} or {list(FORMATS)[-1]}"
        raise UserError(f"the name does not end in {known}", str(path), f"Name it {Path(path).stem or 'times'}.srt.")
    return check_file(path, suffix, inputs)


def write_timestamps(path: str | Path, times: Sequence[SentenceTimes], seconds: float) -> None:
    """Writes the times of a recording of so many seconds in the format of the path's ending, a key of FORMATS."""
    formats = {ending.lower(): write for ending, write in FORMATS.items()}
    write_text(path, formats[Path(path).suffix.lower()](times, seconds))


def captions(times: Sequence[SentenceTimes]) -> list[Caption]:
    """The words of every sentence, a line at a time."""
    shown: list[list[Interval]] = []
    for sentence in times:
        line: list[Interval] = []
        for word in sentence.words:
            length = sum(len(w.label) + 1 for w in line) + len(word.label)
            if line and (length > CAPTION_CHARACTERS or word.start_s - line[-1].end_s >= CAPTION_PAUSE_S):
                shown.append(line)
                line = []
            line.append(word)
        shown += [line] * bool(line)
    return [Caption(tuple(line)) for line in shown]


def _srt(times: Sequence[SentenceTimes], seconds: float) -> str:
    del seconds
    blocks = [
        f"{number}\n{_clock(line.words[0].start_s, ',')} --> {_clock(line.words[-1].end_s, ',')}\n"
        + " ".join(word.label for word in line.words)
        for number, line in enumerate(captions(times), 1)
    ]
    return "\n\n".join(blocks) + "\n"


def _vtt(times: Sequence[SentenceTimes], seconds: float) -> str:
    del seconds
    blocks = ["WEBVTT"]
    for line in captions(times):
        first, *others = line.words
        timed = "".join(f" <{_clock(w.start_s, '.')}>{_escaped(w.label)}" for w in others)
        span = f"{_clock(first.start_s, '.')} --> {_clock(line.words[-1].end_s, '.')}"
        blocks.append(f"{span}\n{_escaped(first.label)}{timed}")
    return "\n\n".join(blocks) + "\n"


def _textgrid(times: Sequence[SentenceTimes], seconds: float) -> str:
    words = [word for sentence in times for word in sentence.words]
    return textgrid_text(Alignment(tuple(_tiled(times, seconds)), tuple(words), float("nan")))


def _json(times: Sequence[SentenceTimes], seconds: float) -> str:
    def rows(tier: Sequence[Interval], name: str) -> list[dict]:
        return [{name: i.label, "start_s": round(i.start_s, 4), "end_s": round(i.end_s, 4)} for i in tier]

    sentences = [{"text": s.text, "words": rows(s.words, "word"), "phones": rows(s.phones, "phone")} for s in times]
    return json_text({"seconds": round(seconds, 4), "sentences": sentences})


FORMATS: dict[str, Callable[[Sequence[SentenceTimes], float], str]] = {
    ".srt": _srt,
    ".vtt": _vtt,
    ".TextGrid": _textgrid,
    ".json": _json,
}


def _tiled(times: Sequence[SentenceTimes], seconds: float) -> list[Interval]:
    """All phones, with silence where no sentence is, so that they tile the recording."""
    tiles: list[Interval] = []
    for phone in [phone for sentence in times for phone in sentence.phones] + [Interval(seconds, seconds, SIL)]:
        at = tiles[-1].end_s if tiles else 0.0
        if phone.start_s > at + 1e-6:
            phone_before = Interval(at, phone.start_s, SIL)
            if tiles and tiles[-1].label == SIL:
                tiles[-1] = tiles[-1]._replace(end_s=phone.start_s)
            else:
                tiles.append(phone_before)
        if phone.end_s <= phone.start_s:
            continue
        if tiles and tiles[-1].label == SIL == phone.label:
            tiles[-1] = tiles[-1]._replace(end_s=phone.end_s)
        else:
            tiles.append(phone)
    return tiles


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
