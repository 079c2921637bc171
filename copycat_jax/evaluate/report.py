"""From a manifest of results to metrics per clip, and from those to tables per set, group and voice pair.

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
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.evaluate import judges, leakage
from copycat_jax.evaluate.comparison import resamples_of, values_of
from copycat_jax.evaluate.metrics import COLUMNS, METRICS, Clip, Row

PATHS = ("result", "source", "truth", "other")
RECORDINGS = (".wav", ".flac", ".opus", ".ogg", ".mp3")


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


def add_truths(rows: Sequence[Row], folder: Path) -> None:
    """Gives rows without a truth, in place, the recording of `folder` that is named like their result, if there is one.

    Raises:
      UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError("no such folder", f"--truth {folder}", "Name a folder of recordings.")
    known = {path.stem: path for path in folder.iterdir() if path.suffix in RECORDINGS}
    for row in rows:
        if not row.get("truth") and row["result"].stem in known:
            row["truth"] = known[row["result"].stem]


def needed_judgements(rows: Sequence[Row], voices: Sequence[Row], asked: Sequence[str]) -> list[tuple[str, str | Path]]:
    """What must be asked of which judge to score `rows` by the measures `asked`: (judge, path) pairs."""
    metrics = [metric for metric in METRICS.values() if metric.measure in asked]
    roles = [(metric, role) for metric in metrics for role in ("result", *metric.needs) if role in PATHS]
    wanted = [(metric.measure, row[role]) for row in rows for metric, role in roles if metric.applies(row)]
    if "voice" in asked:
        wanted += [("voice", row["path"]) for row in voices]
    return list(dict.fromkeys(wanted))


def judged(
    rows: Sequence[Row], voices: Sequence[Row], asked: Sequence[str], memory: judges.Memory, jobs: int = 1
) -> Iterator[tuple[str, str]]:
    """Asks the judges for what `needed_judgements` names, behind a progress bar; as `judges.judge_all` yields."""
    todo = needed_judgements(rows, voices, asked)
    pending = len({place for judge, path in todo if not (place := memory.place(judge, path)).is_file()})
    yield from console.progress(judges.judge_all(todo, memory, jobs), "judging", total=pending, unit="clip")


def voice_centroids(voices: Sequence[Row], memory: judges.Memory) -> dict[str, np.ndarray]:
    """The judge's centroid of every voice of the voices manifest."""
    vectors = np.stack([memory.recall("voice", row["path"]) for row in voices])
    return leakage.centroids(vectors, [str(row["voice"]) for row in voices])


def score_row(row: Row, memory: judges.Memory, centroids: dict[str, np.ndarray], asked: Sequence[str]) -> Row:
    """All metrics of one clip, beside its manifest fields; what cannot be had is absent or NaN."""
    clip = Clip(row, memory, centroids)
    scored = {name: str(value) if name in PATHS else value for name, value in row.items()}
    for metric in METRICS.values():
        if metric.measure in asked and metric.value is not None and metric.applies(row):
            scored[metric.name] = metric.value(clip)
    return scored


def tabulate(rows: Sequence[Row], by: Sequence[str], intervals: bool = False) -> list[Row]:
    """One row of metrics per combination of the fields `by`, in order of first appearance.

    Each has `clips`, `missing` (how many of them there are no recordings of), if any, `unscored` (clips too short of
    common voiced frames for melody scores) and, if asked, a 95 % bootstrap interval `NAME_low`, `NAME_high` of each
    metric, over sentences and sources.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(field, "")) for field in by), []).append(row)
    table = []
    for key, members in groups.items():
        entry: Row = dict(zip(by, key, strict=True)) | {"clips": len(members)}
        entry["unscored"] = sum("gross" in r and not np.isfinite(r["gross"]) for r in members)
        if missing := sum("missing" in r for r in members):
            entry["missing"] = missing
        samples = resamples_of(members, draws=1000) if intervals else None
        for metric in COLUMNS:
            value = metric.of_all(members)
            if not np.isfinite(value):
                continue
            entry[metric.name] = value
            if samples is not None:
                found = samples.estimate(metric, values_of(metric, members))
                entry[f"{metric.name}_low"], entry[f"{metric.name}_high"] = found.low, found.high
        table.append(entry)
    return table


def table_text(table: Sequence[Row], by: Sequence[str]) -> str:
    """The table as aligned text: the fields `by`, the clips, those missing too, and every metric that any row has."""
    metrics = [metric for metric in COLUMNS if any(metric.name in entry for entry in table)]
    lines = [[*by, "clips", *(metric.title for metric in metrics)]]
    for entry in table:
        clips = f"{entry['missing']} of {entry['clips']} clips are missing" if "missing" in entry else entry["clips"]
        if entry.get("unscored"):  # one perfect clip beside ninety-nine silent ones is not a perfect system
            clips = f"{clips}, {entry['unscored']} unscored"
        cells = [str(entry.get(field, "")) for field in by] + [str(clips)]
        cells += [f"{entry[m.name]:.{m.decimals}f}" if m.name in entry else "-" for m in metrics]
        lines.append(cells)
    return aligned(lines, len(by))


def aligned(lines: Sequence[Sequence[str]], left: int) -> str:
    """Rows of cells under each other, the first `left` columns to the left and all others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def text(line: Sequence[str]) -> str:
        cells = zip(line, widths, strict=True)
        return "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells)).rstrip()

    return "\n".join(map(text, lines))
