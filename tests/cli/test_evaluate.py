"""Which kind of evaluation a command line means."""

import pytest

from copycat_jax.cli.evaluate import rewrite


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("results.jsonl --voices v.jsonl", "results"),
        ("suite.jsonl --out x --system copycat", "suite"),
        ("suite.jsonl --system=copycat --out x", "suite"),
        ("{folder}", "folder"),
        ("{folder} --against refs --system copycat", "folder"),
        ("--jobs 2 results.jsonl", "results"),
    ],
)
def test_the_target_decides(tmp_path, line, kind):
    words = line.format(folder=tmp_path).split()
    assert rewrite(words) == [kind, *words]


@pytest.mark.parametrize(
    "line", ["", "--help", "make-suite gold --corpora c --out o.jsonl", "suite x --system copycat"]
)
def test_what_names_its_kind_stays(line):
    assert rewrite(line.split()) == line.split()
