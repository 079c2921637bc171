"""Systems on a suite, end to end with a judge that reads melodies from samples: order, intervals, tests, what lacks."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from tiny_suite import RATE, asked, evaluate, make_system, make_world

from copycat_jax.evaluate import comparison, pictures
from copycat_jax.evaluate.metrics import METRICS


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A suite of 24 clips and two systems, one nearer to the truth than the other."""
    make_world(tmp_path, monkeypatch)
    monkeypatch.setattr(pictures, "DRAWS", 20)
    make_system(tmp_path / "near", tmp_path, 0.4, 1)
    make_system(tmp_path / "far", tmp_path, 1.5, 2)
    return tmp_path


def test_the_nearer_system_is_found_nearer_with_tests_of_rivals_alone(world, capsys):
    pytest.importorskip("scipy")
    ends = ["--floor", "source", "--ceiling", "truth"]
    assert (
        evaluate(
            world, world / "suite.jsonl", *asked(world, "near", "far", "truth", "source"), *ends, "--out", world / "out"
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert (
        printed.startswith("suite: 24 clips, 4 systems, 4 sentences, 3 sources, 2 voices\n")
        and "PARTIAL" not in printed
    )
    found = json.loads((world / "out" / "figures.json").read_text())
    assert set(found["judges"]) == {"f0", "voice", "words"} and len(found["fingerprint"]) == 64
    rmse = found["figures"]["rmse"]
    assert rmse["near"]["value"] < rmse["far"]["value"] and rmse["truth"]["value"] < 0.01
    for of_system in rmse.values():
        assert of_system["low"] <= of_system["value"] <= of_system["high"]
    to_target = found["figures"]["to_target"]
    assert to_target["near"]["floor"] == pytest.approx(to_target["source"]["value"])
    assert 0.8 < to_target["near"]["skill"] <= 1.1 and "skill" not in to_target["truth"]
    assert {(row["a"], row["b"]) for row in found["tests"]} == {("near", "far")}
    by_metric = {row["metric"]: row for row in found["tests"]}
    assert found["family"] == ["correlation", "to_target", "word_errors"] == list(by_metric)
    test = by_metric["correlation"]
    assert test["p"] < test["p_holm"] < 0.01 and test["effect"] > 0.9 and test["d_z"] > 0.5 and test["low"] > 0
    assert by_metric["word_errors"]["p"] == 1  # ties only
    clips = [json.loads(line) for line in (world / "out" / "clips.jsonl").read_text().splitlines()]
    assert len(clips) == 96 and all({"system", "id", "correlation", "to_target"} <= set(c) for c in clips)
    assert (world / "out" / "report.txt").read_text() in printed
    drawn = {path.name for path in (world / "out").glob("*.png")}
    assert drawn == {"systems.png", "by_voice.png", "by_source_voice.png", "by_group.png", "source_by_target.png"}


def test_what_is_missing_is_told_in_title_and_row(world, capsys):
    for clip in sorted((world / "near").iterdir())[:10]:
        clip.unlink()
    broken, silent = sorted((world / "near").iterdir())[:2]
    broken.write_bytes(b"no sound")
    soundfile.write(silent, np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    short = sorted((world / "near").iterdir())[2]
    soundfile.write(short, np.full(RATE, 0.2), RATE)
    shutil.copy(short, world / "near" / "stranger.wav")
    assert evaluate(world, world / "near", "--against", world / "suite.jsonl") == 0
    captured = capsys.readouterr()
    assert "-- PARTIAL: near: 12 of 24 clips are missing" in captured.out.splitlines()[0]
    (row,) = [line for line in captured.out.splitlines() if line.startswith("near  ")]
    assert "12 of 24 clips are missing" in row
    assert "1 recordings are of no clip of the suite: stranger" in captured.err
    assert f"{short.stem} by -0.50 s" in captured.err


def test_a_folder_of_truths_will_do(world, capsys):
    assert evaluate(world, world / "far", "--against", world / "truths", "--out", world / "out") == 0
    captured = capsys.readouterr()
    assert "F0 corr" in captured.out and "no voice figures" in captured.err
    found = json.loads((world / "out" / "figures.json").read_text())
    assert found["tests"] == [] and found["figures"]["correlation"]["far"]["clips"] == 24
    assert evaluate(world, world / "far", "--against", world / "truths", "--as", "source") == 0
    assert "F0~source" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--system", "averag"], "Did you mean 'average'?"),
        (["--system", "truth:mel"], "no choice of melody"),
        (["--system", "truth", "--system", "truth"], "two systems are called 'truth'"),
        (["--system", "truth", "--reference", "x"], "no system 'x'"),
        (["--system", "truth", "--margin", "0"], "positive"),
        (["--system", "other-take"], "could speak none of 24 clips"),
    ],
)
def test_mistakes_are_one_line(world, capsys, arguments, message):
    assert evaluate(world, world / "suite.jsonl", *arguments, "--out", world / "out") == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1] and "Traceback" not in "".join(error)


def test_a_suite_by_its_name_needs_corpora_and_a_folder_its_references(world, capsys):
    assert evaluate(world, "gold", "--system", "truth", "--out", world / "out") == 2
    assert "--corpora" in capsys.readouterr().err
    assert evaluate(world, world / "near") == 2
    assert "--against" in capsys.readouterr().err
    assert evaluate(world, world / "voices", "--against", world / "truths") == 2
    assert "none of 24 clips is there; the first is 0_s0_high: no such recording" in capsys.readouterr().err


def scores(name, values):
    """Scored rows of one metric, on a crossing of sentences and sources."""
    return [{"id": str(i), "sentence": str(i // 4), "source_voice": str(i % 4), name: v} for i, v in enumerate(values)]


@pytest.mark.parametrize(("name", "sign"), [("correlation", 1), ("rmse", -1)])
def test_skill_is_the_share_of_the_way_whichever_direction_is_better(name, sign):
    low = np.random.default_rng(0).normal(0.2, 0.05, 48)

    def skills(**ways):
        scored = {system: scores(name, sign * (low + way)) for system, way in ways.items()}
        return comparison.compare(scored, ["floor", "ceiling"], "floor", "ceiling", draws=200)["figures"][name]["x"]

    found = skills(floor=0, x=0.3, ceiling=0.6)
    assert found["skill"] == pytest.approx(0.5) and found["skill_low"] == pytest.approx(0.5)
    assert found["floor"] == pytest.approx(sign * low.mean())
    assert skills(floor=0, x=-0.3, ceiling=0.6)["skill"] == pytest.approx(-0.5)
    for ceiling in (0, -0.6):  # where the floor is none, nothing is told
        assert "skill" not in skills(floor=0, x=0.3, ceiling=ceiling)


def test_a_clip_that_one_lacks_is_in_no_comparison():
    values = np.linspace(0, 1, 24)
    holes = np.where(np.arange(24) < 6, np.nan, values - 0.5)
    pytest.importorskip("scipy")
    found = comparison.compare({"a": scores("correlation", values), "b": scores("correlation", holes)}, [], draws=50)
    (test,) = found["tests"]
    assert test["clips"] == 18 and test["difference"] == pytest.approx(0.5) and test["low"] == pytest.approx(0.5)


def test_word_errors_have_intervals_too():
    samples = comparison.resamples_of([{"sentence": str(i)} for i in range(40)], 300)
    rows = [{"word_errors": i % 3, "words": 10} for i in range(40)]
    found = samples.estimate(METRICS["wer"], comparison.values_of(METRICS["wer"], rows))
    assert found.value == pytest.approx(METRICS["wer"].of_all(rows)) and found.low < found.value < found.high


def test_naturalness_is_not_worse_or_not_shown_to_be():
    worse = np.random.default_rng(1).normal(0, 0.02, 48)
    samples = comparison.resamples_of(scores("x", worse), 300)
    rows = comparison.not_worse(["a", "b"], {"a": 4 + worse, "b": np.full(48, 4.05)}, samples, 0.1)
    assert [(row["a"], row["b"], row["shown"]) for row in rows] == [("a", "b", True), ("b", "a", True)]
    rows = comparison.not_worse(["a", "b"], {"a": 4 + worse, "b": np.full(48, 4.2)}, samples, 0.1)
    assert [row["shown"] for row in rows] == [False, True]
