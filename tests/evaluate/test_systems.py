"""Systems: what is rendered once is kept, by what it was made of; what a bundle is asked for."""

import shutil

import numpy as np
import pytest
from tiny_suite import evaluate, make_world

from copycat_jax.evaluate import systems
from copycat_jax.evaluate.suites import read_suite


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A suite of 24 clips."""
    return make_world(tmp_path, monkeypatch)


def test_what_is_rendered_is_not_rendered_again_unless_its_source_changed(world, monkeypatch):
    spoken = []

    def speak(row, register):
        spoken.append(row["id"])
        return systems._truth(row, register)

    monkeypatch.setitem(systems.BUILT_IN, "truth", speak)
    run = [world / "suite.jsonl", "--system", "truth", "--out", world / "out", "--measures", "f0"]
    assert evaluate(world, *run) == 0 and len(spoken) == 24
    (world / "out" / "truth" / f"{spoken[3]}.wav").unlink()
    assert evaluate(world, *run) == 0 and spoken[24:] == [spoken[3]]
    systems._hash.cache_clear()
    shutil.copy(world / "sources" / "0_s0.wav", world / "sources" / "1_s0.wav")
    assert evaluate(world, *run) == 0 and sorted(spoken[25:]) == ["1_s0_high", "1_s0_low"]


def test_a_journal_that_was_cut_off_is_read(world):
    run = [world / "suite.jsonl", "--system", "truth", "--out", world / "out", "--measures", "f0"]
    assert evaluate(world, *run) == 0
    journal = world / "out" / "truth" / systems.JOURNAL
    journal.write_text(journal.read_text()[:-20])
    assert evaluate(world, *run) == 0


def test_a_bundle_is_rendered_by_source_with_the_melody_asked_for(world, monkeypatch):
    made = []

    class Stub:
        voices = ("low",)

        def prepare(self, source, text):
            made.append((source.name, text))
            return source

        def convert(self, source, voices):
            found = systems.read_audio(source)
            return [type("T", (), {"samples": found.samples, "sample_rate": found.sample_rate}) for _ in voices]

    monkeypatch.setattr("copycat_jax.synthesis.load", lambda folder, melody: made.append(melody) or Stub())
    suite = read_suite(world / "suite.jsonl")
    system = systems.open_system("ours=copycat:mel", lambda voice: 100.0)
    recorded = systems.record(system, suite.rows, world / "out")
    assert made[0] == "mel" and len(made) == 1 + 12  # every source once
    assert len(recorded.missing) == 12 and all("does not speak as 'high'" in why for why in recorded.missing.values())
    assert systems.open_system("copycat", lambda voice: 100.0).melody == "source"
    assert system.key != systems.open_system("copycat", lambda voice: 100.0).key


def test_a_suite_is_known_by_what_it_asks_not_by_where_it_lies(world, tmp_path_factory):
    rows = read_suite(world / "suite.jsonl").rows
    name = systems.suite_fingerprint(rows)
    shutil.copytree(world, elsewhere := tmp_path_factory.mktemp("other") / "world")
    assert systems.suite_fingerprint(read_suite(elsewhere / "suite.jsonl").rows[::-1]) == name
    assert systems.suite_fingerprint([row | {"text": "Another."} for row in rows]) != name
    assert systems.suite_fingerprint([rows[0] | {"source": rows[-1]["source"]}, *rows[1:]]) != name


@pytest.mark.slow
def test_processes_speak_as_one_does(world):
    pytest.importorskip("pyworld")
    rows = read_suite(world / "suite.jsonl").rows[:4]
    made = [systems.open_system("shifted", lambda voice: 120.0, jobs=jobs).render(rows) for jobs in (1, 2)]
    for (row, one), (other, two) in zip(*made, strict=True):
        assert row == other and np.array_equal(one.samples, two.samples)
    refused = systems.open_system("other-take", lambda voice: 120.0, jobs=2).render(rows)
    assert [(row["id"], error.what) for row, error in refused] == [(row["id"], "no other take") for row in rows]
