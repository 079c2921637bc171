"""A build: shards as they should be, read back equal by TFDS and by our reader, exclusions kept, bad input listed."""

import json
import shutil

import numpy as np
import pytest

from copycat_jax.cli import main
from copycat_jax.corpus import builder
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions
from copycat_jax.corpus.corpus import memory_corpus, open_corpus, write_vectors
from copycat_jax.corpus.description import describe, read_description
from copycat_jax.corpus.sources import Exclusions
from copycat_jax.corpus.utterance import ARRAYS, TEXTS, text_key
from copycat_jax.data.batches import make_batches
from copycat_jax.data.plan import make_batch_plan
from copycat_jax.data.synthetic import write_plain_corpus
from copycat_jax.errors import UserError

OPTIONS = FeatureOptions(f0="none")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    write_plain_corpus(folder, 10, seconds=(0.4, 0.8))
    return folder


@pytest.fixture(scope="module")
def built(plain, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "data"
    report = build_corpus([("plain", plain)], out, OPTIONS, shards=3)
    assert report.computed == 10 and not report.bad
    return out


def same(a, b):
    return all(
        np.array_equal(x, y) and getattr(x, "dtype", None) == getattr(y, "dtype", None)
        for x, y in zip(a, b, strict=True)
    )


def test_our_reader_and_tfds_agree(built):
    import tensorflow_datasets as tfds

    corpus, source = open_corpus(built), tfds.builder_from_directory(built).as_data_source("train")
    assert len(corpus) == len(source) == 10
    for index in range(10):
        ours, theirs = corpus.utterance(index), source[index]
        assert all(getattr(ours, name) == theirs[name].decode() for name in TEXTS)
        for name, dtype in ARRAYS.items():
            assert getattr(ours, name).dtype == theirs[name].dtype == dtype
            assert np.array_equal(getattr(ours, name), theirs[name])


def test_shards_are_written_for_random_access(built):
    from array_record.python.array_record_module import ArrayRecordReader

    shards = sorted(built.glob("*.array_record*"))
    assert len(shards) == 3
    for shard in shards:
        assert "group_size:1," in ArrayRecordReader(str(shard)).writer_options_string()
    features = json.loads((built / "features.json").read_text())
    assert '"encoding": "bytes"' in json.dumps(features) and "float16" in json.dumps(features)


def test_the_description_is_that_of_the_shards(built, plain):
    corpus = open_corpus(built)
    info, lengths = describe(corpus.source, corpus.spec, corpus.info.shards, corpus.info.options)
    stored_info, stored = read_description(built)
    assert info == stored_info and all(np.array_equal(a, b) for a, b in zip(lengths, stored, strict=True))
    assert corpus.ids.tolist() == sorted(corpus.ids.tolist()) and len(corpus.speakers) == 4
    assert sum(s.utterances for s in info.speakers.values()) == 10
    mel = np.concatenate([u.mel for u in corpus.source]).astype(np.float64)
    assert np.allclose(info.mel_mean, mel.mean(axis=0)) and np.allclose(info.mel_std, mel.std(axis=0))
    assert str(plain.parent) not in json.dumps(info.options)


def test_batches_from_shards_equal_batches_from_memory(built):
    corpus = open_corpus(built)
    memory = memory_corpus(list(corpus.source), corpus.spec)
    assert memory.fingerprint == corpus.fingerprint
    plan = make_batch_plan(corpus.lengths, corpus.phones, batch_size=4, buckets=2)
    for step in range(4):
        assert same(make_batches(corpus, plan, 0)(step), make_batches(memory, plan, 0)(step))


def test_the_fingerprint_follows_the_content_only(built, plain, tmp_path):
    fingerprint = open_corpus(built).fingerprint
    cache = built.with_name("data.cache")
    again = build_corpus([("plain", plain)], tmp_path / "one", OPTIONS, cache=cache)
    assert again.cached == 10 and again.computed == 0 and again.info.fingerprint == fingerprint
    without = build_corpus(
        [("plain", plain)], tmp_path / "two", OPTIONS, cache=cache, exclusions=Exclusions(pattern="00003$")
    )
    assert without.info.fingerprint != fingerprint


@pytest.mark.parametrize("how", ["ids", "speakers", "texts", "pattern"])
def test_exclusions_hold(built, plain, tmp_path, how):
    corpus = open_corpus(built)
    victim = corpus.utterance(4)
    chosen = {
        "ids": Exclusions(ids=frozenset([victim.id])),
        "speakers": Exclusions(speakers=frozenset([victim.speaker])),
        "texts": Exclusions(texts=frozenset([text_key(victim.text.lower() + " !")])),
        "pattern": Exclusions(pattern="0000[04]$"),
    }[how]
    report = build_corpus(
        [("plain", plain)], tmp_path / "data", OPTIONS, cache=built.with_name("data.cache"), exclusions=chosen
    )
    kept = open_corpus(tmp_path / "data")
    assert report.excluded == {"ids": 1, "speakers": 3, "texts": 1, "pattern": 2}[how] == 10 - len(kept)
    assert victim.id not in kept.ids.tolist()
    assert how != "speakers" or victim.speaker not in kept.speakers


def test_bad_input_is_listed_or_fails_the_build(tmp_path, capsys):
    plain, out = tmp_path / "plain", tmp_path / "data"
    write_plain_corpus(plain, 5, seconds=(0.4, 0.8))
    (plain / "audio" / "synthetic-0-00001.wav").write_bytes(b"")
    with (plain / "metadata.csv").open("a") as table:
        table.write("ghost|nobody|is not there\nsynthetic-mute|nobody|\n")
    build = ["build", f"--source=plain:{plain}", f"--out={out}", "--f0=none", "--workers=1"]
    assert main([*build, "--on-bad=fail"]) == 2
    assert "ghost" in capsys.readouterr().err and not out.exists()
    assert main([*build, "--max-seconds=0.7"]) == 0
    rows = [line.split("\t") for line in (out / "bad.tsv").read_text().splitlines()]
    assert rows[0] == ["id", "path", "kind", "reason"]
    kinds = {row[0]: row[2] for row in rows[1:]}
    assert kinds["ghost"] == kinds["synthetic-mute"] == kinds["synthetic-0-00001"] == "bad"
    assert set(kinds.values()) == {"bad", "length"} and all(row[3] for row in rows)
    assert len(open_corpus(out)) == 5 + 2 - len(kinds)
    assert main(build) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*build, "--overwrite"]) == 0 and len(open_corpus(out)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.cache", "plain"]


@pytest.mark.parametrize(
    "arguments,complaint",
    [
        (["--source=plain"], "LAYOUT:PATH"),
        (["--source=plan:{}"], "Did you mean 'plain'"),
        ([], "no source"),
        (["--source=plain:{}", "--spec=hifi"], "hifigan"),
        (["--source=plain:{}", "--f0=pin"], "pyin"),
        (["--source=plain:{}", "--exclude=("], "regular expression"),
        (["--source=plain:{}", "--exclude-ids=absent.txt"], "list of --exclude-ids cannot be read"),
        (["--source=plain:{}", "--max-seconds=0.1"], "--max-seconds"),
        (["--source=plain:{}", "--source=plain:{}"], "Make ids unique"),
        (["--source=plain:{}", "--exclude=."], "no"),
        (["--source=plain:gs://bucket/corpus"], "gs://bucket/corpus: is not in a file system"),
        (["--source=plain:{}", "--cache=s3://bucket/cache"], "s3://bucket/cache: is not in a file system"),
        (["--source=plain:{}", "--out=gs://bucket/data"], "gs://bucket/data: is not in a file system"),
        (["--check", "--out=gs://bucket/data"], "gs:/"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(plain, tmp_path, capsys, arguments, complaint):
    out = tmp_path / "data"
    assert main(["build", f"--out={out}", "--workers=1", *(a.format(plain) for a in arguments)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert complaint in error and error.startswith("copycat: ")
    assert not out.exists()


def test_damaged_corpora_are_refused(built, tmp_path):
    with pytest.raises(UserError, match="not a built corpus"):
        open_corpus(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    vectors = np.zeros((10, 4), np.float32)
    write_vectors(copy / "speaker_vectors.safetensors", vectors, open_corpus(built).fingerprint, "spk")
    assert open_corpus(copy).speaker_vectors.shape == (10, 4) and open_corpus(copy).vectors_hash == "spk"
    write_vectors(copy / "speaker_vectors.safetensors", vectors, "another", "spk")
    with pytest.raises(UserError, match="made for another corpus"):
        open_corpus(copy)
    assert open_corpus(copy, with_vectors=False).speaker_vectors is None
    (copy / "speaker_vectors.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match="damaged"):
        open_corpus(copy)
    (copy / "speaker_vectors.safetensors").unlink()
    shard = sorted(copy.glob("*.array_record*"))[1]
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError):
        list(open_corpus(copy).source)
    shard.unlink()
    with pytest.raises(UserError, match="no such shard"):
        open_corpus(copy)


def test_a_corpus_survives_a_kill_between_the_two_renamings_of_its_replacement(built, plain, tmp_path):
    (killed := tmp_path / f".data.partial-{2**22 + 1}").mkdir()  # no process has this number
    shutil.copytree(built, killed / "replaced")
    with pytest.raises(UserError, match="cannot be written"), builder._partial(tmp_path / "data"):
        raise OSError(28, "No space left on device")
    assert len(open_corpus(tmp_path / "data")) == 10 and [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_corpus_that_another_build_made_meanwhile_is_not_replaced(built, plain, tmp_path, monkeypatch):
    out, other = tmp_path / "data", json.loads((built / "corpus.json").read_text())["shards"]
    monkeypatch.setattr(builder, "write_description", lambda folder, *_: shutil.copytree(built, out))
    with pytest.raises(UserError, match="a corpus is there already"):
        build_corpus([("plain", plain)], out, OPTIONS, shards=1, cache=f"{built}.cache")
    assert json.loads((out / "corpus.json").read_text())["shards"] == other and not list(tmp_path.glob(".data*"))


@pytest.mark.slow
def test_real_speech_is_aligned_and_a_wrong_text_refused(corpora, tmp_path):
    from copycat_jax.text.phonemes import SIL, to_symbols

    lines = (corpora / "kathleen" / "metadata.csv").read_text().splitlines()
    rows = [line.split("|") for line in (lines[1], lines[60], lines[200], lines[400])]
    rows[3][2] = rows[0][2]  # what another clip says
    (tmp_path / "plain" / "audio").mkdir(parents=True)
    table = ["id|speaker|text", *("|".join(row) for row in rows)]
    (tmp_path / "plain" / "metadata.csv").write_text("\n".join(table) + "\n")
    for row in rows:
        shutil.copy(corpora / "kathleen" / "audio" / f"{row[0]}.opus", tmp_path / "plain" / "audio")
    report = build_corpus([("plain", tmp_path / "plain")], tmp_path / "data", FeatureOptions(f0="pyin"))
    assert [entry[0] for entry in report.bad] == [rows[3][0]]
    corpus = open_corpus(tmp_path / "data")
    assert 150 < corpus.info.speakers["kathleen"].register_hz < 300
    for utterance in corpus.source:
        symbols = to_symbols(utterance.phonemes)
        edges = [utterance.durations[i] for i in (0, -1) if symbols[i] == SIL]
        assert len(symbols) > 15 and all(n * 256 / 22050 < 0.2 for n in edges)
