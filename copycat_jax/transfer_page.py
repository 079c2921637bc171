"""The page of a transfer: the source and what was made of it, to be heard and seen on one time axis.

One HTML file that needs nothing beside it: sounds (FLAC, lossless) and spectrograms lie in it. A time is a share of the
axis, which is wide enough for the words and scrolls where the screen is narrower.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax import __version__
from copycat_jax.audio.loudness import loudness_lufs
from copycat_jax.audio.pitch import track_f0
from copycat_jax.audio.signal import Audio, flac_bytes
from copycat_jax.evaluate.objective import log_f0_correlation
from copycat_jax.mel_spec import MelSpec
from copycat_jax.page import embedded, facts, render_document, shown
from copycat_jax.plots import spectrogram_png

if TYPE_CHECKING:
    from copycat_jax.synthesis import Synthesizer, Transfer
    from copycat_jax.types import Interval

_PIXELS_PER_S = 190  # at least: words of fluent speech stand side by side
_CHARACTER_S = 0.035  # what a letter of them takes there
_HEIGHT = 100.0  # of a picture, in its own units
_MARKS_HZ = (50, 75, 100, 150, 200, 300, 400, 600)
_COLOURS = ("#e8891d", "#2a93d5", "#2a9d6f", "#c2457c", "#7d6ad0")
_LEAD = (
    "A recording, and the same words with the same rhythm and melody in another voice. Everything stands on one time "
    "axis: spectrograms with the F0 of what you hear (blue) and the recording's, moved to the voice's register "
    "(orange), and the words where they are said. Click into a picture to listen from there."
)

_STYLE = """
.axis { overflow-x: auto; container-type: inline-size; margin-top: 1.5rem; padding-bottom: .5rem; }
.axis > div { min-width: 100%; }
.row { margin-bottom: 1.6rem; }
.head { position: sticky; left: 0; width: 100cqw; }
.head dl { display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; }
.picture { position: relative; height: 9rem; margin-top: .6rem; cursor: pointer; }
.picture svg { position: absolute; width: 100%; height: 100%; border-radius: 6px; background: #000; }
.melodies { cursor: auto; }
.melodies svg { background: var(--card); border: 1px solid var(--line); }
path { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.wanted { stroke: #ffb454; }
.under { stroke: #000; stroke-opacity: .6; stroke-width: 5; }
.heard { stroke: #5ee0ff; }
line { vector-effect: non-scaling-stroke; stroke: var(--line); }
.hertz { position: absolute; left: .3rem; transform: translateY(-50%); font-size: .7rem; color: var(--soft); }
.words { position: relative; margin-top: .2rem; }
.words span { position: absolute; transform: translateX(-50%); white-space: nowrap; font-size: .8rem;
  line-height: 1.2rem; }
.now { position: absolute; top: 0; bottom: 0; width: 1px; background: #fff; opacity: 0; }
.playing .now { opacity: .9; }
.legend span { margin-right: 1rem; white-space: nowrap; }
.legend i { display: inline-block; width: 1.4rem; height: .25rem; border-radius: 2px; margin: 0 .35rem .2rem 0; }
"""

_SCRIPT = """
for (const row of document.querySelectorAll('.row')) {
  const audio = row.querySelector('audio'), picture = row.querySelector('.picture');
  if (!audio) continue;
  const seconds = Number(row.parentElement.dataset.seconds), now = row.querySelector('.now');
  const show = () => {
    now.style.left = 100 * audio.currentTime / seconds + '%';
    if (!audio.paused) requestAnimationFrame(show);
  };
  audio.onplay = () => {
    for (const other of document.querySelectorAll('audio')) if (other !== audio) other.pause();
    row.classList.add('playing');
    show();
  };
  audio.onseeked = show;
  audio.onended = () => row.classList.remove('playing');
  picture.onclick = event => {
    const box = picture.getBoundingClientRect();
    audio.currentTime = seconds * (event.clientX - box.left) / box.width;
    audio.play();
  };
}
"""


class _Axis(NamedTuple):
    """The one time axis, and what the pictures on it share."""

    seconds: float
    start_s: float  # of the frames
    hop_s: float
    band: tuple[float, float]  # Hz; from the foot of the logarithmic F0 axis to its top
    loudest: float  # natural log

    def x(self, time_s: float) -> float:
        """Where a time lies, 0..1000."""
        return 1000 * min(time_s, self.seconds) / self.seconds

    def y(self, hertz: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """Where frequencies lie, from 0 at the top to _HEIGHT."""
        low, high = np.log(self.band)
        return _HEIGHT * (high - np.log(hertz)) / (high - low)


class _Row(NamedTuple):
    """A sound with its picture."""

    name: str
    colour: str
    sound: Audio
    mel: Float[np.ndarray, "T M"]
    f0_hz: Float[np.ndarray, " T"]
    wanted_hz: Float[np.ndarray, " T"]  # the source's melody in this voice's register; nothing for the source
    measured: Mapping[str, str]


def render_transfer_page(
    recording: Audio, results: "Sequence[Transfer]", spec: MelSpec, text: str, about: Mapping[str, str]
) -> str:
    """The page as HTML.

    Args:
      recording: the source as it came.
      results: of `Synthesizer.convert` of that source, not trimmed; one or more voices.
      spec: the mel convention of the results.
      text: what is said; the heading.
      about: what made them, name -> value; stands at the foot.
    """
    rows = _rows(recording, results, spec)
    axis = _Axis(
        seconds=len(recording.samples) / recording.sample_rate,
        start_s=results[0].start_s,
        hop_s=spec.hop_s,
        band=_band([row.f0_hz for row in rows]),
        loudest=max(float(row.mel.max()) for row in rows),
    )
    words = _words(results[0].source.analysis.alignment.words, axis)
    parts = [_sound(row, axis) + words + "</div>" for row in rows] + [_melodies(rows, axis) + words + "</div>"]
    wide = f'<div data-seconds="{axis.seconds:.6f}" style="width:{round(_PIXELS_PER_S * axis.seconds)}px">'
    body = f'<div class="axis">{wide}{"".join(parts)}</div></div>'
    title, mark = " ".join(text.split()) or "Prosody transfer", "The results are synthetic speech."
    return render_document(title, _LEAD, [body], about, mark, _STYLE, _SCRIPT)


def account(synthesizer: "Synthesizer", vocoder: str) -> dict[str, str]:
    """What made results, name -> value, for the foot of their page."""
    return {"bundle": synthesizer.bundle.fingerprint[:12], "vocoder": vocoder, "copycat-jax": __version__}


def _rows(recording: Audio, results: "Sequence[Transfer]", spec: MelSpec) -> list[_Row]:
    """The source, then the results, with what was measured."""
    source, found = results[0].source, results[0].source.analysis
    mel = found.mel_part(0, len(found.f0_hz))
    # By one and the same tracker, whatever measured the source's register: its curve and theirs shall be comparable.
    own_hz = track_f0(found.samples[0 : len(found.samples)], spec.sample_rate, len(mel), spec.hop_s)
    measured = {
        "length": shown(len(recording.samples) / recording.sample_rate, ".1f", "s"),
        "register": shown(source.register_hz, ".0f", "Hz", "not heard"),
        "confidence that this is the text": shown(source.confidence, ".2f"),
        "loudness": _loudness(recording),
    }
    rows = [_Row("The recording", _COLOURS[0], recording, mel, own_hz, np.zeros(0), measured)]
    for result, colour in zip(results, itertools.cycle(_COLOURS[1:])):
        sound = Audio(result.samples, result.sample_rate)
        spoken = result.samples[round(result.start_s * result.sample_rate) :]
        f0_hz = track_f0(spoken, result.sample_rate, len(result.mel), spec.hop_s)
        register, moved = source.register_hz * result.ratio, 12 * math.log2(result.ratio)
        measured = {
            "register": f"{shown(register, '.0f', 'Hz', 'not heard')} ({shown(moved, '+.1f', 'semitones')})",
            "correlation of F0 with the recording's": shown(log_f0_correlation(own_hz, f0_hz), ".2f"),
            "loudness": _loudness(sound),
        }
        wanted_hz = own_hz * result.ratio
        rows.append(_Row(f"In the voice {result.voice}", colour, sound, result.mel, f0_hz, wanted_hz, measured))
    return rows


def _loudness(sound: Audio) -> str:
    return shown(loudness_lufs(*sound), ".1f", "LUFS", "silent")


def _band(curves: Sequence[Float[np.ndarray, " T"]]) -> tuple[float, float]:
    """What the F0 axis covers, in Hz; a few stray values do not widen it."""
    heard = np.concatenate([curve[curve > 0] for curve in curves])
    low, high = np.quantile(heard, [0.005, 0.995]) if len(heard) else (80.0, 400.0)
    return float(low) / 1.15, float(high) * 1.15


def _sound(row: _Row, axis: _Axis) -> str:
    """A row but for its words and its end: name, facts, player, spectrogram with F0."""
    image = embedded(spectrogram_png(row.mel, axis.loudest), "image/png")
    left, right = axis.x(axis.start_s), axis.x(axis.start_s + len(row.mel) * axis.hop_s)
    picture = (
        f'<image href="{image}" x="{left:.3f}" width="{right - left:.3f}" height="{_HEIGHT:.0f}" '
        f'preserveAspectRatio="none"/>{_curve(row.wanted_hz, axis, "wanted")}'
        f"{_curve(row.f0_hz, axis, 'under')}{_curve(row.f0_hz, axis, 'heard')}"
    )
    address = embedded(flac_bytes(row.sound), "audio/flac")
    return f"""<div class="row"><div class="head"><h3>{escape(row.name)}</h3>
<audio controls preload="auto" src="{address}"></audio>
{facts(row.measured)}</div>
<div class="picture">{_svg(picture)}<div class="now"></div></div>"""


def _melodies(rows: Sequence[_Row], axis: _Axis) -> str:
    """A row but for its words and its end: all F0 curves on a ground of its own."""
    legend = "".join(f'<span><i style="background:{row.colour}"></i>{escape(row.name)}</span>' for row in rows)
    marks = [hertz for hertz in _MARKS_HZ if axis.band[0] <= hertz <= axis.band[1]]
    heights = axis.y(np.array(marks, np.float64))
    lines = "".join(f'<line x1="0" x2="1000" y1="{y:.1f}" y2="{y:.1f}"/>' for y in heights)
    hertz = "".join(
        f'<div class="hertz" style="top:{100 * y / _HEIGHT:.1f}%">{mark} Hz</div>'
        for mark, y in zip(marks, heights, strict=True)
    )
    curves = "".join(_curve(row.f0_hz, axis, style=f"stroke:{row.colour}") for row in rows)
    return f"""<div class="row"><div class="head"><h3>The melodies together</h3>
<p class="what legend">{legend}</p></div>
<div class="picture melodies">{_svg(lines + curves)}{hertz}</div>"""


def _svg(inside: str) -> str:
    return f'<svg viewBox="0 0 1000 {_HEIGHT:.0f}" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'


def _curve(f0_hz: Float[np.ndarray, " T"], axis: _Axis, kind: str = "", style: str = "") -> str:
    """An F0 curve as an SVG path with gaps where it is unvoiced or beyond the axis; nothing for no curve."""
    heard = (f0_hz >= axis.band[0]) & (f0_hz <= axis.band[1])
    heights = axis.y(np.where(heard, f0_hz, axis.band[0]))
    commands = [
        f"{'L' if i and heard[i - 1] else 'M'}{axis.x(axis.start_s + (i + 0.5) * axis.hop_s):.1f} {heights[i]:.1f}"
        for i in np.flatnonzero(heard)
    ]
    return f'<path class="{kind}" style="{style}" d="{"".join(commands)}"/>' if commands else ""


def _words(words: "Sequence[Interval]", axis: _Axis) -> str:
    """Words below where they are said, in as many lines as keep them apart."""
    free, spans = [0.0], []  # where the last word of each line ends, in seconds of the narrowest axis
    for word in words:
        middle, half = (word.start_s + word.end_s) / 2, (len(word.label) + 1) * _CHARACTER_S / 2
        line = next((i for i, end in enumerate(free) if middle - half >= end), len(free))
        free[line:] = [middle + half, *free[line + 1 :]]
        place = f"left:{axis.x(middle) / 10:.2f}%;top:{1.2 * line:.1f}rem"
        spans.append(f'<span style="{place}">{escape(word.label)}</span>')
    return f'<div class="words" style="height:{1.2 * len(free):.1f}rem">{"".join(spans)}</div>'
