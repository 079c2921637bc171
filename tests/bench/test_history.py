"""Records of benchmarks are kept and compared."""

import json

import pytest

from copycat_jax.bench import history
from copycat_jax.cli import main
from copycat_jax.errors import UserError


def record(rows=32, step_ms=8.0, **other):
    head = {"bench": "train", **history.environment("float32")}
    return {**head, "work": "full", "rows": rows, "step_ms": step_ms, "times_best_peer": None, **other}


def test_a_history_grows_by_one_line_a_run(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    history.report([record(), record(64)], True, str(path))
    history.report(iter([record()]), True, str(path))
    assert len(capsys.readouterr().out.splitlines()) == 3
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [len(line["records"]) for line in lines] == [2, 1] and all(line["when"] for line in lines)
    assert history.read_runs(path) == lines


def test_nothing_is_measured_for_a_history_that_cannot_be(tmp_path):
    def measured():
        raise AssertionError("measured")
        yield

    foreign = tmp_path / "notes.txt"
    foreign.write_text("my notes\n")
    for path, what in ((foreign, "is no record"), (tmp_path, "is a folder"), (tmp_path / "no" / "x", "no")):
        with pytest.raises(UserError, match=what):
            history.report(measured(), True, str(path))
    assert foreign.read_text() == "my notes\n"


def test_compare_says_what_changed_and_only_that(tmp_path, capsys):
    path, printed = tmp_path / "history.jsonl", tmp_path / "printed.json"
    history.append_run(path, [record(step_ms=8.0), record(64, 20.0)])
    history.append_run(path, [record(step_ms=4.0, commit="abc"), record(16)])
    printed.write_text("\n".join(json.dumps(r) for r in (record(64, 20.0), record(step_ms=6.0))))
    assert main(["bench", "compare", f"{path}:1", str(path)]) == 0
    text = capsys.readouterr().out
    assert "-> abc" in text and "0.500 times" in text and "jax:" not in text and "rows 64" not in text
    assert f"1 records only in {path}" in text
    same = history.compare(f"{path}:-2", str(printed))
    assert "same code, versions and device" in same and "0.750 times" in same and "the same" in same
    assert main(["bench", "compare", f"{path}:3", str(path)]) == 2
    assert main(["bench", "compare", str(tmp_path / "absent"), str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "has 2 runs" in lines[0] and "absent" in lines[1]
    with pytest.raises(UserError, match="measured nothing that"):
        history.append_run(tmp_path / "other", [record(5)])
        history.compare(str(tmp_path / "other"), str(path))
