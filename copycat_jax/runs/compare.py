"""`copycat runs compare`: two runs side by side; what differs in how they were made, and in what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copycat_jax.runs.account import account
from copycat_jax.runs.show import read_page
from copycat_jax.train.goodput import read_attempts
from copycat_jax.train.writer import METRICS_FILE, read_metrics

POINTS = 8  # of a curve
_WIDTH = 28


def compare(a: str | Path, b: str | Path) -> str:
    """The page of two runs; raises UserError where a folder is none."""
    pages = [read_page(run) for run in (a, b)]
    records = [read_metrics(Path(run) / METRICS_FILE) for run in (a, b)]
    sections = [
        _table("", [("run", str(a), str(b))]),
        _table("what differs in how they were made", _differences(*pages)) or "made alike",
        *(_table(f"{kind}: {name}", _curve(records, kind, name)) for kind, name in _curves(records)),
        *(_table(f"last {kind} record", _last(records, kind)) for kind in ("train", "eval")),
        _table("time", _time(a, b)),
    ]
    return "\n\n".join(section for section in sections if section)


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    flat = [_flat(page) for page in (a, b)]
    names = sorted(n for n in flat[0].keys() | flat[1].keys() if flat[0].get(n) != flat[1].get(n))
    return [(n, *(str(f.get(n, "-")) for f in flat)) for n in names]  # type: ignore[misc]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out = {}
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else key
        out |= _flat(item, name) if isinstance(item, Mapping) else {name: item}
    return out


def _curves(records: Sequence[list[dict]]) -> list[tuple[str, str]]:
    """(kind, metric) of the losses that both runs have."""
    found = []
    for kind in ("train", "eval"):
        names = [{n for r in run if r["kind"] == kind for n in r if n.split("/")[0] == "loss"} for run in records]
        found += [(kind, name) for name in sorted(names[0] & names[1])]
    return found


def _curve(records: Sequence[list[dict]], kind: str, name: str) -> list[tuple[str, str, str]]:
    """At some steps from the first to the last of either run, what the record nearest before says; "-" past the end."""
    curves = [{r["step"]: r[name] for r in run if r["kind"] == kind and name in r} for run in records]
    steps = sorted(set(curves[0]) | set(curves[1]))
    shown = sorted({steps[round(i * (len(steps) - 1) / (POINTS - 1))] for i in range(POINTS)})

    def at(curve: Mapping[int, float], step: int) -> str:
        before = [s for s in curve if s <= step]
        return _number(curve[max(before)]) if before and step <= max(curve) else "-"

    return [(f"step {step:,}", *(at(curve, step) for curve in curves)) for step in shown]  # type: ignore[misc]


def _last(records: Sequence[list[dict]], kind: str) -> list[tuple[str, str, str]]:
    last = [next((r for r in reversed(run) if r["kind"] == kind), {}) for run in records]
    names = [n for n in last[0] if n in last[1] and n not in ("kind", "time")]
    return [(n, _number(last[0][n]), _number(last[1][n])) for n in names]


def _time(a: str | Path, b: str | Path) -> list[tuple[str, str, str]]:
    own = [[t for t in read_attempts(run) if t.facts["process"] == 0] for run in (a, b)]
    if not all(own):
        return []
    found = [account(attempts) for attempts in own]
    rows = [
        ("wall time, hours", *(f"{f.wall_s / 3600:.3f}" for f in found)),
        ("goodput", *(f"{f.seconds['step'] / max(f.wall_s, 1e-9):.1%}" for f in found)),
        ("attempts", *(str(f.attempts) for f in found)),
        ("lost steps", *(str(f.lost_steps) for f in found)),
    ]
    return rows  # type: ignore[return-value]


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    widths = [max(_WIDTH if i == 0 else 0, *(len(row[i]) for row in rows)) for i in range(3)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title] * bool(title) + lines)
