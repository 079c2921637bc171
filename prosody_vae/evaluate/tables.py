"""Figures as Markdown tables that also read well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prosody_vae.evaluate.measures import PROSODY
from prosody_vae.evaluate.speech import ERRORS
from prosody_vae.evaluate.systems import REFERENCES, in_order

SHORT = {
    "f0_mean_st": "mean F0 (st)",
    "f0_spread_st": "F0 spread (st)",
    "rate": "rate (phones/s)",
    "final_rise_st": "final rise (st)",
}
CHOICE = {"hit": "style hit", "category_hit": "category hit", "regret": "regret", "rise_hit": "rise/fall"}
MEASURES = CHOICE | {"hit": "planted style hit", "distance": "distance to the truth", "rise_hit": "rise/fall accuracy"}
Figures = Mapping[str, Mapping[str, Any]]


def cell(figure: Mapping[str, float | None] | None, decimals: int = 2, null: bool = False) -> str:
    """A figure with its interval, and with the null's mean and 97.5 % point if asked; "-" where there is none."""
    value = figure.get("value") if figure else None
    if figure is None or value is None or not np.isfinite(value):
        return "-"
    text = f"{value:.{decimals}f} [{figure['low']:.{decimals}f}, {figure['high']:.{decimals}f}]"
    if null and figure.get("null") is not None:
        text += f" ({figure['null']:.{decimals}f}, {figure['null_high']:.{decimals}f})"
    return text


def markdown(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A padded Markdown table; columns that hold nothing but "-" are left out."""
    kept = [i for i in range(len(columns)) if any(row[i] != "-" for row in rows.values())]
    grid = [["", *(columns[i] for i in kept)], *([name, *(row[i] for i in kept)] for name, row in rows.items())]
    widths = [max(len(line[i]) for line in grid) for i in range(len(kept) + 1)]
    lines = ["| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |" for line in grid]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return f"**{title}**\n\n" + "\n".join(lines)


def label(system: str) -> str:
    """A system's name in tables; references are starred, because they look at the answer."""
    return f"{REFERENCES[system]} *" if system in REFERENCES else system


def choice_table(title: str, figures: Figures, names: Mapping[str, str] = CHOICE, null: bool = True) -> str:
    """One row a system: hits, regret, rise/fall, distance."""
    columns = {**names, "distance": "distance"}
    rows = {label(s): [cell(figures[s].get(n), null=null) for n in columns] for s in in_order(list(figures))}
    return markdown(title, list(columns.values()), rows)


def correlation_table(title: str, figures: Figures, kind: str = "pearson", null: bool = True) -> str:
    """One row a system, one column a figure of prosody: correlation over sentences (or `kind` "rmse")."""
    rows = {
        label(s): [cell(figures[s].get(f"{kind}_{n}"), null=null) for n in PROSODY] for s in in_order(list(figures))
    }
    return markdown(title, [SHORT[n] for n in PROSODY], rows)


def category_table(title: str, table: Figures) -> str:
    """One row a system, one column a category: laid out like the paper's Table 2."""
    columns = list(next(iter(table.values())))
    shown = ["or" if c == "orq" else c for c in columns]
    rows = {label(s): [cell(table[s].get(c)) for c in columns] for s in in_order(list(table))}
    return markdown(title, shown, rows)


def t_table(title: str, tests: Figures) -> str:
    """Paired t-tests, one row a system."""
    rows = {}
    for system in in_order(list(tests)):
        r = tests[system]
        known = r["t"] is not None and np.isfinite(r["p"])
        rows[label(system)] = ["-"] * 6
        if known:
            test = [
                f"{r['difference']:+.3f}",
                f"{r['t']:.2f}",
                str(r["freedom"]),
                f"{r['p']:.2g}",
                f"{r['p_holm']:.2g}",
            ]
            rows[label(system)] = [*test, f"{r['d_z']:+.2f}"]
    return markdown(title, ["difference", "t", "df", "p", "p (Holm)", "d_z"], rows)


def gate_table(title: str, table: Figures) -> str:
    """Errors of what is predicted, and their paired differences to the centroid's."""
    rows = {}
    for system in in_order(list(table)):
        cells = []
        for name in ERRORS:
            figure = table[system][name]
            gap = {"value": figure["difference"], "low": figure["difference_low"], "high": figure["difference_high"]}
            cells += [cell(figure, 3), "-" if system == "centroid" else cell(gap, 3)]
        rows[label(system)] = cells
    columns = [text for name in ERRORS.values() for text in (name, "less the centroid's")]
    return markdown(title, columns, rows)
