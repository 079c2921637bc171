"""`copycat evaluate` end to end with answers given beforehand: figures, tables, the JSON, and its refusals."""

import json

import numpy as np
import pytest
import soundfile

from copycat_jax.cli import main
from copycat_jax.errors import UserError
from copycat_jax.evaluate import judges, report
from copycat_jax.evaluate.objective import transfer_scores

RATE, SECONDS = 8000, 2.0
TIMES = np.arange(0, SECONDS, 0.016)
MELODY = 150 * 2 ** (3 * np.sin(4 * TIMES) / 12)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Four recordings whose judgements are known, two manifests, and a judge that must never be asked."""
    monkeypatch.setattr(judges, "missing", lambda judge: "")
    monkeypatch.setattr(judges.transcription, "default_folder", lambda: tmp_path)
    (tmp_path / "model.bin").write_bytes(b"x")
    memory = judges.Memory(tmp_path / "cache")
    known = {
        "source": (MELODY, [1, 0, 0], "the cat sat", 4.5),
        "truth": (MELODY * 0.6, [0, 1, 0], "the cat sat", 4.5),
        "good": (MELODY * 0.61, [0.1, 0.9, 0], "the cat sat", 4.25),
        "bad": (np.full(len(TIMES), 90.0), [0.9, 0.1, 0], "a cat", 1.5),
    }
    rng = np.random.default_rng(0)
    for name, (curve, vector, words, score) in known.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=int(RATE * SECONDS)), RATE)
        pitch = {"times_s": TIMES.tolist(), "f0_hz": np.asarray(curve).tolist()}
        for judge, said in (("f0", pitch), ("voice", vector), ("words", words), ("naturalness", score)):
            memory.place(judge, path).write_text(json.dumps(said))
    row = {
        "voice": "t",
        "source": "source.wav",
        "source_voice": "s",
        "truth": "truth.wav",
        "text": "The cat sat.",
        "set": "gold",
    }
    rows = [row | {"result": f"{n}.wav", "system": n, "sentence": n} for n in ("good", "bad")]
    (tmp_path / "results.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    voices = [{"voice": "s", "path": "source.wav"}, {"voice": "t", "path": "truth.wav"}]
    (tmp_path / "voices.jsonl").write_text("\n".join(json.dumps(v) for v in voices))
    return tmp_path


def _run(world, *more):
    return main(["evaluate", str(world / "results.jsonl"), "--cache", str(world / "cache"), *more])


def test_good_and_bad_are_told_apart(world, capsys):
    assert _run(world, "--voices", str(world / "voices.jsonl"), "--out", str(world / "out.json"), "--pairs") == 0
    printed = capsys.readouterr().out
    assert "F0 corr" in printed and "good" in printed and "source_voice" in printed
    out = json.loads((world / "out.json").read_text())
    good, bad = out["by_set"]
    assert good["correlation"] > 0.99 and good["register"] == pytest.approx(12 * np.log2(0.61 / 0.6), abs=0.05)
    assert good["nearest_is_target"] == 1 and good["wer"] == 0 and good["truth_to_target"] == pytest.approx(1)
    assert good["naturalness"] == 4.25 and bad["naturalness"] == 1.5
    assert good["ffe"] == good["cer"] == 0 and bad["cer"] == pytest.approx(6 / 9) and bad["mcd"] > 0
    assert [clip["gpe"] for clip in out["clips"]] == [0, pytest.approx(bad["ffe"])]  # voiced throughout
    assert good["rmse_low"] <= good["rmse"] <= good["rmse_high"]
    assert bad["nearest_is_target"] == 0 and bad["wer"] == pytest.approx(2 / 3) and bad["spread"] < 0.01
    assert "correlation" not in bad and bad["source_wer"] == 0 and bad["to_source"] > bad["to_target"]


def test_without_voices_the_rest_is_measured(world, capsys):
    assert _run(world) == 0
    captured = capsys.readouterr()
    assert "--voices is not given" in captured.err and "nearest" not in captured.out and "WER" in captured.out


def test_missing_judges_are_named_and_left_out(world, capsys, monkeypatch):
    monkeypatch.setattr(judges, "missing", lambda judge: "pip install it" if judge == "f0" else "")
    assert _run(world) == 0
    captured = capsys.readouterr()
    assert "no f0 figures: pip install it" in captured.err and "gross" not in captured.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("nonsense", "not JSON"),
        ('{"voice": "t"}', "no field 'result'"),
        ('{"result":"x.wav","voice":"t"}', "no such file"),
    ],
)
def test_a_bad_manifest_is_one_line_and_exit_2(world, capsys, text, message):
    (world / "results.jsonl").write_text(text)
    assert _run(world) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_unknown_measures_and_voices_are_refused(world, capsys):
    assert _run(world, "--measures", "f0,taste") == 2
    (world / "voices.jsonl").write_text('{"voice": "s", "path": "source.wav"}')
    assert _run(world, "--voices", str(world / "voices.jsonl")) == 2
    assert "no recording of voice 't'" in capsys.readouterr().err


def scored(ratio):
    """A scored row: a melody around 200 Hz against one `ratio` times as high."""
    curve = 200 * 2 ** (3 * np.sin(np.arange(200) / 12) / 12)
    return transfer_scores(ratio * curve, curve)._asdict()


def test_silence_is_unscored_and_counted():
    (entry,) = report.tabulate([scored(0.0), scored(1.0)], [])
    assert entry["unscored"] == 1 and entry["clips"] == 2 and entry["correlation"] == pytest.approx(1)


def test_means_but_medians_for_register_and_spread():
    (entry,) = report.tabulate([scored(2 ** (d / 12)) for d in (0, 0.5, 3)], [])
    assert entry["register"] == pytest.approx(0.5) and entry["rmse"] == pytest.approx(3.5 / 3)


def test_truths_are_found_by_the_name_of_the_result(tmp_path):
    (tmp_path / "a.flac").touch()
    (tmp_path / "b.txt").touch()
    rows = [{"result": tmp_path / "x" / f"{name}.wav"} for name in "ab"] + [{"result": tmp_path / "a.wav", "truth": 1}]
    report.add_truths(rows, tmp_path)
    assert [row.get("truth") for row in rows] == [tmp_path / "a.flac", None, 1]
    with pytest.raises(UserError, match="no such folder"):
        report.add_truths(rows, tmp_path / "absent")
