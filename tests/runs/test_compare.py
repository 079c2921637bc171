import json

import pytest

from copycat_jax.cli import main
from copycat_jax.errors import UserError
from copycat_jax.runs.compare import compare
from copycat_jax.train.goodput import Ledger, ledger_path
from copycat_jax.train.writer import METRICS_FILE, MetricsWriter, write_run_page


def make_run(folder, lr, losses, evals=()):
    page = {"task": "toy", "commit": "abc", "config": {"optimizer": {"lr": lr}, "train": {"steps": 100, "seed": 0}}}
    folder.mkdir()
    write_run_page(folder, page)
    ledger = Ledger(ledger_path(folder, 1, 0), 0.0, process=0, processes=1)
    with MetricsWriter(folder, tensorboard=False) as writer, ledger:
        for step, loss in losses.items():
            writer.record("train", step, **{"loss/model": loss, "step_ms": 10.0 * lr})
        for step, loss in dict(evals).items():
            writer.record("eval", step, loss=loss)
    return folder


def row(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return line.removeprefix(name).split()


def test_two_runs_side_by_side(tmp_path):
    a = make_run(tmp_path / "a", 0.5, {s: 100.0 / s for s in range(10, 101, 10)}, {50: 3.0, 100: 2.5})
    b = make_run(tmp_path / "b", 0.25, {s: 200.0 / s for s in range(10, 61, 10)}, {50: 4.0})
    text = compare(a, b)
    assert row(text, "config.optimizer.lr") == ["0.5", "0.25"]
    assert "config.train.seed" not in text and "commit" not in text  # alike
    curve = text.partition("train: loss/model\n")[2].partition("\n\n")[0]
    assert row(curve, "step 10") == ["10", "20"]
    assert row(curve, "step 100") == ["1", "-"]  # the second did not come so far
    assert row(text.partition("eval: loss\n")[2].partition("\n\n")[0], "step 100") == ["2.5", "-"]
    last = text.partition("last train record\n")[2].partition("\n\n")[0]
    assert row(last, "step") == ["100", "60"] and row(last, "step_ms") == ["5", "2.5"]


def test_runs_made_alike_say_so(tmp_path):
    a, b = (make_run(tmp_path / name, 0.5, {10: 1.0}) for name in "ab")
    assert "made alike" in compare(a, b)


def test_the_verbs(tmp_path, capsys):
    a = make_run(tmp_path / "a", 0.5, {10: 1.0})
    assert main(["runs", "show", str(a)]) == 0 and "wall time" in capsys.readouterr().out
    assert main(["runs", "compare", str(a), str(a)]) == 0 and "loss/model" in capsys.readouterr().out


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert main(["runs", "show", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"copycat: {tmp_path}: is no run")
    (tmp_path / "config.json").write_text(json.dumps({"task": "toy", "config": {"train": {"steps": 1}}}))
    with pytest.raises(UserError, match="no ledger"):
        from copycat_jax.runs.show import show

        show(tmp_path)
    assert not (tmp_path / METRICS_FILE).exists()
