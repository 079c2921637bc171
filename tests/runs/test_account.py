import shutil
import time

import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.runs.account import ROWS, account, hosts
from copycat_jax.runs.show import show
from copycat_jax.train.goodput import Attempt, Mark, read_attempts
from copycat_jax.train.loop import fit


def attempt(number, began, marks, end="ended", process=0, host="a"):
    facts = {"began": began, "process": process, "processes": 1, "host": host}
    return Attempt(number, facts, [Mark(*mark) for mark in marks], end)


def test_a_run_without_restarts_has_its_phases_and_nothing_else():
    seconds = {"start": 5.0, "compile": 10.0, "step": 80.0, "input": 3.0, "save": 2.0}
    found = account([attempt(1, 1000.0, [(0, 1015.0, {"start": 5.0, "compile": 10.0}), (40, 1100.0, seconds)])])
    assert {row: s for row, s in found.seconds.items() if s} == seconds
    assert (found.wall_s, found.steps, found.lost_steps, found.attempts) == (100.0, 40, 0, 1)


def test_what_was_done_again_is_lost_and_the_gap_is_down():
    marks = [
        (0, 10.0, {"start": 10.0}),
        (4, 50.0, {"start": 10.0, "step": 40.0}),
        (6, 70.0, {"start": 10.0, "step": 60.0}),
    ]
    again = [(4, 105.0, {"start": 5.0}), (10, 165.0, {"start": 5.0, "step": 60.0})]
    found = account([attempt(1, 0.0, marks, end=""), attempt(2, 100.0, again)])
    wanted = {"step": 100.0, "lost": 20.0, "start": 15.0, "down": 30.0}
    assert {row: s for row, s in found.seconds.items() if s} == wanted
    assert (found.wall_s, found.steps, found.lost_steps) == (165.0, 10, 2)
    assert found.ends == ["killed", "ended"]


def test_an_attempt_that_fell_behind_an_earlier_one_loses_both():
    """The second went on from step 8 and died; the third had only step 4 left."""
    first = [(0, 0.0, {}), (4, 4.0, {"step": 4.0}), (8, 8.0, {"step": 8.0})]
    second = [(8, 10.0, {}), (9, 11.0, {"step": 1.0})]
    third = [(4, 20.0, {}), (12, 28.0, {"step": 8.0})]
    found = account([attempt(1, 0.0, first), attempt(2, 10.0, second, ""), attempt(3, 20.0, third)])
    assert (found.steps, found.lost_steps) == (12, 5)
    assert found.seconds["lost"] == 5.0 and found.seconds["step"] == 12.0
    assert sum(found.seconds.values()) == found.wall_s == 28.0


def test_an_attempt_that_never_came_to_a_step_is_down_time():
    found = account(
        [attempt(1, 0.0, [], ""), attempt(2, 30.0, [(0, 35.0, {"start": 5.0}), (1, 36.0, {"start": 5.0, "step": 1.0})])]
    )
    assert found.seconds["down"] == 30.0 and sum(found.seconds.values()) == found.wall_s == 36.0


def test_hosts_that_are_slow_or_starved_are_named():
    def process(index, input_s, slow=0.0):
        spent, marks, now = {"step": 0.0, "input": 0.0}, [(0, 0.0, {})], 0.0
        for window in range(1, 6):
            extra = slow if window == 3 else 0.0
            spent = {"step": spent["step"] + 10.0 - input_s + extra, "input": spent["input"] + input_s}
            now += 10.0 + extra
            marks.append((100 * window, now, spent))
        return attempt(1, 0.0, marks, process=index, host=f"n{index}")

    rows = hosts([process(0, 0.1), process(1, 0.1), process(2, 4.0), process(3, 0.1, slow=20.0)])
    assert [r.starved for r in rows] == [False, False, True, False]
    assert [r.slow for r in rows] == [False, False, False, True]
    assert rows[3].slowest == (200, 300) and rows[3].slowest_ms == pytest.approx(300.0)
    assert rows[0].step_ms == pytest.approx(100.0) and rows[2].input_ms == pytest.approx(40.0)
    assert not any(r.starved for r in hosts([process(0, 4.0)]))  # nobody to compare with


def test_the_account_of_a_real_run_adds_up_to_its_wall_time(tmp_path):
    """Stopped at step 5, thrown back to 3, and run to the end: within 2 % of the clock outside."""
    config = toy_config(steps=6, save_every=3, log_every=1)
    slow = lambda step: (time.sleep(0.05), toy_batch(step))[1]  # noqa: E731
    options = {"run_dir": tmp_path, "tensorboard": False}
    began = time.time()
    fit(toy_task(), config, slow, max_steps=5, began=began, **options)
    shutil.rmtree(tmp_path / "checkpoints" / "5")  # as if it had been killed before that was written
    fit(toy_task(), config, slow, **options)
    wall = time.time() - began
    found = account(read_attempts(tmp_path))
    assert sum(found.seconds.values()) == pytest.approx(wall, rel=0.02)
    assert found.wall_s == pytest.approx(wall, rel=0.02)
    assert (found.steps, found.lost_steps, found.attempts) == (6, 2, 2)
    assert found.seconds["lost"] >= 0.1 and found.seconds["input"] >= 0.3
    text = show(tmp_path)
    assert all(title in text for title in ROWS.values()) and "2 attempts, 1 restarts" in text
