"""What looks wrong with an alignment is said; a TextGrid that is there is kept; a failure is an outcome, not an end."""

import math

import pytest

from copycat_jax.align.aligner import SCORE_THRESHOLD
from copycat_jax.align.folder import AlignJob, align_one, phone_rate, suspicion, write_report
from copycat_jax.align.textgrid import write_textgrid
from copycat_jax.types import Alignment, Interval


def alignment(*lasting_s, score=SCORE_THRESHOLD + 1.0):
    """Phones of these lengths between half a second of silence on either side."""
    phones, start = [Interval(0.0, 0.5, "SIL")], 0.5
    for seconds in lasting_s:
        phones.append(Interval(start, start + seconds, "AA1"))
        start += seconds
    phones.append(Interval(start, start + 0.5, "SIL"))
    return Alignment(tuple(phones), (Interval(0.5, start, "ah"),), score)


def test_the_rate_leaves_silences_out():
    assert phone_rate(alignment(0.1, 0.2, 0.1)) == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (alignment(0.1, 0.1, 0.1), ""),
        (alignment(0.03, 0.03), "too fast"),
        (alignment(0.3, 0.3), "too slow"),
        (alignment(*[0.1] * 40, 1.1), "AA1 at 4.50 s lasts 1.10 s"),
        (alignment(0.1, 0.1, score=SCORE_THRESHOLD - 1.0), "text"),
    ],
)
def test_what_looks_wrong_is_said(given, reason):
    assert (reason in suspicion(given)) if reason else (suspicion(given) == "")


def test_a_textgrid_is_kept_and_a_damaged_one_made_anew(tmp_path):
    job = AlignJob("a", tmp_path / "absent.wav", "hello", tmp_path / "a.TextGrid")
    write_textgrid(job.target, alignment(0.1, 0.1))
    kept = align_one(job)  # the recording is not even looked for
    assert kept.kept and not kept.failed and kept.phones_per_s == pytest.approx(10.0)
    job.target.write_text("not a TextGrid")
    made = align_one(job)
    assert made.failed and not made.kept and "no such file" in made.reason and math.isnan(made.score)
    write_report(tmp_path / "report.tsv", [kept, made])
    rows = [line.split("\t") for line in (tmp_path / "report.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["id", "a", "a"] and [row[3] for row in rows[1:]] == ["0", "1"]


def test_an_odd_recording_is_an_outcome_whatever_it_raises(tmp_path, monkeypatch):
    def fail(path):
        raise ArithmeticError("odd\nindeed")

    monkeypatch.setattr("copycat_jax.align.folder.read_audio", fail)
    made = align_one(AlignJob("a", tmp_path / "a.wav", "hello", tmp_path / "a.TextGrid"))
    assert made.failed and "ArithmeticError: odd indeed" in made.reason and not (tmp_path / "a.TextGrid").exists()
