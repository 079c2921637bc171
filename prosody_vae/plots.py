"""Pictures of the prosody space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from copycat_jax.plots import FAINT, INK, RESULT, SOURCE, empty_figure, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from copycat_jax.mel_spec import MelSpec
    from prosody_vae.selection.continuity import SweepRow

__all__ = ["chosen_figure", "interval_figure", "speech_figure", "sweep_figure", "write_png"]


def sweep_figure(rows: Sequence["SweepRow"], title: str = "", unit: str = "") -> "Figure":
    """Draws acoustic and linguistic distance against LSW, greedy dashed and exact drawn through (Tyagi Figure 2).

    Args:
      rows: of `selection.continuity.sweep`.
      title: a line above.
      unit: of the acoustic distance, for its axis.
    """
    figure = empty_figure(7.5, 4.6)
    sound = figure.subplots()
    language = sound.twinx()
    lsw = [row.lsw for row in rows]
    for axis, name, colour in ((sound, "acoustic", RESULT), (language, "linguistic", SOURCE)):
        for how, style in (("greedy", "--"), ("exact", "-")):
            values = [getattr(row, f"{how}_{name}") for row in rows]
            axis.plot(lsw, values, style, color=colour, marker="o", markersize=4, label=f"{name}, {how}")
        axis.set_ylim(bottom=0)
        axis.tick_params(colors=INK, labelsize=9)
        axis.spines["top"].set_visible(False)
    sound.set_xlabel("LSW, the weight of language", color=INK)
    sound.set_ylabel(f"acoustic distance to the sentence before{f' ({unit})' if unit else ''}", color=INK, fontsize=9)
    language.set_ylabel("linguistic distance, 1 - LS", color=INK, fontsize=9)
    sound.invert_xaxis()  # as in the paper: language alone on the left
    sound.grid(True, color=FAINT, alpha=0.2)
    lines = [*sound.get_lines(), *language.get_lines()]
    names = [str(line.get_label()) for line in lines]
    figure.legend(lines, names, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    if title:
        sound.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    return figure


def speech_figure(
    mel: Float[np.ndarray, "T M"],
    f0_hz: Float[np.ndarray, " T"],
    spec: "MelSpec",
    seconds: float,
    band_hz: tuple[float, float],
) -> "Figure":
    """Draws a spectrogram with F0 over it, to stand on a light or a dark page: no ground of its own, grey labels.

    Args:
      mel: natural log-mel.
      f0_hz: 0 = unvoiced.
      spec: the mel convention.
      seconds: what the time axis covers; pictures of equal length are on one scale.
      band_hz: what the logarithmic F0 axis covers.
    """
    figure = empty_figure(6.4, 2.1, dpi=120, background="none")
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    sound = figure.subplots()
    hop_s, loudest = spec.hop_s, float(mel.max())
    sound.imshow(
        mel.T, origin="lower", aspect="auto", cmap="magma", vmin=loudest - 9.0, vmax=loudest,
        extent=(0.0, len(mel) * hop_s, 0.0, mel.shape[1]),
    )  # fmt: skip
    sound.set_xlim(0.0, seconds)
    sound.set_yticks([])
    sound.set_facecolor("none")
    melody = sound.twinx()
    times, curve = (np.arange(len(f0_hz)) + 0.5) * hop_s, np.where(f0_hz > 0, f0_hz, np.nan)
    melody.plot(times, curve, color="black", linewidth=3.4, alpha=0.6, solid_capstyle="round")
    melody.plot(times, curve, color=RESULT, linewidth=1.8, solid_capstyle="round")
    melody.set_yscale("log")
    melody.set_ylim(*band_hz)
    ticks = [hertz for hertz in (50, 75, 100, 150, 200, 300, 400, 600) if band_hz[0] <= hertz <= band_hz[1]]
    melody.yaxis.set_major_locator(FixedLocator(ticks))
    melody.yaxis.set_major_formatter(StrMethodFormatter("{x:g} Hz"))
    melody.yaxis.set_minor_locator(NullLocator())
    for axis in (sound, melody):
        axis.tick_params(colors=FAINT, labelsize=10, length=2.5)
        for side in axis.spines.values():
            side.set_visible(False)
    sound.xaxis.set_major_formatter(StrMethodFormatter("{x:g} s"))
    return figure


def interval_figure(rows: Mapping[str, Mapping[str, float]], title: str = "") -> "Figure":
    """Draws a figure of every system as a bar with its interval, and a mark where the null's 97.5 % point lies.

    Args:
      rows: name -> {"value", "low", "high"} and perhaps "null_high"; rows without a value are left out.
      title: a line above.
    """
    kept = {name: row for name, row in rows.items() if row.get("value") is not None and np.isfinite(row["value"])}
    figure = empty_figure(7.5, 1.0 + 0.34 * max(len(kept), 1))
    axis = figure.subplots()
    for place, (name, row) in enumerate(kept.items()):
        colour = FAINT if name.endswith("*") else RESULT  # a star: it looks at the answer
        axis.barh(place, row["value"], height=0.62, color=colour)
        axis.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.4)
        right = np.nanmax([row["high"], row.get("null_high", np.nan)])  # clear of both marks
        axis.annotate(f" {row['value']:.2f}", (right, place), va="center", fontsize=8, color=INK)
        if np.isfinite(row.get("null_high", np.nan)):
            axis.plot([row["null_high"]] * 2, [place - 0.31, place + 0.31], color=SOURCE, linewidth=1.6)
    axis.set_yticks(range(len(kept)), list(kept), parse_math=False)
    axis.invert_yaxis()
    axis.tick_params(colors=INK, labelsize=9, length=2.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    axis.set_xlabel(
        "line: 95 % interval; upright mark: 97.5 % point of the same picks dealt at random", fontsize=8, color=INK
    )
    return figure


def chosen_figure(
    chosen: Mapping[str, Float[np.ndarray, "q F"]],
    truth: Float[np.ndarray, "q F"],
    categories: Sequence[str],
    names: Sequence[str],
) -> "Figure":
    """Draws what was chosen against the truth, sentence by sentence: a row a system, a column a feature.

    Args:
      chosen: system -> features of its entries; NaN = none.
      truth: features of the sentences' own recordings.
      categories: of the sentences, for the colours.
      names: of the F features.
    """
    rows, columns = max(len(chosen), 1), len(names)
    figure = empty_figure(2.3 * columns, 0.5 + 2.1 * rows, dpi=110)
    axes = figure.subplots(rows, columns, squeeze=False)
    colours = ("#d9822b", "#1f77b4", "#2a9d6f", "#b03a6b", "#6a51a3", "#8c564b", "#777777")
    kinds = list(dict.fromkeys(categories))
    for line, (system, values) in zip(axes, chosen.items(), strict=False):
        for k, axis in enumerate(line):
            both = np.isfinite(values[:, k]) & np.isfinite(truth[:, k])
            for i, kind in enumerate(kinds):
                at = both & np.array([c == kind for c in categories])
                axis.plot(truth[at, k], values[at, k], ".", markersize=3, color=colours[i % 7], label=kind, alpha=0.7)
            if both.any():
                ends = np.nanmin(truth[both, k]), np.nanmax(truth[both, k])
                axis.plot(ends, ends, color=INK, linewidth=0.6)
            axis.tick_params(colors=INK, labelsize=7, length=2)
            axis.set_title(f"{system}: {names[k]}", loc="left", fontsize=8, color=INK, parse_math=False)
    for axis in axes[-1]:
        axis.set_xlabel("true", fontsize=8, color=INK)
    for line in axes:
        line[0].set_ylabel("chosen", fontsize=8, color=INK)
    if any(kinds):
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(kinds), fontsize=8, frameon=False)
    return figure
