"""Suites: what a manifest must have, and that those of this project hold what they say."""

import json
import os
from pathlib import Path

import pytest
from tiny_suite import make_world

from copycat_jax.cli import main
from copycat_jax.errors import UserError
from copycat_jax.evaluate import suites

CORPORA = os.environ.get("COPYCAT_CORPORA", "")


def test_a_suite_written_is_the_suite_read(tmp_path, monkeypatch):
    made = suites.read_suite(make_world(tmp_path, monkeypatch) / "suite.jsonl")
    (tmp_path / "deep").mkdir()
    suites.write_suite(made, tmp_path / "deep" / "suite.jsonl")
    again = suites.read_suite(tmp_path / "deep" / "suite.jsonl")
    assert len(made.rows) == 24 and len(made.voices) == 5 and again.name == "suite"
    for ours, theirs in zip((*made.rows, *made.voices), (*again.rows, *again.voices), strict=True):
        assert {k: Path(v).resolve() if isinstance(v, Path) else v for k, v in ours.items()} == {
            k: Path(v).resolve() if isinstance(v, Path) else v for k, v in theirs.items()
        }
    assert not any(str(tmp_path) in line for line in (tmp_path / "deep" / "suite.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("change", "message"),
    [({"id": ""}, "no field 'id'"), ({"id": "a/b"}, "cannot name a file"), ({"source": "no.wav"}, "no such file")],
)
def test_a_bad_suite_is_one_line(tmp_path, monkeypatch, change, message):
    path = make_world(tmp_path, monkeypatch) / "suite.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(row | change))
    with pytest.raises(UserError, match=message):
        suites.read_suite(path)
    path.write_text(f"{json.dumps(row)}\n{json.dumps(row)}")
    with pytest.raises(UserError, match="stands twice"):
        suites.read_suite(path)


def test_a_folder_of_references_is_a_suite(tmp_path):
    (tmp_path / "a.flac").touch()
    (tmp_path / "notes.txt").touch()
    assert [row["id"] for row in suites.suite_of_folder(tmp_path).rows] == ["a"]
    assert "truth" not in suites.suite_of_folder(tmp_path, "source").rows[0]
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match="share a name"):
        suites.suite_of_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no recordings"):
        suites.suite_of_folder(tmp_path / "empty")


def test_names_of_suites_are_checked(tmp_path, capsys):
    for name, message in (
        ("golden", "Did you mean 'gold'?"),
        ("selection", "prosody evaluate"),
        ("gold", "no such file"),
    ):
        arguments = ["evaluate", "make-suite", name, "--corpora", str(tmp_path), "--out", str(tmp_path / "x.jsonl")]
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not CORPORA, reason="COPYCAT_CORPORA names no folder of corpora")
@pytest.mark.parametrize(
    ("name", "clips", "sentences", "sources"),
    [("gold", 288, 24, 4), ("gold-dev", 48, 8, 2), ("human", 344, 143, 15), ("parallel-takes", 91, 43, 1)],
)
def test_the_suites_hold_what_they_say(name, clips, sentences, sources):
    suite = suites.make_suite(name, CORPORA)
    suites.check_ids(suite.rows, name)
    heard = {row["voice"] for row in suite.voices}
    assert len(suite.rows) == clips and {row["voice"] for row in suite.rows} <= heard
    assert len({row["sentence"] for row in suite.rows}) == sentences
    assert len({row["source_voice"] for row in suite.rows}) == sources
    assert {row["source_voice"] for row in suite.rows} <= heard
    if name.startswith("gold"):
        assert all(f"__{row['voice']}__prosody_{row['source_voice']}." in row["truth"].name for row in suite.rows)
        assert all(row["truth"].with_suffix(".npz").is_file() for row in suite.rows)
        assert all(row["source"].stem == f"{row['sentence']}__{row['source_voice']}" for row in suite.rows)
        for sentence, source in {(row["sentence"], row["source_voice"]) for row in suite.rows}:
            of_pair = [r for r in suite.rows if (r["sentence"], r["source_voice"]) == (sentence, source)]
            assert len({r["voice"] for r in of_pair}) == 3
    if name == "parallel-takes":
        assert all(row["other"] != row["source"] == row["truth"] for row in suite.rows)
        assert all(row["source"].name.startswith(suites.HELD_OUT) for row in suite.rows)
        assert not any(Path(row["path"]).name.startswith(suites.HELD_OUT) for row in suite.voices)
