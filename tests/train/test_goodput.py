import json
import re
import time

import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.train import goodput
from copycat_jax.train.goodput import PHASES, Ledger, attempts_of, ledger_path, read_attempts
from copycat_jax.train.hardware import CHIPS, chip_of, peak_flops
from copycat_jax.train.loop import fit
from copycat_jax.train.writer import read_metrics


def test_phases_add_up_to_wall_time_however_they_nest(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(goodput.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(goodput.time, "time", lambda: now[0])

    def work(seconds):
        now[0] += seconds

    with Ledger(ledger_path(tmp_path, 1, 0), began=97.0, process=0) as ledger:
        work(1)
        ledger.enter("step")
        work(2)
        with ledger.during("save"):
            work(4)
            with ledger.during("evaluate"):
                work(8)
            work(16)
        first = ledger.window()
        work(32)
        ledger.stepped(7)
        assert ledger.window() == {**dict.fromkeys(PHASES, 0.0), "step": 32.0}
    assert first == {**dict.fromkeys(PHASES, 0.0), "start": 4.0, "step": 2.0, "save": 20.0, "evaluate": 8.0}
    (attempt,) = read_attempts(tmp_path)
    assert attempt.marks[-1].seconds == {"start": 4.0, "step": 34.0, "save": 20.0, "evaluate": 8.0}
    assert attempt.marks[-1].step == 7 and attempt.end == "ended"


def test_what_a_kill_tears_is_left_out(tmp_path):
    path = ledger_path(tmp_path, 3, 0)
    ledger = Ledger(path, time.time(), process=0)
    ledger.step = 4
    ledger.write()
    with path.open("a") as file:
        file.write('{"step": 9, "time": 1.0, "sec')
    (attempt,) = read_attempts(tmp_path)
    assert attempt.number == 3 and [mark.step for mark in attempt.marks] == [4] and attempt.end == ""
    ledger_path(tmp_path, 4, 0).parent.mkdir()
    ledger_path(tmp_path, 4, 0).write_text("")  # killed before its first line
    assert [a.number for a in read_attempts(tmp_path)] == [3] and attempts_of(tmp_path) == [3, 4]


def test_a_log_bears_time_and_process_and_why_it_ended(tmp_path, capsys):
    path = tmp_path / "logs" / "process_1.log"
    with pytest.raises(UserError), console.logged(path, " [1]"):
        console.say("hello")
        console.warn("oh")
        raise UserError("no room", "disk")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[1\] "
    lines = path.read_text().splitlines()
    assert [re.sub(f"^{stamp}", "", line) for line in lines] == ["hello", "warning: oh", "error: disk: no room"]
    said = capsys.readouterr()
    assert [said.out.strip(), said.err.strip()] == lines[:2]
    console.say("plain again")
    assert capsys.readouterr().out == "plain again\n"


def test_an_unforeseen_error_is_in_the_log_whole(tmp_path):
    with pytest.raises(ZeroDivisionError), console.logged(tmp_path / "x.log"):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError: division by zero" in (tmp_path / "x.log").read_text()


def test_a_run_tells_what_its_time_went_into(tmp_path):
    config = toy_config(steps=6, save_every=3, eval_every=3, log_every=3)
    slow = lambda step: (time.sleep(0.05), toy_batch(step))[1]  # noqa: E731
    options = {"run_dir": tmp_path, "held_out": [lambda: toy_batch(0)], "tensorboard": False, "epoch_steps": 4.0}
    fit(toy_task(), config, slow, **options)
    (attempt,) = read_attempts(tmp_path)
    seconds = attempt.marks[-1].seconds
    assert seconds["input"] >= 0.3 and min(seconds[p] for p in ("compile", "step", "evaluate", "save")) > 0
    assert [attempt.marks[0].step, attempt.marks[-1].step] == [0, 6]
    assert attempt.facts["processes"] == 1 and attempt.end == "ended"
    assert "compiled the step for 8 x 12 frames" in ledger_path(tmp_path, 1, 0).with_suffix(".log").read_text()
    one, two = (r for r in read_metrics(tmp_path / "metrics.jsonl") if r["kind"] == "train")
    assert one["input_s"] >= 0.15 and one["compile_s"] > 0 and one["epoch"] == 0.75 and two["epoch"] == 1.5
    real = sum(int(toy_batch(step).mask.sum()) for step in range(3)) / (3 * 8 * 12)
    assert one["padding_efficiency"] == pytest.approx(real)
    assert one["step_ms"] >= 50 and one["save_s"] == 0 < two["save_s"] and two["evaluate_s"] > 0


def test_ledger_lines_are_json_of_known_fields(tmp_path):
    with Ledger(ledger_path(tmp_path, 1, 2), time.time(), process=2, processes=4):
        pass
    lines = [json.loads(line) for line in ledger_path(tmp_path, 1, 2).read_text().splitlines()]
    assert lines[0]["process"] == 2 and lines[0]["host"] and set(lines[1]) == {"step", "time", "seconds"}
    assert set(lines[2]) == {"end", "time"}


@pytest.mark.parametrize(
    "kind, name",
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("TPU v4", "v4"),
        ("TPU v5 lite", "v5e"),
        ("TPU v5", "v5p"),
        ("TPU v5p", "v5p"),
        ("TPU v6 lite", "v6e"),
    ],
)
def test_devices_are_known_by_the_names_jax_gives_them(kind, name):
    assert chip_of(kind) is CHIPS[name] and peak_flops(kind) == CHIPS[name].flops


def test_a_device_that_is_not_known_has_no_peak():
    assert chip_of("cpu") is None and peak_flops("cpu") == 0.0
