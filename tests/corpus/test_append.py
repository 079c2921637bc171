"""A corpus that was added to is what it would be had all been built at once; no shard of it is touched."""

import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from copycat_jax.cli import main
from copycat_jax.corpus import builder
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions, Limits
from copycat_jax.corpus.check import check_corpus
from copycat_jax.corpus.corpus import open_corpus, write_vectors
from copycat_jax.corpus.description import VECTORS_FILE
from copycat_jax.corpus.sources import Exclusions
from copycat_jax.data.synthetic import write_plain_corpus
from copycat_jax.errors import UserError
from copycat_jax.files import locked_file

OPTIONS = FeatureOptions(f0="none")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Plain corpora: two parts of one set of recordings, the first with a fault; the first part built; one cache."""
    folder = tmp_path_factory.mktemp("parts")
    write_plain_corpus(folder / "old", 8, seconds=(0.4, 0.8))
    shutil.copytree(folder / "old", folder / "new")
    header, *rows = (folder / "old" / "metadata.csv").read_text().splitlines()
    for name, part in (("old", rows[:5]), ("new", rows[5:])):
        (folder / name / "metadata.csv").write_text("\n".join([header, *part]) + "\n")
    for name in ("mute", "retold"):
        shutil.copytree(folder / "old", folder / name)
    (folder / "mute" / "audio" / f"{rows[0].split('|')[0]}.wav").write_bytes(b"")
    (folder / "retold" / "metadata.csv").write_text("\n".join([header, f"{rows[0]} and more", *rows[1:5]]) + "\n")
    build_corpus([("plain", folder / "old")], folder / "data", OPTIONS, shards=2, cache=folder / "cache")
    return folder


@pytest.fixture
def data(parts, tmp_path):
    return shutil.copytree(parts / "data", tmp_path / "data")


def add(parts, data, *names, features=OPTIONS, **options):
    sources = [("plain", parts / name) for name in names or ("new",)]
    return build_corpus(sources, data, features, cache=parts / "cache", append=True, **options)


def state(folder):
    """All files of a folder: content, number and time."""
    return {
        path.name: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.name != ".lock"
    }


def test_it_is_what_it_would_be_had_all_been_built_at_once(parts, data, tmp_path):
    import tensorflow_datasets as tfds

    before, files = open_corpus(data), state(data)
    report = add(parts, data, shards=2)
    assert report.written == 3 and len(report.info.shards) == 4
    after, shards = state(data), [shard.name for shard in before.info.shards]
    assert {name: after[name] for name in shards} == {name: files[name] for name in shards}
    assert sorted(set(after) - set(files)) == sorted(
        [report.info.table_file, *(shard.name for shard in report.info.shards[2:])]
    )
    assert set(files) - set(after) == {before.info.table_file}
    together = [("plain", parts / "old"), ("plain", parts / "new")]
    whole = build_corpus(together, tmp_path / "whole", OPTIONS, cache=parts / "cache").info
    corpus = open_corpus(data)
    assert corpus.fingerprint == whole.fingerprint and corpus.info.speakers == whole.speakers
    assert corpus.info.mel_mean == whole.mel_mean and corpus.info.options["bad"] == 0
    source = tfds.builder_from_directory(data).as_data_source("train")
    assert [source[i]["id"].decode() for i in range(len(source))] == corpus.ids.tolist()
    assert check_corpus(data) == (corpus.info, [])


def test_it_can_be_added_to_again_and_what_is_there_is_left_out(parts, data, tmp_path):
    add(parts, data)
    before = state(data)
    assert add(parts, data, "old", "new").written == 0 and state(data) == before
    write_plain_corpus(tmp_path / "more", 10, seconds=(0.4, 0.8))  # the same eight, and two
    report = build_corpus([("plain", tmp_path / "more")], data, OPTIONS, cache=parts / "cache", append=True)
    assert report.written == 2 and len(report.info.shards) == 4 and check_corpus(data)[1] == []


def test_what_was_bad_and_is_mended_comes_in(parts, data, tmp_path):
    new = shutil.copytree(parts / "new", tmp_path / "new")
    rows = (new / "metadata.csv").read_text().splitlines()
    victims = [new / "audio" / f"{row.split('|')[0]}.wav" for row in rows[1:3]]
    contents = [victim.read_bytes() for victim in victims]
    for victim in victims:
        victim.write_bytes(b"")
    sources = [("plain", new)]
    assert len(build_corpus(sources, data, OPTIONS, cache=parts / "cache", append=True).bad) == 2
    victims[0].write_bytes(contents[0])
    assert build_corpus(sources, data, OPTIONS, cache=parts / "cache", append=True).written == 1
    corpus, listed = open_corpus(data), (data / "bad.tsv").read_text().splitlines()[1:]
    assert len(corpus) == 7 and corpus.info.options["bad"] == 1
    assert [line.split("\t")[0] for line in listed] == [victims[1].stem]


REFUSALS = {
    "another recording": ("mute", {}, "1 of its utterances would be others now"),
    "another text": ("retold", {}, "1 of its utterances would be others now"),
    "another tracker": ("new", {"features": FeatureOptions(f0="pyin")}, "f0 none, not pyin"),
    "other limits": ("new", {"limits": Limits(0.3, 9.0)}, "max_seconds 10.0, not 9.0"),
    "what must not be in it": ("new", {"exclusions": Exclusions(pattern="0000[07]$")}, "00000', which is excluded now"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_does_not_belong_together_is_refused_and_nothing_changes(parts, data, kind):
    name, options, reason = REFUSALS[kind]
    before = state(data)
    with pytest.raises(UserError, match=reason):
        add(parts, data, name, **options)
    assert state(data) == before


def test_an_append_that_fails_or_is_killed_leaves_the_corpus_as_it_was(parts, data, monkeypatch):
    before, write = state(data), builder.write_description

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builder, "write_description", fail)
    with pytest.raises(UserError, match="No space left"):
        add(parts, data)
    assert state(data) == before and [path.name for path in data.parent.iterdir()] == ["data"]
    monkeypatch.setattr(builder, "write_description", write)
    for left in ("speech_corpus-train.array_record-00002", "speech_corpus-train.array_record-00009", "lengths-0.npz"):
        (data / left).write_bytes(b"of a build that was killed")
    assert len(open_corpus(data)) == 5 and check_corpus(data)[1] == []
    assert add(parts, data, shards=1).written == 3 and check_corpus(data)[1] == []
    assert not {"speech_corpus-train.array_record-00009", "lengths-0.npz"} & set(state(data))


POINTS = {  # what kills it when it is called, and how many utterances there are then
    "before a shard is there": ("builder.os.replace", 5),
    "before the table": ("builder.write_description", 5),
    "before the description": ("description.write_json", 5),
    "before what is not listed goes": ("builder.remove_unlisted", 8),
    "before TFDS's description": ("builder.write_records", 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_it_is_the_corpus_before_or_after(parts, data, point):
    name, count = POINTS[point]
    before = open_corpus(data).ids.tolist()
    code = f"""
import os, pathlib, signal
from copycat_jax.corpus import builder, cache, description

def write_shards(*args):
    folder = whole(*args)
    {name} = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    return folder

whole, builder.write_shards = builder.write_shards, write_shards
parts, options = pathlib.Path({str(parts)!r}), cache.FeatureOptions(f0="none")
builder.build_corpus([("plain", parts / "new")], {str(data)!r}, options, cache=parts / "cache", shards=2, append=True)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    corpus = open_corpus(data)
    assert [utterance.id for utterance in corpus.source][:5] == before and len(corpus) == count
    report = add(parts, data)
    assert report.written == 8 - count and check_corpus(data) == (report.info, [])
    assert [path.name for path in data.parent.iterdir()] == ["data"]


def test_only_one_adds_at_a_time(parts, data):
    with locked_file(data / ".lock"), pytest.raises(UserError, match="another build"):
        add(parts, data)
    assert add(parts, data).written == 3


def test_vectors_of_the_corpus_before_are_not_taken_for_its_own(parts, data, capsys):
    write_vectors(data / VECTORS_FILE, np.ones((5, 4), np.float32), open_corpus(data).fingerprint, "spk")
    build = ["build", f"--source=plain:{parts / 'new'}", f"--out={data}", "--f0=none", f"--cache={parts / 'cache'}"]
    assert main([*build, "--append", "--workers=1"]) == 0
    said = capsys.readouterr().out
    assert "added 3" in said and "copycat embed" in said
    with pytest.raises(UserError, match="made for another corpus"):
        open_corpus(data)


def test_there_must_be_a_corpus_to_add_to(parts, tmp_path):
    with pytest.raises(UserError, match="not a built corpus"):
        add(parts, tmp_path / "absent")
    assert not list(tmp_path.iterdir())
