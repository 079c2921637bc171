"""A TextGrid that is there is kept; a failure is an outcome, not an end."""

import math

import pytest

from copycat_jax.align import folder
from copycat_jax.align.folder import AlignJob, align_all, align_one, write_report
from copycat_jax.align.textgrid import write_textgrid
from copycat_jax.errors import UserError
from copycat_jax.files import NoRoom
from copycat_jax.types import Alignment, Interval


def alignment(*lasting_s, score=-10.0):
    """Phones of these lengths between half a second of silence on either side."""
    phones, start = [Interval(0.0, 0.5, "SIL")], 0.5
    for seconds in lasting_s:
        phones.append(Interval(start, start + seconds, "AA1"))
        start += seconds
    phones.append(Interval(start, start + 0.5, "SIL"))
    return Alignment(tuple(phones), (Interval(0.5, start, "ah"),), score)


@pytest.mark.parametrize("content", ["not a TextGrid", "", "unspoken", "ipa"])
def test_what_is_there_is_kept_and_never_replaced(tmp_path, content):
    job = AlignJob("a", tmp_path / "absent.wav", "hello", tmp_path / "a.TextGrid")
    write_textgrid(job.target, alignment(0.1, 0.1))
    kept = align_one(job)  # the recording is not even looked for
    assert kept.kept and not kept.failed and kept.phones_per_s == pytest.approx(10.0)
    assert kept.reason == "the words that are aligned, 'ah', are not the text's"
    assert not align_one(job._replace(text="Ah!")).reason
    ours = job.target.read_text()
    content = {"unspoken": ours.replace("AA1", "SIL"), "ipa": ours.replace("AA1", "aɪ")}.get(content, content)
    job.target.write_text(content, encoding="utf-8")
    refused = align_one(job)
    assert refused.failed and not refused.kept and math.isnan(refused.score)
    assert "Move the file away" in refused.reason and job.target.read_text(encoding="utf-8") == content
    write_report(tmp_path / "report.tsv", [kept, refused])
    rows = [line.split("\t") for line in (tmp_path / "report.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["id", "a", "a"] and [row[3] for row in rows[1:]] == ["0", "1"]


def test_a_textgrid_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    """No recording's fault, and none that is counted as done."""
    monkeypatch.setattr(folder, "read_audio", lambda path: (None, 16000))
    monkeypatch.setattr(folder, "align_text", lambda *_: alignment(0.1, 0.1))
    (tmp_path / "out").write_text("no folder")
    jobs = [AlignJob(name, tmp_path / name, "hello", tmp_path / "out" / f"{name}.TextGrid") for name in "ab"]
    with pytest.raises(UserError, match=r"a\.TextGrid: cannot be written"):
        align_all(jobs, 1)


def test_no_room_for_temporary_files_ends_the_run(tmp_path, monkeypatch):
    def full(path):
        raise NoRoom("cannot be written (No space left on device)", "/tmp")

    monkeypatch.setattr(folder, "read_audio", full)
    with pytest.raises(NoRoom):
        align_all([AlignJob(name, tmp_path / name, "hello", tmp_path / f"{name}.TextGrid") for name in "ab"], 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"text": None}, "the text is missing"),
        ({"fault": "the id leaves the folder"}, "leaves the folder"),
        ({"id": "a" * 300}, "no such file"),
    ],
)
def test_a_bad_recording_is_one_outcome(tmp_path, job, reason):
    whole = {"id": "a", "text": "hello", "path": tmp_path / "absent.wav"} | job
    outcome = align_one(AlignJob(**whole, target=tmp_path / f"{whole['id']}.TextGrid"))
    assert outcome.failed and reason in outcome.reason and not list(tmp_path.iterdir())


def test_an_odd_recording_is_an_outcome_whatever_it_raises(tmp_path, monkeypatch):
    def fail(path):
        raise ArithmeticError("odd\nindeed")

    monkeypatch.setattr("copycat_jax.align.folder.read_audio", fail)
    made = align_one(AlignJob("a", tmp_path / "a.wav", "hello", tmp_path / "a.TextGrid"))
    assert made.failed and "ArithmeticError: odd indeed" in made.reason and not (tmp_path / "a.TextGrid").exists()
