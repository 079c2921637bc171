"""From a manifest of results to figures per clip, and from those to tables per set, group and voice pair.

A manifest is JSON lines. Paths are relative to the manifest's folder (or to `--root`). Fields of a row:

  result        the recording to judge (required)
  voice         the voice it should have (required)
  source        the recording that was transferred
  source_voice  whose it is
  truth         the same words and prosody spoken by the voice itself, where that exists; an .npz of the same name with
                `f0_hz_12p5ms` beside it is its exact F0 curve
  offset_s      when the result starts on the source's clock (what --trim cut off); 0 if absent
  text          the words; without it none are counted
  set, system, group, sentence   what tables are grouped by; clips of one sentence are not independent (intervals)

The second manifest, of voices, says what each voice sounds like: rows of `voice` and `path`; sources belong in it too.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.errors import UserError
from copycat_jax.evaluate import judges, leakage, objective, statistics

Row = dict[str, Any]
PATHS = ("result", "source", "truth")

# figure -> (heading, how clips become one, decimals)
FIGURES = {
    "correlation": ("F0 corr", np.mean, 3),
    "gross": ("gross", np.mean, 3),
    "rmse": ("RMSE st", np.mean, 2),
    "register": ("register", np.median, 2),
    "spread": ("spread", np.median, 2),
    "voicing_error": ("voicing", np.mean, 3),
    "source_correlation": ("F0~source", np.median, 3),
    "energy_correlation": ("dB~source", np.median, 3),
    "to_target": ("to target", np.mean, 3),
    "truth_to_target": ("(truth)", np.mean, 3),
    "to_source": ("to source", np.mean, 3),
    "nearest_is_target": ("nearest", np.mean, 3),
    "wer": ("WER", None, 3),
    "source_wer": ("(source)", None, 3),
}


def read_rows(path: str | Path, required: Sequence[str], root: str | Path | None = None) -> list[Row]:
    """Reads JSON lines and resolves their paths; UserError for a missing file, a line that is no object, or a lack."""
    path = Path(path)
    if not path.is_file():
        raise UserError("no such file", str(path), "Name a manifest of JSON lines.")
    base, rows = Path(root) if root else path.parent, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"not JSON ({error.msg})", where, "One object per line.") from None
        lacking = [f for f in required if not (isinstance(row, dict) and row.get(f))]
        if lacking:
            raise UserError(f"no field '{lacking[0]}'", where, f"Every row needs {', '.join(required)}.")
        for field in (*PATHS, "path"):
            if row.get(field):
                row[field] = base / row[field]
                if not row[field].is_file():
                    raise UserError(f"no such file: {row[field]}", where, "Check the manifest and --root.")
        rows.append(row)
    if not rows:
        raise UserError("no rows", str(path), "One JSON object per line.")
    return rows


def questions(rows: Sequence[Row], voices: Sequence[Row], asked: Sequence[str]) -> list[tuple[str, Path]]:
    """What must be asked of which judge to score `rows`: (judge, path) pairs."""
    out: list[tuple[str, Path]] = []
    for row in rows:
        references = [row[f] for f in ("truth", "source") if row.get(f)]
        if "f0" in asked:
            out += [("f0", path) for path in (row["result"], *references)]
        if "voice" in asked:
            out += [("voice", row["result"])] + ([("voice", row["truth"])] if row.get("truth") else [])
        if "words" in asked and row.get("text"):
            out += [("words", row["result"])] + ([("words", row["source"])] if row.get("source") else [])
    if "voice" in asked:
        out += [("voice", row["path"]) for row in voices]
    return out


def voice_centroids(voices: Sequence[Row], memory: judges.Memory) -> dict[str, np.ndarray]:
    """The judge's centroid of every voice of the voices manifest."""
    vectors = np.stack([memory.recall("voice", row["path"]) for row in voices])
    return leakage.centroids(vectors, [str(row["voice"]) for row in voices])


def _melody(row: Row, memory: judges.Memory) -> dict[str, float]:
    from copycat_jax.audio.signal import read_audio, resample

    offset = float(row.get("offset_s", 0.0))
    result, figures = memory.recall("f0", row["result"]), {}
    for role in ("truth", "source"):
        if not row.get(role):
            continue
        audio = read_audio(row[role])
        frames = int(len(audio.samples) / audio.sample_rate / objective.GRID_S)
        tracked = memory.recall("f0", row[role])
        heard = objective.on_grid(tracked.times_s, tracked.f0_hz, frames)
        curve = objective.on_grid(result.times_s, result.f0_hz, frames, offset)
        if role == "truth":
            npz = Path(row["truth"]).with_suffix(".npz")
            exact = np.load(npz)["f0_hz_12p5ms"].astype(np.float64)[:frames] if npz.is_file() else heard
            figures |= objective.transfer_scores(curve, exact, heard)._asdict()
            continue
        figures["source_correlation"] = objective.log_f0_correlation(curve, heard)
        if not row.get("truth"):
            figures["voicing_error"] = objective.transfer_scores(curve, heard).voicing_error
        made = read_audio(row["result"])
        start = round(offset * audio.sample_rate)
        figures["energy_correlation"] = objective.energy_correlation(
            resample(made.samples, made.sample_rate, audio.sample_rate), audio.samples[start:], audio.sample_rate
        )
    return figures


def _words(row: Row, memory: judges.Memory) -> dict[str, Any]:
    reference = judges.plain_words(str(row["text"]))
    figures: dict[str, Any] = {"words": len(reference)}
    for name, field in (("", "result"), ("source_", "source")):
        if row.get(field):
            heard = memory.recall("words", row[field])
            figures[f"{name}word_errors"] = objective.word_errors(reference, judges.plain_words(heard))
            figures[f"{name}heard"] = heard
    return figures


def score_row(row: Row, memory: judges.Memory, centroids: dict[str, np.ndarray], asked: Sequence[str]) -> Row:
    """All figures of one clip, beside its manifest fields; what cannot be had is absent or NaN."""
    scored = {k: str(v) if k in PATHS else v for k, v in row.items()}
    if "f0" in asked:
        scored |= _melody(row, memory)
    if "voice" in asked and centroids:
        target, source = str(row["voice"]), str(row.get("source_voice", ""))
        if target not in centroids:
            raise UserError(f"no recording of voice '{target}'", "voices manifest", "Add rows for it.")
        found = leakage.identify(memory.recall("voice", row["result"]), target, source, centroids)
        scored |= found._asdict() | {"nearest_is_target": float(found.nearest == target)}
        if row.get("truth"):
            scored["truth_to_target"] = float(
                leakage.identify(memory.recall("voice", row["truth"]), target, source, centroids).to_target
            )
    if "words" in asked and row.get("text"):
        scored |= _words(row, memory)
    return scored


def figure(rows: Sequence[Row], name: str) -> float:
    """One figure of `FIGURES` over scored rows; NaN where no row has it. Word error rates are pooled over words."""
    if name.endswith("wer"):
        errors = f"{name.removesuffix('wer')}word_errors"
        counted = [r for r in rows if errors in r]
        words = sum(r["words"] for r in counted)
        return sum(r[errors] for r in counted) / words if words else float("nan")
    values = np.array([r.get(name, np.nan) for r in rows], np.float64)
    values = values[np.isfinite(values)]
    return float(FIGURES[name][1](values)) if len(values) else float("nan")


def make_table(rows: Sequence[Row], by: Sequence[str], intervals: bool = False) -> list[Row]:
    """One row of figures per combination of the fields `by`, in order of first appearance.

    Each has `clips`, `unscored` (clips too short of common voiced frames for melody scores) and, if asked, a 95 %
    bootstrap interval `NAME_low`, `NAME_high` of each figure but the word error rates, drawn by sentence.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(field, "")) for field in by), []).append(row)
    table = []
    for key, members in groups.items():
        entry: Row = dict(zip(by, key, strict=True)) | {"clips": len(members)}
        entry["unscored"] = sum("gross" in r and not np.isfinite(r["gross"]) for r in members)
        for name, (_, reduce, _) in FIGURES.items():
            value = figure(members, name)
            if not np.isfinite(value):
                continue
            entry[name] = value
            if intervals and reduce is not None:
                values = np.array([r.get(name, np.nan) for r in members], np.float64)
                clusters = [str(r.get("sentence", i)) for i, r in enumerate(members)]
                _, entry[f"{name}_low"], entry[f"{name}_high"] = statistics.bootstrap_interval(
                    values, reduce, clusters, draws=1000
                )
        table.append(entry)
    return table


def format_table(table: Sequence[Row], by: Sequence[str]) -> str:
    """The table as aligned text: the fields `by`, the number of clips, and every figure that any row has."""
    names = [name for name in FIGURES if any(name in entry for entry in table)]
    lines = [[*by, "clips", *(FIGURES[name][0] for name in names)]]
    for entry in table:
        cells = [str(entry.get(field, "")) for field in by] + [str(entry["clips"])]
        for name in names:
            cells.append(f"{entry[name]:.{FIGURES[name][2]}f}" if name in entry else "-")
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        left = "  ".join(cell.ljust(width) for cell, width in zip(line[: len(by)], widths, strict=False))
        right = "  ".join(cell.rjust(width) for cell, width in zip(line[len(by) :], widths[len(by) :], strict=True))
        out.append(f"{left}  {right}")
    return "\n".join(out)
