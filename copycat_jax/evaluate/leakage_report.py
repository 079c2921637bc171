"""How much of a source's speaker a model lets through, each figure beside what it has to be held against.

Leakage and transfer trade off: a model that carries nothing leaks nothing. So every verdict names its counterpart, and
the quality of the transfer stands beside all of them.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copycat_jax import __version__, console
from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError
from copycat_jax.evaluate.latents import LatentReader, in_one_piece
from copycat_jax.evaluate.pitch_errors import pitch_errors
from copycat_jax.evaluate.probes import Probe, paired, probe, prosody_summary, summary
from copycat_jax.page import render_document
from copycat_jax.synthesis import Synthesizer
from copycat_jax.vocoder.hearing import hear_mel
from copycat_jax.vocoder.registry import DEFAULT_VOCODER

Row = dict[str, Any]
FEWEST = 2  # clips of a speaker, and speakers
SURE = 0.05  # p below which a difference is told
SHOWN = 20  # of the recordings that were not used


class Leakage(NamedTuple):
    """What was measured.

    Attributes:
      clips: how many recordings were used, of how many.
      latents, prosody, levels: probes of the source's speaker: on latents; on F0, energy and durations without register
        and loudness; with these.
      to_target, to_source: mean cosine of the result's speaker vector with the target's centroid and with the source's
        vector, by the bundle's own classifier.
      apart: mean cosine of the source's vector with the target's centroid: what `to_source` is for another speaker.
      cycle: mean |Z(A -> B) - Z(B -> A)| over what the bottleneck keeps (CopyCat section 3.2.4).
      deviation: standard deviation of Z over all blocks, mean over dimensions; a collapsed latent is consistent, too.
      correlation, voicing_error: of F0, result against source, as the vocoder hears them: the transfer.
      unused: {recording: why} of the others.
    """

    clips: int
    latents: Probe
    prosody: Probe
    levels: Probe
    to_target: float
    to_source: float
    apart: float
    cycle: float
    deviation: float
    correlation: float
    voicing_error: float
    unused: dict[str, str]

    def verdicts(self) -> dict[str, str]:
        """One line a measure."""
        share = self.cycle / max(self.deviation, 1e-9)
        return {
            "probe": (
                f"the source's speaker is guessed from the latents in {_percent(self.latents)}, by chance in "
                f"{self.latents.chance:.0%}; from F0, energy and durations without register and loudness in "
                f"{_percent(self.prosody)}: {_told(self.latents, self.prosody)}; with them in {_percent(self.levels)}: "
                f"{_told(self.latents, self.levels)}"
            ),
            "similarity": (
                f"results are like the target by {self.to_target:.3f}, like the source by {self.to_source:.3f}; source "
                f"and target are like each other by {self.apart:.3f}"
            ),
            "cycle": (
                f"latents change by {self.cycle:.3f} there and back, {share:.2f} of their deviation "
                f"({self.deviation:.3f})"
            ),
            "transfer": (
                f"the model's own melody, as the vocoder hears it in its mels, correlates with the source's by "
                f"{self.correlation:.3f} (gross errors included); voicing differs in {self.voicing_error:.1%} of frames"
            ),
        }


def measure(synthesizer: Synthesizer, rows: Sequence[Row]) -> Leakage:
    """All figures of a bundle on recordings.

    Args:
      synthesizer: of kind "copycat".
      rows: `source`, `source_voice`, `text`, and `sentence` where clips of other speakers say the same.

    Raises:
      UserError: another kind of bundle, or fewer than two speakers with two usable recordings each.
    """
    if synthesizer.bundle.kind != "copycat":
        raise UserError(f"a bundle of kind '{synthesizer.bundle.kind}' has no latents", "--bundle", "Give CopyCat's.")
    synthesizer.melody = "mel"  # what the model itself carries
    reader, vocode = LatentReader(synthesizer), synthesizer.vocoder(DEFAULT_VOCODER)
    names, found, unused = list(synthesizer.voices), [], {}
    for number, row in enumerate(console.progress(rows, "leakage", len(rows), "clip")):
        try:
            source = synthesizer.prepare(row["source"], str(row["text"]))
        except UserError as error:
            unused[str(row["source"])] = str(error)
            continue
        heard = in_one_piece(source)
        if heard is None:
            unused[str(row["source"])] = "longer than one piece, or a phoneme in less than two frames"
            continue
        voice = names[number % len(names)]
        cycle, made = reader.cycle(source, voice)
        target = np.asarray(synthesizer.voices[voice].centroid, np.float32)
        vector = synthesizer.embed([made])
        spoken = hear_mel(vocode, made, synthesizer.spec, synthesizer.programs.bucket)
        melody = pitch_errors(spoken, heard.f0_hz)
        found.append(
            {
                "speaker": str(row["source_voice"]),
                "group": str(row.get("sentence") or row["text"]),
                "latents": summary(cycle.there.astype(np.float64)),
                "prosody": prosody_summary(heard.f0_hz, heard.energy, heard.durations),
                "levels": prosody_summary(heard.f0_hz, heard.energy, heard.durations, levels=True),
                "kept": cycle.there,
                "cycle": float(np.abs(cycle.there - cycle.back).mean()),
                "to_target": _cosine(vector, target),
                "to_source": _cosine(vector, source.vector),
                "apart": _cosine(source.vector, target),
                "correlation": melody.correlation_voiced,
                "voicing_error": melody.vde,
            }
        )
    return _summed_up(found, unused)


def _summed_up(found: list[Row], unused: dict[str, str]) -> Leakage:
    speakers = [clip["speaker"] for clip in found]
    usable = [clip for clip in found if speakers.count(clip["speaker"]) >= FEWEST]
    if len({clip["speaker"] for clip in usable}) < FEWEST or len({clip["group"] for clip in usable}) < FEWEST:
        what = f"{len(found)} usable recordings, but not two speakers with two each and two sentences"
        raise UserError(what, "manifest", next(iter(unused.values()), "Name more recordings."))
    labels, groups = ([clip[name] for clip in usable] for name in ("speaker", "group"))
    latents, prosody, levels = (
        probe(np.stack([clip[name] for clip in usable]), labels, groups) for name in ("latents", "prosody", "levels")
    )
    kept = np.concatenate([clip["kept"] for clip in found])

    def mean(name: str) -> float:
        known = [clip[name] for clip in found if np.isfinite(clip[name])]
        return float(np.mean(known)) if known else float("nan")

    return Leakage(
        clips=len(found),
        latents=latents,
        prosody=prosody,
        levels=levels,
        to_target=mean("to_target"),
        to_source=mean("to_source"),
        apart=mean("apart"),
        cycle=mean("cycle"),
        deviation=float(kept.std(axis=0).mean()),
        correlation=mean("correlation"),
        voicing_error=mean("voicing_error"),
        unused=unused,
    )


def page(leakage: Leakage, bundle: str) -> str:
    """The report as one HTML file."""
    verdicts = leakage.verdicts()
    quality = verdicts.pop("transfer")
    sections = [
        f"<section><h2>{escape(name)}</h2><p>{escape(line)}.</p><p class=what>{escape(quality)}.</p></section>"
        for name, line in verdicts.items()
    ]
    if leakage.unused:
        some = list(leakage.unused.items())[:SHOWN]
        lines = "".join(f"<p class=what>{escape(Path(name).name)}: {escape(why)}</p>" for name, why in some)
        sections.append(f"<section><h2>{len(leakage.unused)} recordings were not used</h2>{lines}</section>")
    lead = (
        f"{leakage.clips} recordings by {leakage.latents.classes} speakers, each said in one voice of the bundle. What "
        "leaks is told beside what is carried: a model that carries nothing leaks nothing."
    )
    about = {"bundle": bundle, "copycat-jax": __version__}
    return render_document(
        "What the latents let through",
        lead,
        sections,
        about,
        mark="Figures only: no sound.",
        style=".what { overflow-wrap: anywhere; }",
    )


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(cosine(a[None], b[None], np.float64)[0, 0])


def _told(latents: Probe, prosody: Probe) -> str:
    """Whether latents tell more than prosody does, clip by clip."""
    found = paired(latents, prosody)
    more = "more" if found.only_first > found.only_second else "less"
    verdict = f"the latents tell {more}" if found.p < SURE else "a difference is not shown"
    return f"{verdict} (right alone in {found.only_first} and {found.only_second} clips, McNemar's p {found.p:.2g})"


def _percent(found: Probe) -> str:
    return f"{found.accuracy:.0%} ({found.low:.0%} to {found.high:.0%})"
