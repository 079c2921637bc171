"""A comparison of systems in words: title, table, intervals with skill, the declared tests, and what is not worse."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from copycat_jax.evaluate.comparison import Scored
from copycat_jax.evaluate.metrics import METRICS, Row
from copycat_jax.evaluate.report import aligned, table_text, tabulate

NAMED = 5  # ids that a line names; the others are counted


def title(suite: str, scored: Scored) -> str:
    """What was measured, and in the same line what of it is not there."""
    rows = next(iter(scored.values()))
    counts = [f"{len(rows)} clips", f"{len(scored)} system{'s' * (len(scored) != 1)}"]
    for field, noun in (("sentence", "sentences"), ("source_voice", "sources"), ("voice", "voices")):
        if kinds := {str(row[field]) for row in rows if row.get(field)}:
            counts.append(f"{len(kinds)} {noun if len(kinds) != 1 else noun[:-1]}")
    lacks = [f"{name}: {lack}" for name, found in scored.items() if (lack := lacking(found))]
    return f"{suite}: {', '.join(counts)}" + f" -- PARTIAL: {'; '.join(lacks)}" * bool(lacks)


def lacking(rows: Sequence[Row]) -> str:
    """How much of a system's clips is missing, or an empty string."""
    missing = sum("missing" in row for row in rows)
    return f"{missing} of {len(rows)} clips are missing" if missing else ""


def some(names: Iterable[str]) -> str:
    """The first names and how many there are besides."""
    names = list(names)
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + f" and {more} more" * (more > 0)


def comparison_text(suite: str, scored: Scored, report: Mapping[str, Any]) -> str:
    """The whole comparison as text; `report` is that of `comparison.compare`."""
    table = tabulate([row for rows in scored.values() for row in rows], ["system"])
    parts = [title(suite, scored), table_text(table, ["system"]), _intervals(report)]
    return "\n\n".join([*parts, *filter(None, (_tests(report), _not_worse(report)))]) + "\n"


def _intervals(report: Mapping[str, Any]) -> str:
    figures, skilled = report["figures"], False
    lines = [["metric", "system", "value", "95 % interval", "clips", "skill", "95 % interval", "floor", "ceiling"]]
    for name, of_system in figures.items():
        places = METRICS[name].decimals
        for system, f in of_system.items():
            line = [METRICS[name].title, system, *_estimate(f, "value", "low", "high", places), str(f["clips"])]
            if "skill" in f:
                skilled = True
                line += [*_estimate(f, "skill", "skill_low", "skill_high", 2)]
                line += [f"{f['floor']:.{places}f}", f"{f['ceiling']:.{places}f}"]
            lines.append([*line, *[""] * (len(lines[0]) - len(line))])
    note = f"skill = (value - floor) / (ceiling - floor); floor: {report['floor']}, ceiling: {report['ceiling']}"
    if not skilled:
        lines = [line[:5] for line in lines]
        note = f"no skill: add --system {report['floor']} and --system {report['ceiling']}, or name --floor, --ceiling"
    head = f"Intervals over sentences and sources, {report['draws']} bootstrap samples; {note}"
    return head + "\n\n" + aligned(lines, 2)


def _tests(report: Mapping[str, Any]) -> str:
    if not report["tests"]:
        return ""
    lines = [["metric", "a", "b", "a - b", "95 % interval", "clips", "W", "p", "p (Holm)", "rank-biserial", "d_z"]]
    for row in report["tests"]:
        metric = METRICS[row["metric"]]
        gap = [f"{row['difference']:+.{metric.decimals}f}", _bounds(row["low"], row["high"], metric.decimals)]
        statistics = [f"{row['statistic']:.0f}", _p(row["p"]), _p(row["p_holm"])]
        effects = [f"{row['effect']:+.2f}", f"{row['d_z']:+.2f}"]
        names = [metric.title or metric.name.replace("_", " "), row["a"], row["b"]]
        lines.append([*names, *gap, str(row["clips"]), *statistics, *effects])
    head = f"Two-sided Wilcoxon signed-rank tests, clip by clip; Holm over {len(report['tests'])}: all pairs of rivals"
    return f"{head} x {', '.join(report['family'])}\n\n" + aligned(lines, 3)


def _not_worse(report: Mapping[str, Any]) -> str:
    if not report["not_worse"]:
        return ""
    lines = [["a", "b", "a - b", "95 % bound", "clips", "not worse"]]
    for row in report["not_worse"]:
        shown = "yes" if row["shown"] else "not shown"
        gap = [f"{row['difference']:+.3f}", f"{row['low']:+.3f}", str(row["clips"])]
        lines.append([row["a"], row["b"], *gap, shown])
    return f"Naturalness: is a worse than b by less than {report['margin']:g}?\n\n" + aligned(lines, 2)


def _estimate(figure: Mapping[str, float], value: str, low: str, high: str, places: int) -> tuple[str, str]:
    return f"{figure[value]:.{places}f}", _bounds(figure[low], figure[high], places)


def _bounds(low: float, high: float, places: int) -> str:
    return f"{low:.{places}f} to {high:.{places}f}" if math.isfinite(low) else "-"


def _p(value: float) -> str:
    return "-" if not math.isfinite(value) else f"{value:.3f}" if value >= 1e-3 else f"{value:.0e}"
