"""All metrics, each declared once: what it is called, what it needs, a clip's value, how clips become one figure.

Scores of clips, tables and the JSON file are made from `METRICS`; another metric is another entry, with its function
beside it where none of `objective` and `leakage` will do.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.audio.signal import Audio, read_audio, resample
from copycat_jax.errors import UserError
from copycat_jax.evaluate import judges, leakage, objective, pitch_errors, spectral

Row = dict[str, Any]


class Clip:
    """One row of a manifest of results, and what the judges say of its recordings, found when first asked for.

    Args:
      row: its fields, see `report`.
      memory: the judges' answers.
      centroids: of every voice, from `report.voice_centroids`.
    """

    def __init__(self, row: Row, memory: judges.Memory, centroids: Mapping[str, np.ndarray]):
        self.row, self.memory, self.centroids = row, memory, centroids
        self.offset_s = float(row.get("offset_s", 0.0))

    @functools.cached_property
    def source(self) -> Audio:
        """The source's recording."""
        return read_audio(self.row["source"])

    @functools.cached_property
    def against_truth(self) -> objective.TransferScores:
        """The result's melody beside the truth's exact curve where there is one, the tracked one otherwise."""
        return objective.transfer_scores(*self._against_truth)

    @functools.cached_property
    def _against_truth(self) -> tuple[objective.F0Curve, objective.F0Curve, objective.F0Curve]:
        """F0 of the result, the truth's exact curve where there is one, and what the tracker hears in the truth."""
        npz = Path(self.row["truth"]).with_suffix(".npz")
        curve, heard = self._curves("truth", read_audio(self.row["truth"]))
        exact = np.load(npz)["f0_hz_12p5ms"].astype(np.float64)[: len(heard)] if npz.is_file() else heard
        return curve, exact, heard

    @functools.cached_property
    def source_curves(self) -> tuple[objective.F0Curve, objective.F0Curve]:
        """F0 of the result and of the source, in Hz, on the source's clock."""
        return self._curves("source", self.source)

    @functools.cached_property
    def pitch(self) -> pitch_errors.PitchErrors:
        """The result's F0 against the truth's by every published definition; against the source's without a truth."""
        if not self.row.get("truth"):
            return pitch_errors.pitch_errors(*self.source_curves)
        return pitch_errors.pitch_errors(*self._against_truth)

    @functools.cached_property
    def distortion(self) -> spectral.Distortion:
        """Cepstra of the result against the truth's."""
        return spectral.distortion(read_audio(self.row["result"]), read_audio(self.row["truth"]), self.offset_s)

    @functools.cached_property
    def identity(self) -> leakage.Identity:
        """Whose voice the result has; raises UserError for a target that the manifest of voices lacks."""
        return self._identity("result")

    @functools.cached_property
    def truth_identity(self) -> leakage.Identity:
        """Whose voice the truth has."""
        return self._identity("truth")

    @functools.cached_property
    def words(self) -> list[str]:
        """The words that should be heard."""
        return judges.plain_words(str(self.row["text"]))

    def heard(self, role: str = "result") -> str:
        """What the judge of words understood."""
        return self.memory.recall("words", self.row[role])

    def word_errors(self, role: str = "result") -> int:
        """How many words the judge understood wrongly."""
        return objective.word_errors(self.words, judges.plain_words(self.heard(role)))

    def character_errors(self) -> int:
        """How many letters of the words, joined, the judge understood wrongly."""
        return objective.word_errors("".join(self.words), "".join(judges.plain_words(self.heard())))

    def naturalness(self) -> float:
        """The judge's mean opinion score of the result, 1 to 5."""
        return float(self.memory.recall("naturalness", self.row["result"]))

    def _curves(self, role: str, audio: Audio) -> tuple[objective.F0Curve, objective.F0Curve]:
        frames = int(len(audio.samples) / audio.sample_rate / objective.GRID_S)
        result, other = self.memory.recall("f0", self.row["result"]), self.memory.recall("f0", self.row[role])
        return (
            objective.on_grid(result.times_s, result.f0_hz, frames, self.offset_s),
            objective.on_grid(other.times_s, other.f0_hz, frames),
        )

    def _identity(self, role: str) -> leakage.Identity:
        target, source = str(self.row["voice"]), str(self.row.get("source_voice", ""))
        if target not in self.centroids:
            raise UserError(f"no recording of voice '{target}'", "voices manifest", "Add rows for it.")
        return leakage.identify(self.memory.recall("voice", self.row[role]), target, source, self.centroids)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One figure of a clip, and of many.

    Attributes:
      name: its key in scored rows and tables.
      title: the heading of its column; "" = it stands in scored rows only.
      measure: the judge it is asked of, one of `judges.JUDGES`.
      needs: fields without which a row has no such figure, beside result and voice; paths among them are judged too.
      value: the figure of a clip, NaN where it cannot be computed; None as the function = not known of a single clip.
      reduce: how the finite values of clips become one.
      ratio: two metrics whose sums' ratio is the figure of many clips, instead of `reduce`.
      decimals: shown in tables.
    """

    name: str
    title: str
    measure: str
    needs: tuple[str, ...]
    value: Callable[[Clip], Any] | None
    reduce: Callable[..., Any] = np.mean
    ratio: tuple[str, str] | None = None
    decimals: int = 3

    def applies(self, row: Row) -> bool:
        """Whether a row of the manifest has all that this needs."""
        return all(row.get(name) for name in self.needs)

    def values(self, rows: Sequence[Row]) -> np.ndarray:
        """The figures of scored rows, float64; NaN where a row has none."""
        return np.array([row.get(self.name, np.nan) for row in rows], np.float64)

    def of_all(self, rows: Sequence[Row]) -> float:
        """The one figure of many scored rows; NaN where no row has it."""
        if self.ratio is not None:
            above, below = (sum(row[name] for row in rows if self.ratio[0] in row) for name in self.ratio)
            return above / below if below else float("nan")
        values = self.values(rows)
        values = values[np.isfinite(values)]
        return float(self.reduce(values)) if len(values) else float("nan")


def _voicing_error(clip: Clip) -> float:
    """Against the truth, or against the source where there is no truth."""
    if clip.row.get("truth"):
        return clip.against_truth.voicing_error
    return objective.transfer_scores(*clip.source_curves).voicing_error if clip.row.get("source") else float("nan")


def _has_reference(clip: Clip) -> bool:
    return bool(clip.row.get("truth") or clip.row.get("source"))


def _energy_correlation(clip: Clip) -> float:
    made, (samples, rate) = read_audio(clip.row["result"]), clip.source
    start = round(clip.offset_s * rate)
    return objective.energy_correlation(resample(made.samples, made.sample_rate, rate), samples[start:], rate)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("correlation", "F0 corr", "f0", ("truth",), attrgetter("against_truth.correlation")),
        Metric("gross", "gross", "f0", ("truth",), attrgetter("against_truth.gross")),
        Metric("rmse", "RMSE st", "f0", ("truth",), attrgetter("against_truth.rmse"), decimals=2),
        # Medians where a few clips would decide the mean.
        Metric("register", "register", "f0", ("truth",), attrgetter("against_truth.register"), np.median, decimals=2),
        Metric("spread", "spread", "f0", ("truth",), attrgetter("against_truth.spread"), np.median, decimals=2),
        Metric("voicing_error", "voicing", "f0", (), _voicing_error),
        Metric("frames", "", "f0", ("truth",), attrgetter("against_truth.frames")),
        Metric("ffe", "FFE", "f0", (), lambda clip: clip.pitch.ffe if _has_reference(clip) else float("nan")),
        *(
            Metric(name, "", "f0", ("truth",), attrgetter(f"pitch.{name}"))
            for name in pitch_errors.PitchErrors._fields
            if name not in ("ffe", "vde")  # vde: "voicing_error"
        ),
        Metric("mcd", "MCD", "f0", ("truth",), attrgetter("distortion.mcd"), decimals=2),
        Metric("mcd_db", "", "f0", ("truth",), attrgetter("distortion.mcd_db"), decimals=2),
        Metric("mcd_dtw", "", "f0", ("truth",), attrgetter("distortion.mcd_dtw"), decimals=2),
        Metric(
            "source_correlation",
            "F0~source",
            "f0",
            ("source",),
            lambda clip: objective.log_f0_correlation(*clip.source_curves),
            np.median,
        ),
        Metric("energy_correlation", "dB~source", "f0", ("source",), _energy_correlation, np.median),
        Metric("to_target", "to target", "voice", (), attrgetter("identity.to_target")),
        Metric("truth_to_target", "(truth)", "voice", ("truth",), attrgetter("truth_identity.to_target")),
        Metric("to_source", "to source", "voice", (), attrgetter("identity.to_source")),
        Metric("nearest", "", "voice", (), attrgetter("identity.nearest")),
        Metric(
            "nearest_is_target",
            "nearest",
            "voice",
            (),
            lambda clip: float(clip.identity.nearest == str(clip.row["voice"])),
        ),
        Metric("words", "", "words", ("text",), lambda clip: len(clip.words)),
        Metric("heard", "", "words", ("text",), Clip.heard),
        Metric("word_errors", "", "words", ("text",), Clip.word_errors),
        Metric("wer", "WER", "words", ("text",), None, ratio=("word_errors", "words")),
        Metric("characters", "", "words", ("text",), lambda clip: len("".join(clip.words))),
        Metric("character_errors", "", "words", ("text",), Clip.character_errors),
        Metric("cer", "CER", "words", ("text",), None, ratio=("character_errors", "characters")),
        Metric("naturalness", "MOS", "naturalness", (), Clip.naturalness, decimals=2),
        Metric("source_heard", "", "words", ("text", "source"), lambda clip: clip.heard("source")),
        Metric("source_word_errors", "", "words", ("text", "source"), lambda clip: clip.word_errors("source")),
        Metric("source_wer", "(source)", "words", ("text", "source"), None, ratio=("source_word_errors", "words")),
    )
}
COLUMNS = [metric for metric in METRICS.values() if metric.title]
