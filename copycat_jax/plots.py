"""Pictures of speech, and matplotlib's one door: spectrograms with F0, phoneme boundaries and labels."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from copycat_jax.audio.pitch import track_f0
from copycat_jax.batch import Batch
from copycat_jax.files import private_temporary_folder, replacing_file
from copycat_jax.mel_spec import MelSpec, mel_edges_hz
from copycat_jax.task import Task
from copycat_jax.text.phonemes import SILENCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from copycat_jax.synthesis import Transfer

INK, FAINT, SOURCE, RESULT = "#22252b", "#8a8f99", "#ffb454", "#5ee0ff"
_TICKS_HZ = (50, 75, 100, 150, 200, 300, 400, 600)
_LABEL_POINTS = 8.5  # from one row of phoneme labels to the next
_RANGE = 11.0  # natural log units below the loudest bin that are still shown


def transfer_figure(results: "Transfer | Sequence[Transfer]", spec: MelSpec, title: str = "") -> "Figure":
    """Draws a source and what was made of it: spectrograms, phonemes, and all F0 curves together.

    The one time axis is that of the results' samples.

    Args:
      results: transfers of one source, to one or more voices.
      spec: the mel convention of the results.
      title: a line above all; the sentence, say.
    """
    transfers: list[Any] = [results] if hasattr(results, "voice") else list(results)
    hop_s, start_s = spec.hop_s, transfers[0].start_s
    source = transfers[0].source.analysis
    # By one and the same tracker, whatever measured the source's register: its curve and theirs shall be comparable.
    rows = [("source", source.mel, track_f0(source.samples, spec.sample_rate, len(source.mel), hop_s))]
    for result in transfers:
        spoken = result.samples[round(start_s * result.sample_rate) :]
        rows.append((result.voice, result.mel, track_f0(spoken, result.sample_rate, len(result.mel), hop_s)))
    seconds = max(len(transfers[0].samples) / transfers[0].sample_rate, start_s + len(source.mel) * hop_s)
    heights = [1.5] * len(rows) + [1.7]
    figure = empty_figure(min(20.0, max(9.0, 2.2 * seconds)), 1.1 + sum(heights))
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    loudest = max(float(mel.max()) for _, mel, _ in rows)
    edges_s = start_s + np.concatenate([[0], np.cumsum(source.durations)]) * hop_s
    for i, (axis, (name, mel, f0_hz)) in enumerate(zip(axes, rows, strict=False)):
        _spectrogram(axis, mel, spec, loudest, start_s)
        _contour(axis, f0_hz, hop_s, SOURCE if i == 0 else RESULT, start_s)
        _boundaries(axis, edges_s, "white", 0.22)
        rows_of_labels = 0
        if i == 0:
            rows_of_labels = _labels(axis, source.phonemes, edges_s, 0.87 * figure.get_figwidth() / seconds)
        name = name if i == 0 else f"in the voice {name}"
        axis.set_title(name, loc="left", fontsize=10, color=INK, pad=4 + _LABEL_POINTS * rows_of_labels)
    curves = {name: f0_hz for name, _, f0_hz in rows}
    _melody(axes[-1], curves, hop_s, [result.ratio for result in transfers], start_s)
    _boundaries(axes[-1], edges_s, INK, 0.08)
    axes[-1].set_xlabel("time (s)", color=INK)
    axes[-1].set_xlim(0, seconds)
    if title:
        figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left", parse_math=False)
    return figure


def training_renderer(
    task: Task, config: Mapping[str, Any], make_batch: Callable[[], Batch]
) -> Callable[[int, Any], dict[str, Any]] | None:
    """(step, params) -> pictures and sounds of one utterance: as it is, in its own voice, and in another one's.

    Args:
      task: the model's pure functions.
      config: the resolved configuration, with the section `mel_spec`.
      make_batch: makes the batch whose first row is drawn; the other voice is that of its next row by another speaker.

    Returns:
      What `train.loop.fit` renders with; None for a task that synthesizes nothing.
    """
    synthesize = task.synthesize
    if synthesize is None:
        return None
    spec = MelSpec.from_dict(config["mel_spec"])

    def render(step: int, params: Any) -> dict[str, Any]:
        import jax

        from copycat_jax.vocoder.griffin_lim import griffin_lim

        batch = Batch(*(np.asarray(x) for x in make_batch()))
        row = Batch(*(x[:1] for x in batch))
        frames, compiled = int(row.mask.sum()), jax.jit(synthesize)
        shown = {"own embedding": row, "centroid": row._replace(speaker_vector=row.centroid)}
        others = np.flatnonzero(batch.mask.any(1) & (batch.speaker != batch.speaker[0]))[:1]
        if len(others):
            voice = batch.centroid[others]
            shown["another voice"] = row._replace(speaker=batch.speaker[others], speaker_vector=voice, centroid=voice)
        mels = {"target": row.mel[0, :frames]}
        mels |= {name: np.asarray(compiled(params, like))[0, :frames] for name, like in shown.items()}
        sounds = {name: np.asarray(griffin_lim(mel[None], spec))[0] for name, mel in mels.items()}
        hop_s = spec.hop_s
        f0_hz = {name: track_f0(samples, spec.sample_rate, frames, hop_s) for name, samples in sounds.items()}
        items: dict[str, Any] = {"reconstruction": training_figure(mels, f0_hz, spec, f"step {step}")}
        return items | {
            f"audio/{name}": (0.95 * s / max(1e-3, np.abs(s).max()), spec.sample_rate) for name, s in sounds.items()
        }

    return render


def training_figure(
    mels: Mapping[str, Float[np.ndarray, "T M"]],
    f0_hz: Mapping[str, Float[np.ndarray, " T"]],
    spec: MelSpec,
    title: str = "",
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws reconstructions of one utterance beside their target, as an image for TensorBoard.

    Args:
      mels: by name, in order: the target, the reconstruction from its own embedding, from the centroid, ...
      f0_hz: by the same names; a name may be left out.
      spec: the mel convention.
      title: a line above all.

    Returns:
      An RGB image, uint8 [H, W, 3].
    """
    hop_s = spec.hop_s
    seconds = max(len(mel) for mel in mels.values()) * hop_s
    heights = [1.4] * len(mels) + [1.6] * bool(f0_hz)
    figure = empty_figure(min(16.0, max(8.0, 1.6 * seconds)), 0.9 + sum(heights), dpi=80)
    axes = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    loudest = max(float(mel.max()) for mel in mels.values())
    for i, (axis, (name, mel)) in enumerate(zip(axes, mels.items(), strict=False)):
        _spectrogram(axis, mel, spec, loudest)
        if name in f0_hz:
            _contour(axis, f0_hz[name], hop_s, SOURCE if i == 0 else RESULT)
        axis.set_title(name, loc="left", fontsize=10, color=INK)
    if f0_hz:
        _melody(axes[-1], f0_hz, hop_s)
    axes[-1].set_xlabel("time (s)", color=INK)
    axes[-1].set_xlim(0, seconds)
    if title:
        figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left", parse_math=False)
    return figure_pixels(figure)


def figure_pixels(figure: "Figure") -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of a figure."""
    canvas = figure.canvas
    with _any_script():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def spectrogram_png(mel: Float[np.ndarray, "T M"], loudest: float) -> bytes:
    """A spectrogram without axes as a PNG file in memory, a pixel for a frame of a bin; `loudest` is the brightest."""
    _give_folder()
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, mel.T, vmin=loudest - _RANGE, vmax=loudest, cmap="magma", origin="lower", format="png")
    return content.getvalue()


def write_png(path: str | Path, figure: "Figure") -> None:
    """Writes a figure as PNG under a temporary name, then renames it; raises UserError where it cannot be written."""
    content = io.BytesIO()
    with _any_script():
        figure.savefig(content, format="png")
    with replacing_file(path) as temporary:
        temporary.write_bytes(content.getvalue())


@contextlib.contextmanager
def _any_script() -> Iterator[None]:
    """Lets a title hold characters that the font lacks (an emoji): they become boxes, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def empty_figure(width: float, height: float, dpi: int = 130, background: str = "white") -> "Figure":
    """A figure of so many inches with an Agg canvas; pyplot, which keeps figures alive, is never used."""
    _give_folder()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained", facecolor=background)
    FigureCanvasAgg(figure)
    return figure


def _give_folder() -> None:
    """Names matplotlib a temporary folder for its settings and fonts where the user's cannot be written.

    Else it warns of that, and looks for all fonts again in every process.
    """
    if "MPLCONFIGDIR" in os.environ or "matplotlib" in sys.modules:
        return
    with contextlib.suppress(OSError):
        home = Path(os.path.expanduser("~"))
        for variable, usual in (("XDG_CONFIG_HOME", home / ".config"), ("XDG_CACHE_HOME", home / ".cache")):
            folder = Path(os.environ.get(variable) or usual) / "matplotlib"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                writable = os.access(folder, os.W_OK)
            except OSError:
                writable = False
            if not writable:
                (settings := private_temporary_folder() / "matplotlib").mkdir(exist_ok=True)
                os.environ["MPLCONFIGDIR"] = str(settings)
                return


def mel_bin_of(hertz: Float[np.ndarray, " K"], spec: MelSpec) -> Float[np.ndarray, " K"]:
    """Mel bins, with fractions, whose filters are centred on frequencies."""
    centres = mel_edges_hz(spec)[1:-1]
    return np.interp(hertz, centres, np.arange(len(centres)), left=np.nan, right=np.nan)


def _spectrogram(
    axis: "Axes", mel: Float[np.ndarray, "T M"], spec: MelSpec, loudest: float, start_s: float = 0.0
) -> None:
    seconds = len(mel) * spec.hop_s
    extent = (start_s, start_s + seconds, -0.5, mel.shape[1] - 0.5)
    axis.set_facecolor("black")  # silence
    axis.imshow(
        np.asarray(mel, np.float32).T,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        vmin=loudest - _RANGE,
        vmax=loudest,
        interpolation="nearest",
    )
    ticks = np.array([500, 1000, 2000, 4000, 8000], np.float32)
    at = mel_bin_of(ticks, spec)
    shown = np.isfinite(at)
    axis.set_yticks(at[shown], [f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}" for hertz in ticks[shown]])
    axis.set_ylabel("Hz", color=INK)
    _plain(axis)


def _contour(axis: "Axes", f0_hz: Float[np.ndarray, " T"], hop_s: float, colour: str, start_s: float = 0.0) -> None:
    """F0 over a spectrogram on an axis of its own: log Hz, the same octaves in every row."""
    twin = axis.twinx()
    times = start_s + (np.arange(len(f0_hz)) + 0.5) * hop_s
    curve = np.where(np.asarray(f0_hz) > 0, f0_hz, np.nan)
    twin.plot(times, curve, color="black", linewidth=3.2, alpha=0.55, solid_capstyle="round")
    twin.plot(times, curve, color=colour, linewidth=1.6, solid_capstyle="round")
    _log_hertz(twin, 50.0, 650.0, (50, 100, 200, 400))
    twin.set_ylabel("F0 (Hz)", color=INK)
    _plain(twin)


def _melody(
    axis: "Axes",
    curves: Mapping[str, Float[np.ndarray, " T"]],
    hop_s: float,
    ratios: Sequence[float] = (),
    start_s: float = 0.0,
) -> None:
    """All F0 curves on one logarithmic axis; equal melodies are parallel there."""
    colours = ("#d9822b", "#1f77b4", "#2a9d6f", "#b03a6b", "#6a51a3", "#555555")
    voiced = np.concatenate([np.asarray(f0)[np.asarray(f0) > 0] for f0 in curves.values()] or [np.zeros(0)])
    low, high = (float(voiced.min()) / 1.1, float(voiced.max()) * 1.1) if len(voiced) else (80.0, 300.0)
    for i, (name, f0_hz) in enumerate(curves.items()):
        times = start_s + (np.arange(len(f0_hz)) + 0.5) * hop_s
        curve = np.where(np.asarray(f0_hz) > 0, f0_hz, np.nan)
        label = f"{name} ({12 * np.log2(ratios[i - 1]):+.1f} semitones)" if 0 < i <= len(ratios) else name
        axis.plot(times, curve, color=colours[i % len(colours)], linewidth=1.8, label=label, solid_capstyle="round")
    _log_hertz(axis, low, high, _TICKS_HZ)
    axis.set_ylabel("F0 (Hz)", color=INK)
    axis.grid(axis="y", color="#e5e7ea", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(curves), fontsize=9, frameon=False, borderaxespad=0.1
    )
    _plain(axis)


def _log_hertz(axis: "Axes", low: float, high: float, ticks: Sequence[float]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    shown = [hertz for hertz in ticks if low <= hertz <= high]
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    axis.yaxis.set_major_locator(FixedLocator(shown))
    axis.yaxis.set_major_formatter(FixedFormatter([f"{hertz:g}" for hertz in shown]))
    axis.yaxis.set_minor_locator(NullLocator())


def _boundaries(axis: "Axes", edges_s: np.ndarray, colour: str, alpha: float) -> None:
    for edge in edges_s[1:-1]:
        axis.axvline(edge, color=colour, linewidth=0.7, alpha=alpha)


def _labels(axis: "Axes", phonemes: Sequence[str], edges_s: np.ndarray, inches_per_second: float) -> int:
    """Phonemes above the axis at the middle of where they sound, in up to three rows; returns the rows needed."""
    free = [-1.0, -1.0, -1.0]  # where each row's last label ends
    for symbol, start, end in zip(phonemes, edges_s[:-1], edges_s[1:], strict=True):
        if symbol in SILENCES:
            continue
        middle, half = (start + end) / 2, (0.034 * len(symbol) + 0.01) / inches_per_second
        row = next((i for i in range(3) if middle - half >= free[i]), int(np.argmin(free)))
        free[row] = middle + half
        axis.annotate(
            symbol,
            (middle, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2 + _LABEL_POINTS * row),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            color=INK,
            annotation_clip=False,
        )
    return int(sum(end > 0 for end in free))


def _plain(axis: "Axes") -> None:
    axis.tick_params(colors=INK, labelsize=8, length=2.5)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_color(FAINT)
        axis.spines[side].set_linewidth(0.6)
