"""Configurations at the door: overrides keep types, mistakes name what was meant, and nothing is left behind."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from copycat_jax.cli import main
from copycat_jax.cli.configuration import load_config, load_function, override_field, parse_value, rewrite, to_plain
from copycat_jax.errors import UserError

PAGE = Path(__file__).parents[2] / "configs" / "copycat.py"


@pytest.fixture
def config():
    return ConfigDict(
        {
            "optimizer": {"adversary": {"lr": 1e-3}, "lr": 1e-3, "b1": 0.9},
            "train": {"steps": 10, "guard": True, "at": (0, 5)},
        }
    ).lock()


@pytest.mark.parametrize(
    "text, current, value",
    [
        ("1e-4", 1e-3, 1e-4),
        ("3", 1.0, 3.0),
        ("2e3", 10, 2000),
        ("false", True, False),
        ("x", "y", "x"),
        ("(3, 4)", (0, 5), (3, 4)),
    ],
)
def test_values_keep_their_type(text, current, value):
    parsed = parse_value(text, current, "field")
    assert parsed == value and type(parsed) is type(current)


@pytest.mark.parametrize(
    "text, current",
    [
        ("1.5", 10),
        ("1e999", 10),
        ("True", 3),
        ("high", 1.0),
        ("maybe", True),
        ("4", (0, 5)),
        ("(1, 2, 3)", (0, 5)),
        ("('a', 1)", (0, 5)),
        ("(0.5, 1)", (0, 5)),
    ],
)
def test_wrong_types_are_refused(text, current):
    with pytest.raises(UserError, match=r"--set field: .* is not of type"):
        parse_value(text, current, "field")


@pytest.mark.parametrize(
    "name, message",
    [
        ("optimizer.lrr", "Did you mean 'optimizer.lr'"),
        ("optimiser.lr", "Did you mean 'optimizer.lr'"),
        ("train.lr", "Did you mean 'optimizer.lr'"),
        ("tran.stepz", "Did you mean 'train'"),
        ("lr", "Did you mean 'optimizer.lr'"),
        ("train", "is a section"),
        ("train.steps.more", "unknown field"),
    ],
)
def test_mistaken_fields_are_suggested(config, name, message):
    before = to_plain(config)
    with pytest.raises(UserError, match=message):
        override_field(config, name, "1")
    assert to_plain(config) == before


def test_both_spellings_of_an_override():
    assert rewrite(["--config", "c.py", "--config.a.b=1", "--config.c", "2", "--force"]) == [
        "--config",
        "c.py",
        "--set",
        "a.b=1",
        "--set",
        "c=2",
        "--force",
    ]
    config = load_config(f"{PAGE}:tiny", ["optimizer.lr=5e-4", "model.kl_anneal_steps=(0, 7)"])
    assert config["optimizer"]["lr"] == 5e-4 and config["model"]["kl_anneal_steps"] == (0, 7)
    assert type(config) is dict and type(config["optimizer"]) is dict


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--config", f"{PAGE}:tinny"], "Did you mean 'tiny'"),
        (["--config", str(PAGE.with_name("copycatt.py"))], "copycat.py'"),
        (["--config", f"{PAGE}:tiny", "--config.optimizer.lrr=1"], "Did you mean 'optimizer.lr'"),
        (["--config", f"{PAGE}:tiny", "--set", "optimizer.lr"], "Write FIELD=VALUE"),
        (["--config", f"{PAGE}:tiny", "--corpus", "somewhere"], "either --corpus DATA or --synthetic"),
        (["--config", f"{PAGE}:tiny", "--max-steps", "0"], "Give a positive number"),
        (["--config", f"{PAGE}:tiny", "--run-dir", "gs://bucket/run"], "gs://bucket/run: is not in a file system"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert main(["train", "--synthetic", "--run-dir", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error
    assert not (tmp_path / "run").exists()


def test_dotted_names_that_lead_nowhere():
    with pytest.raises(UserError, match=r"cannot import 'no\.such:thing'"):
        load_function("no.such:thing")
