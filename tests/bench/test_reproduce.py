"""`copycat bench reproduce`: two runs are the same to the bit, and what is not is named."""

import copy
import json

import pytest
from one_line import refused

from copycat_jax.bench import reproduce
from copycat_jax.cli import main
from copycat_jax.errors import UserError


@pytest.fixture
def stored():
    return reproduce.read_record(reproduce.SHIPPED)


def altered(record, change):
    other = copy.deepcopy(record)
    change(other)
    return other


def test_a_record_is_the_same_as_itself_and_holds_every_step_and_clip(stored):
    same, lines = reproduce.compare(stored, stored)
    assert same and lines == ["the same to the bit: 40 steps, 2 evaluations, 4 clips"]
    assert [row["step"] for row in stored["steps"]] == list(range(1, 41))
    assert all({"id", "level", "sha256"} == set(row) for row in stored["clips"])
    assert stored["config"]["train"]["seed"] == 0 and len(stored["fingerprint"]) >= 32


def test_the_first_step_and_the_first_clip_that_differ_are_named(stored):
    def nudge(record):
        for row in record["steps"][7:]:
            row["loss/model"] *= 1 + 1e-7
        record["clips"][2]["sha256"] = "0"
        record["parameters"] = "0"

    same, lines = reproduce.compare(stored, altered(stored, nudge))
    assert not same
    assert lines[0].startswith("the first step that differs is 8: loss/model was")
    assert lines[1].startswith(f"the first clip that differs is {stored['clips'][2]['id']}: sha256")
    assert lines[2] == "the parameters differ"


def test_another_platform_may_round_otherwise_but_not_learn_otherwise(stored):
    def round_otherwise(record):
        record["made_with"]["processor"] = "another"
        record["parameters"] = "0"
        for row in record["steps"]:
            row["loss/model"] *= 1 + reproduce.TOLERANCE / 2
            row["grad_norm/model"] *= 1.5
        for row in record["clips"]:
            row["sha256"] = "0"

    def learn_otherwise(record):
        round_otherwise(record)
        record["steps"][30]["loss/model"] *= 1 + reproduce.TOLERANCE

    same, lines = reproduce.compare(stored, altered(stored, round_otherwise))
    assert same and "processor" in lines[0] and "within 2 %" in lines[-1]
    same, lines = reproduce.compare(stored, altered(stored, learn_otherwise))
    assert not same and "step that differs is 31" in lines[-1]
    fewer = altered(stored, lambda record: record["clips"].pop())
    assert reproduce.compare(stored, fewer)[1][-1] == "clips: 4 then, 3 now, or others"


def test_other_experiments_and_other_data_are_not_compared(stored):
    wider = altered(stored, lambda record: record["config"]["model"].update(width=17))
    with pytest.raises(UserError, match=r"config|model\.width"):
        reproduce.compare(stored, wider)
    with pytest.raises(UserError, match="other data"):
        reproduce.compare(stored, {**stored, "fingerprint": "0" * 64})


def test_bad_use_is_one_line(capsys, tmp_path):
    reproduction = ["bench", "reproduce"]
    assert "belongs to --config" in refused(capsys, *reproduction, "--set", "train.steps=3")
    (tmp_path / "else.json").write_text(json.dumps({"format": 1}))
    assert "no record" in refused(capsys, *reproduction, "--against", str(tmp_path / "else.json"))
    assert "is not empty" in refused(capsys, *reproduction, "--run-dir", str(tmp_path))


@pytest.mark.slow
def test_two_runs_of_the_small_protocol_are_the_same_to_the_bit(capsys, tmp_path):
    """And the shipped record, made on another machine perhaps, is the same within its tolerance."""
    made = str(tmp_path / "made.json")
    assert main(["bench", "reproduce", "--record", made]) == 0
    assert main(["bench", "reproduce", "--against", made]) == 0
    assert "the same to the bit: 40 steps, 2 evaluations, 4 clips" in capsys.readouterr().out
