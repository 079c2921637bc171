"""Reads alignments made elsewhere (MFA, Praat) and writes our own as TextGrids.

Praat's text formats, long and short, hold the same sequence of free-standing numbers and quoted strings; all else is
decoration, so one reader serves both. Ours carry three more tiers: "score", the aligner's mean phone score per frame,
"confidence" of each word, and "doubts", where text and sound disagree.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of, write_text
from copycat_jax.text.phonemes import SIL, SPN, is_phone, is_vowel
from copycat_jax.types import Alignment, Interval

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_LABELS = {"": SIL, "SIL": SIL, "SP": SIL, "<SIL>": SIL, "<EPS>": SIL, "PAU": SIL, "SPN": SPN, "<UNK>": SPN, "NSN": SPN}
_SLACK_S = 1e-6
_Kind = TypeVar("_Kind", str, float)


def read_textgrid(path: str | os.PathLike) -> Alignment:
    """Reads the tiers of words and phones of a TextGrid.

    The tiers are those named `words` and `phones` (or ending so, as in MFA's "speaker - phones"). Gaps and labels "",
    sil, sp become SIL, spn becomes SPN; a vowel without a stress digit is unstressed. The score is NaN unless a tier
    `score` holds it.

    Raises:
      UserError: missing file, not a TextGrid, no such tier, or a phone outside the inventory.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the TextGrid: {error.strerror}", str(path)) from error
    tiers, end_s = _parse(_decode(data, path), path)
    phones = [Interval(i.start_s, i.end_s, _phone(i.label, path)) for i in _tier(tiers, "phones", path)]
    words = [i for i in _tier(tiers, "words", path) if i.label.strip() and i.label.strip().upper() not in _LABELS]
    score = math.nan
    for name, intervals in tiers:
        if name == "score" and intervals and _NUMBER.match(intervals[0].label):
            score = float(intervals[0].label)
    return Alignment(tuple(_fill(phones, end_s, path)), tuple(words), score, *_findings(dict(tiers), len(words)))


def write_textgrid(path: str | os.PathLike, alignment: Alignment) -> None:
    """Writes `alignment` as a long-format TextGrid, to a temporary name first; raises UserError where it cannot."""
    path = Path(path)
    end_s = alignment.phones[-1].end_s
    tiers = [("words", _fill(alignment.words, end_s, path, gap="")), ("phones", list(alignment.phones))]
    if not math.isnan(alignment.score):
        tiers.append(("score", [Interval(0.0, end_s, f"{alignment.score:.3f}")]))
        rated = zip(alignment.words, alignment.confidences, strict=False)
        tiers.append(("confidence", _fill([w._replace(label=f"{c:.3f}") for w, c in rated], end_s, path, gap="")))
        tiers.append(("doubts", _fill(alignment.doubts, end_s, path, gap="")))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end_s:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {end_s:.6f}", f"        intervals: size = {len(intervals)}"]
        for i, (start, stop, label) in enumerate(intervals, 1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{i}]:", f"            xmin = {start:.6f}", f"            xmax = {stop:.6f}"]
            lines.append(f'            text = "{quoted}"')
    with refusals_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines) + "\n")


def _findings(tiers: Mapping[str, list[Interval]], words: int) -> tuple[tuple[float, ...], tuple[Interval, ...]]:
    """Confidences of the words and doubts of a TextGrid of ours; nothing of others."""
    rated = [float(i.label) for i in tiers.get("confidence", ()) if _NUMBER.match(i.label)]
    return tuple(rated) if len(rated) == words else (), tuple(i for i in tiers.get("doubts", ()) if i.label.strip())


def _decode(data: bytes, path: Path) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8 or UTF-16", str(path), "Save it as a TextGrid text file.") from error


def _parse(text: str, path: Path) -> tuple[list[tuple[str, list[Interval]]], float]:
    """All interval tiers, in order, and the end of the recording in seconds."""
    tokens: list[str | float] = []
    for quoted, bare in _TOKEN.findall(text):
        if not bare:
            tokens.append(quoted.replace('""', '"'))
        elif _NUMBER.match(bare):
            tokens.append(float(bare))
    following = iter(tokens)

    def take(kind: type[_Kind]) -> _Kind:
        value = next(following, None)
        if not isinstance(value, kind):
            raise UserError(
                "not a TextGrid, or one cut short", str(path), "Expected Praat's long or short text format."
            )
        return value

    if take(str) != "ooTextFile" or take(str) != "TextGrid":
        raise UserError("not a TextGrid", str(path), "Expected Praat's long or short text format.")
    take(float)
    end_s = take(float)
    tiers = []
    for _ in range(int(take(float))):
        kind, name = take(str), take(str)
        take(float)
        take(float)
        intervals = []
        for _ in range(int(take(float))):
            start = take(float)
            stop = take(float) if kind == "IntervalTier" else start
            intervals.append(Interval(start, stop, take(str)))
        if kind == "IntervalTier":
            tiers.append((name, intervals))
    return tiers, end_s


def _tier(tiers: Iterable[tuple[str, list[Interval]]], wanted: str, path: Path) -> list[Interval]:
    for name, intervals in tiers:
        if name.lower() == wanted or name.lower().endswith(f"- {wanted}"):
            return intervals
    found = ", ".join(f"'{name}'" for name, _ in tiers) or "none"
    raise UserError(f"no tier named '{wanted}' (found: {found})", str(path), "Rename the tier of phones or words.")


def _phone(label: str, path: Path) -> str:
    symbol = label.strip().upper()
    if symbol in _LABELS:
        return _LABELS[symbol]
    if is_vowel(symbol) and not symbol[-1].isdigit():
        symbol += "0"
    if not is_phone(symbol):
        raise UserError(f"'{label}' is not an ARPABET phone", str(path), "Align with an ARPABET dictionary.")
    return symbol


def _fill(intervals: Sequence[Interval], end_s: float, path: Path, gap: str = SIL) -> list[Interval]:
    """`intervals` with gaps filled by `gap`, so that they tile [0, end_s]; raises UserError where they overlap."""
    tiled: list[Interval] = []
    at = 0.0
    for interval in [*intervals, Interval(end_s, end_s, gap)]:
        if interval.start_s < at - 1e-3:
            raise UserError(f"intervals overlap at {interval.start_s:.3f} s", str(path))
        if interval.start_s > at + _SLACK_S:
            tiled.append(Interval(at, interval.start_s, gap))
        elif tiled:
            tiled[-1] = tiled[-1]._replace(end_s=interval.start_s)
        if interval.end_s > interval.start_s:
            tiled.append(interval)
            at = interval.end_s
    return tiled or [Interval(0.0, end_s, gap)]
