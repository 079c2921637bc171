"""What is read of a corpus is what was built: what became of it since is named, and nothing of that is given out."""

import shutil

import numpy as np
import pytest

from copycat_jax.cli import main
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions
from copycat_jax.corpus.corpus import open_corpus, write_vectors
from copycat_jax.corpus.description import VECTORS_FILE
from copycat_jax.corpus.shards import parse_example
from copycat_jax.data.batches import make_batches, open_prefetch
from copycat_jax.data.plan import make_batch_plan
from copycat_jax.data.synthetic import write_plain_corpus
from copycat_jax.errors import UserError


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_plain_corpus(folder / "plain", 6, seconds=(0.4, 0.8))
    build_corpus([("plain", folder / "plain")], folder / "data", FeatureOptions(f0="none"), shards=2)
    return folder / "data"


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / "copy")


def check(path, capsys):
    """(exit code, lines of faults, the last line) of `copycat build --check`."""
    code = main(["build", "--check", f"--out={path}"])
    said = capsys.readouterr()
    return code, said.out.splitlines(), (said.err or said.out).strip().splitlines()[-1]


def rewrite(shard, change):
    """Writes the records of `shard` again, whole and with sound sums, as `change` makes them."""
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    reader = ArrayRecordReader(str(shard))
    records = change(reader.read_all())
    writer = ArrayRecordWriter(str(shard), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def flip(shard):
    content = bytearray(shard.read_bytes())
    content[100] ^= 4  # in the first record
    shard.write_bytes(content)


def put(name, value):
    """Gives the first record another first value of the field `name`."""

    def change(records):
        field = parse_example(records[0])[name][0]
        at = records[0].find(field)
        value_bytes = np.asarray(value).tobytes()
        return [records[0][:at] + value_bytes + records[0][at + len(value_bytes) :], *records[1:]]

    return lambda shard: rewrite(shard, change)


RECORD_FAULTS = {
    "a flipped bit": (flip, "mismatch"),
    "NaN in the mel": (put("mel", np.float16("nan")), "mel holds values that are not finite"),
    "infinite F0": (put("f0_hz", np.float32("inf")), "f0_hz holds values that are not finite"),
    "another mel": (put("mel", np.float16(-1.0)), "not what was built"),
    "another duration": (put("durations", np.int32(1000)), "durations sum to"),
    "records in another order": (lambda shard: rewrite(shard, lambda r: [r[1], r[0], *r[2:]]), "not what was built"),
    "no record of ours": (lambda shard: rewrite(shard, lambda r: [b"?" * len(r[0]), *r[1:]]), "not one of ours"),
}


@pytest.mark.parametrize("kind", RECORD_FAULTS)
def test_a_damaged_record_is_named_and_never_given_out(built, copy, capsys, kind):
    damage, reason = RECORD_FAULTS[kind]
    before, shard = open_corpus(built), copy / open_corpus(built).info.shards[1].name
    damage(shard)
    corpus, first = open_corpus(copy), before.info.shards[0].records
    with pytest.raises(
        UserError, match=f"{shard.name}: record 0, utterance '{before.ids[first]}', is damaged"
    ) as error:
        corpus.utterance(first)
    assert reason in str(error.value)
    spared = 2 if kind == "records in another order" else 1
    for index in (*range(first), *range(first + spared, len(corpus))):
        assert np.array_equal(corpus.utterance(index).mel, before.utterance(index).mel)
    code, faults, last = check(copy, capsys)
    assert code == 2 and len(faults) == spared and f"{spared} faults in 6" in last
    assert str(before.ids[first]) in faults[0] and reason in faults[0]


def test_no_batch_is_made_of_a_damaged_record(copy):
    corpus = open_corpus(copy)
    flip(copy / corpus.info.shards[0].name)
    plan = make_batch_plan(corpus.lengths, corpus.phones, batch_size=6, buckets=1)
    with pytest.raises(UserError, match=f"utterance '{corpus.ids[0]}', is damaged"):
        next(open_prefetch(make_batches(corpus, plan, 0)))
    with pytest.raises(UserError, match="is damaged"):
        corpus.loaded()


def cut(shard):
    shard.write_bytes(shard.read_bytes()[:-1])


def without_last(shard):
    rewrite(shard, lambda records: records[:-1])


SHARD_FAULTS = {
    "missing": (lambda shard: shard.unlink(), "no such shard"),
    "cut short": (cut, "were written"),
    "empty": (lambda shard: shard.write_bytes(b""), "0 bytes"),
    "zeros": (lambda shard: shard.write_bytes(bytes(shard.stat().st_size)), ""),
    "a record less": (without_last, "2 records, 3 were written"),
}


@pytest.mark.parametrize("kind", SHARD_FAULTS)
def test_a_damaged_shard_is_named_with_what_it_holds(copy, capsys, kind):
    corpus = open_corpus(copy)
    damage, reason = SHARD_FAULTS[kind]
    shard = copy / corpus.info.shards[1].name
    damage(shard)
    with pytest.raises(UserError, match=f"{shard.name}: .*'{corpus.ids[3]}' to '{corpus.ids[5]}'") as error:
        open_corpus(copy)
    assert reason in str(error.value) and "\n" not in str(error.value)
    code, faults, last = check(copy, capsys)
    assert code == 2 and len(faults) == 1 and reason in faults[0] and "1 faults in 6" in last


def test_a_sound_corpus_passes_and_is_not_touched(built, capsys):
    def state():
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in built.iterdir()}

    before = state()
    code, faults, last = check(built, capsys)
    assert code == 0 and len(faults) == 1 and "every record is what was built" in last
    assert state() == before


def test_what_stands_beside_the_shards_is_checked_too(copy, capsys):
    corpus = open_corpus(copy)
    text = (copy / "corpus.json").read_text()
    for old, new in (('"utterances": 6', '"utterances": 7'), (corpus.fingerprint, "0" * 64)):
        (copy / "corpus.json").write_text(text.replace(old, new, 1))
        with pytest.raises(UserError):
            open_corpus(copy)
    (copy / "corpus.json").write_text(text.replace('"utterances": 2', '"utterances": 1', 1))  # of a speaker
    assert "is not true of the shards" in check(copy, capsys)[1][0]
    (copy / "corpus.json").write_text(text)
    metadata = (copy / "dataset_info.json").read_text()
    (copy / "dataset_info.json").write_text(metadata.replace('"3"', '"2"', 1))
    assert "TFDS would not read" in check(copy, capsys)[1][0]


def test_damaged_vectors_are_named(copy, capsys):
    corpus, path = open_corpus(copy), copy / VECTORS_FILE
    vectors = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    write_vectors(path, vectors, corpus.fingerprint, "spk")
    np.testing.assert_array_equal(open_corpus(copy).speaker_vectors, vectors)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not those that were written"):
        open_corpus(copy)
    assert "not those that were written" in check(copy, capsys)[1][0]
    vectors[4, 1] = np.nan
    write_vectors(path, vectors, corpus.fingerprint, "spk")
    with pytest.raises(UserError, match=f"the vector of '{corpus.ids[4]}' holds values that are not finite"):
        open_corpus(copy)


def test_check_builds_nothing(tmp_path, capsys):
    assert main(["build", "--check", f"--out={tmp_path / 'absent'}"]) == 2
    assert "not a built corpus" in capsys.readouterr().err
    assert main(["build", "--check", f"--out={tmp_path}", "--source=plain:x"]) == 2
    assert "--source" in capsys.readouterr().err and not list(tmp_path.iterdir())
