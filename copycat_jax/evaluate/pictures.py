"""Pictures of a comparison: intervals of every system, the same per voice and per group, and source by target."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from copycat_jax.evaluate.comparison import Scored, resamples_of, values_of
from copycat_jax.evaluate.metrics import METRICS, Metric, Row
from copycat_jax.evaluate.statistics import Estimate
from copycat_jax.plots import FAINT, INK, empty_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#d9822b", "#1f77b4", "#2a9d6f", "#b03a6b", "#6a51a3", "#555555", "#c2a13a", "#3aa6b9", "#8c564b", "#111111")
DRAWS = 500  # bootstrap samples of a point in a picture

Points = Mapping[str, Mapping[str, Estimate]]  # system -> what is on the other axis -> estimate


def pictures(scored: Scored, shown: Sequence[str]) -> dict[str, "Figure"]:
    """{file name: figure} of all that the suite has fields for.

    Args:
      scored: system -> its scored rows.
      shown: names of metrics, in order; those without a figure are left out.
    """
    asked = [METRICS[name] for name in shown if name in METRICS]
    metrics = [metric for metric in asked if any(_known(metric, rows) for rows in scored.values())]
    if not metrics:
        return {}
    figures = {"systems.png": _by("", scored, metrics, "all clips")}
    for field in ("voice", "source_voice", "group"):
        if len({str(row.get(field) or "") for rows in scored.values() for row in rows}) > 1:
            figures[f"by_{field}.png"] = _by(field, scored, metrics, f"by {field.replace('_', ' ')}")
    pairs = {(row.get("source_voice"), row.get("voice")) for rows in scored.values() for row in rows}
    if len({a for a, _ in pairs}) > 1 and len({b for _, b in pairs}) > 1:
        figures["source_by_target.png"] = _source_by_target(scored, metrics[0])
    return figures


def points_of(field: str, scored: Scored, metric: Metric) -> dict[str, dict[str, Estimate]]:
    """The figures of every system per value of `field` (all clips if it is empty), with intervals."""
    found: dict[str, dict[str, Estimate]] = {}
    for system, rows in scored.items():
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(str(row.get(field) or "") if field else "all", []).append(row)
        for name, members in groups.items():
            if _known(metric, members):
                estimate = resamples_of(members, DRAWS).estimate(metric, values_of(metric, members))
                found.setdefault(system, {})[name] = estimate
    return found


def _known(metric: Metric, rows: Sequence[Row]) -> bool:
    return bool(np.isfinite(values_of(metric, rows)).any())


def _by(field: str, scored: Scored, metrics: Sequence[Metric], title: str) -> "Figure":
    """A panel for each metric: names of `field` downwards, a point and its interval for each system."""
    panels = [points_of(field, scored, metric) for metric in metrics]
    names = list(dict.fromkeys(name for points in panels for of_name in points.values() for name in of_name))
    rows = len(names) * (len(scored) + 1)
    figure = empty_figure(2.2 + 2.4 * len(metrics), min(40.0, 1.3 + 0.2 * rows))
    axes = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True))
    for axis, metric, points in zip(axes, metrics, panels, strict=True):
        _intervals(axis, points, names, list(scored))
        axis.set_title(metric.title or metric.name.replace("_", " "), fontsize=10, color=INK, loc="left")
    axes[0].set_yticks([-i * (len(scored) + 1) - (len(scored) - 1) / 2 for i in range(len(names))], names)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=min(5, len(labels)), fontsize=8, frameon=False)
    figure.suptitle(f"{title}: 95 % intervals over sentences and sources", fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def _intervals(axis: "Axes", points: Points, names: Sequence[str], systems: Sequence[str]) -> None:
    for place, system in enumerate(systems):
        colour = COLOURS[place % len(COLOURS)]
        for number, name in enumerate(names):
            if (estimate := points.get(system, {}).get(name)) is None:
                continue
            at = -number * (len(systems) + 1) - place
            axis.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=2, solid_capstyle="round")
            axis.plot([estimate.value], [at], "o", color=colour, markersize=4)
        axis.plot([], [], "o-", color=colour, markersize=4, label=system)  # for the legend, wherever its points are
    axis.grid(axis="x", color="#e5e7ea", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=8, length=2.5)
    for side in axis.spines.values():
        side.set_color(FAINT)
        side.set_linewidth(0.6)


def _source_by_target(scored: Scored, metric: Metric) -> "Figure":
    """A map for each system: sources downwards, targets to the right, the metric in every cell."""
    rows = [row for found in scored.values() for row in found]
    sources, targets = (sorted({str(row.get(f) or "") for row in rows}) for f in ("source_voice", "voice"))
    maps = {name: _cells(found, metric, sources, targets) for name, found in scored.items()}
    known = np.concatenate([cells[np.isfinite(cells)] for cells in maps.values()])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    size = 1.6 + 0.45 * len(targets), 1.2 + 0.3 * len(sources)
    columns = min(3, len(maps))
    lines = -(-len(maps) // columns)
    figure = empty_figure(min(30.0, columns * size[0]), min(40.0, lines * size[1]))
    axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    for axis, (name, cells) in zip(axes, maps.items(), strict=False):
        axis.imshow(cells, vmin=low, vmax=high, cmap="viridis", aspect="auto")
        for (i, j), value in np.ndenumerate(cells):
            if np.isfinite(value):
                light = value < (low + high) / 2
                text = f"{value:.2f}"
                axis.text(j, i, text, ha="center", va="center", fontsize=6, color="white" if light else "black")
        axis.set_xticks(range(len(targets)), targets, rotation=60, ha="right", fontsize=7)
        axis.set_yticks(range(len(sources)), sources, fontsize=7)
        axis.set_title(name, fontsize=9, color=INK, loc="left")
    figure.suptitle(f"{metric.title or metric.name}, source by target", fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def _cells(rows: Sequence[Row], metric: Metric, sources: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    cells = np.full((len(sources), len(targets)), np.nan)
    for i, source in enumerate(sources):
        for j, target in enumerate(targets):
            of_pair = [r for r in rows if (str(r.get("source_voice") or ""), str(r["voice"])) == (source, target)]
            if of_pair and _known(metric, of_pair):
                cells[i, j] = metric.of_all([r for r in of_pair if "missing" not in r])
    return cells
