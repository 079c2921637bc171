"""The prosody space: what is written is what is opened, damage is one line, building does not depend on the batches."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_space import TREES, Letters, tiny_space, tiny_trees

from copycat_jax.bundle.bundle import Bundle, write_bundle
from copycat_jax.corpus.corpus import memory_corpus
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from prosody_vae.features import FEATURES, prosodic_features
from prosody_vae.linguistics.syntax import recorded_parser
from prosody_vae.linguistics.tree_distance import syntactic_distance
from prosody_vae.space import table as spaces
from prosody_vae.space.build import build_space
from prosody_vae.space.table import Distances, open_space, write_space

LATENT = 6


@pytest.fixture
def written(tmp_path):
    return write_space(tmp_path / "space", tiny_space())


def same(one, other):
    for name in ("ids", "texts", "speakers", "trees"):
        assert list(getattr(one, name)) == list(getattr(other, name))
    for name in ("mean", "variance", "sentence_vectors"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert list(one.features) == list(other.features)
    assert all(np.array_equal(one.features[n], other.features[n], equal_nan=True) for n in one.features)
    assert np.array_equal(one.distances.values, other.distances.values)
    assert np.array_equal(one.distances.offsets, other.distances.offsets)


# --- files


def test_what_is_written_is_what_is_opened(written):
    space = tiny_space()
    opened = open_space(written)
    same(opened, space)
    assert opened.info == dataclasses.replace(space.info, latent=LATENT, entries=len(space)) and len(opened) == 7
    assert opened.path == str(written)
    assert sorted(os.listdir(written)) == ["entries.jsonl", "manifest.json", "space.json", "space.safetensors"]
    same(open_space(write_space(written.parent / "again", opened)), space)


def test_arrays_are_mapped_and_texts_read_when_asked_for(written):
    opened = open_space(written)
    assert isinstance(opened.mean, np.memmap) and isinstance(opened.distances.values, np.memmap)
    assert opened.features["rate"].base is not None and not opened.mean.flags.writeable
    assert opened.texts[-1] == tiny_space().texts[-1] and opened.texts[1:3] == tiny_space().texts[1:3]
    with pytest.raises(IndexError):
        opened.texts[7]
    assert opened.ids == tiny_space().ids and opened.ids != tiny_space().texts


def test_a_space_without_linguistics_has_none(tmp_path):
    bare = dataclasses.replace(tiny_space(), sentence_vectors=None, distances=None, trees=None, features={})
    opened = open_space(write_space(tmp_path / "s", bare))
    assert opened.sentence_vectors is None and opened.distances is None and opened.trees is None
    assert opened.features == {} and np.array_equal(opened.mean, bare.mean)


def test_a_space_is_replaced_but_nothing_else_is(written, tmp_path):
    changed = dataclasses.replace(tiny_space(), mean=tiny_space().mean + 1)
    write_space(written, changed)
    assert np.array_equal(open_space(written).mean, changed.mean)
    assert os.listdir(tmp_path) == ["space"]
    bundle = write_bundle(tmp_path / "b", "speaker", {"speaker": {}}, {"speaker": {}}, HIFIGAN, {}, "card")
    for path in (bundle, tmp_path):
        with pytest.raises(UserError, match="not a prosody space"):
            write_space(path, changed)
    with pytest.raises(UserError, match="not a bundle"):
        write_bundle(written, "speaker", {"speaker": {}}, {"speaker": {}}, HIFIGAN, {}, "card")
    with pytest.raises(UserError, match="no folder"):
        write_space(tmp_path / "absent" / "s", changed)
    assert sorted(os.listdir(tmp_path)) == ["b", "space"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named_and_not_written(tmp_path, bad):
    mean = tiny_space().mean.copy()
    mean[4, 2] = bad
    with pytest.raises(UserError, match=r"'e4' \(row 4\) is not finite"):
        write_space(tmp_path / "s", dataclasses.replace(tiny_space(), mean=mean))
    assert os.listdir(tmp_path) == []


def test_a_row_that_became_nan_is_named_with_and_without_hashes(written, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(spaces, "check_rows", lambda *_: None)
        mean = tiny_space().mean.copy()
        mean[2] = np.nan
        write_space(written, dataclasses.replace(tiny_space(), mean=mean))
    for hashes in (None, True, False):
        with pytest.raises(UserError, match=r"'e2' \(row 2\) is not finite"):
            open_space(written, hashes)


@pytest.mark.parametrize("name", ["space.safetensors", "entries.jsonl", "space.json", "manifest.json"])
def test_a_damaged_file_is_one_clear_line(written, name):
    content = (written / name).read_bytes()
    for damage in (b"", content[: len(content) // 2], content[:-5] + b"?" + content[-4:], None):
        (written / name).unlink() if damage is None else (written / name).write_bytes(damage)
        with pytest.raises(UserError) as error:
            open_space(written)
        assert "\n" not in str(error.value) and str(written) in str(error.value)


def test_a_large_space_is_checked_by_sizes_unless_asked(written, monkeypatch):
    monkeypatch.setattr(spaces, "HASHED_BYTES", 10)
    text = (written / "entries.jsonl").read_bytes()
    (written / "entries.jsonl").write_bytes(text.replace(b"brown", b"white"))
    assert "white" in open_space(written).texts[0]
    with pytest.raises(UserError, match="differs from the manifest"):
        open_space(written, hashes=True)
    (written / "entries.jsonl").write_bytes(text + b"{}\n")
    with pytest.raises(UserError, match="differs from the manifest"):
        open_space(written)


def rewrite(path, name, content):
    """Replaces a file and what the manifest says of it, as a later version or a forger would."""
    (path / name).write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest[name] = {"bytes": len(content), "sha256": spaces.file_hash(path / name)}
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_other_formats_and_other_shapes_are_refused(written, tmp_path):
    info = json.loads((written / "space.json").read_bytes())
    for changes, complaint in (({"format": 9}, "format 9"), ({"entries": 8}, "damaged"), ({"latent": 5}, "damaged")):
        rewrite(written, "space.json", json.dumps(info | changes).encode())
        with pytest.raises(UserError, match=complaint):
            open_space(written)
    rewrite(written, "space.json", json.dumps(info).encode())
    rewrite(written, "space.safetensors", b"not one of ours")
    with pytest.raises(UserError, match="damaged"):
        open_space(written)
    with pytest.raises(UserError, match="no such prosody space"):
        open_space(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a prosody space"):
        open_space(tmp_path)


def test_a_manifest_cannot_reach_outside_the_folder(written, tmp_path):
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((written / "manifest.json").read_bytes())
    entry = {"bytes": 1, "sha256": spaces.file_hash(tmp_path / "secret")}
    (written / "manifest.json").write_text(json.dumps({"../secret": entry} | manifest))
    with pytest.raises(UserError, match="damaged"):
        open_space(written)


def test_what_else_lies_in_the_folder_is_left_alone(written):
    (written / "learned").mkdir()
    same(open_space(written), tiny_space())


# --- rows


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 400), max_size=9), max_size=6), st.integers(0, 12))
def test_ragged_rows_survive_padding(rows, width):
    ragged = Distances.from_rows([np.array(row, np.int32) for row in rows])
    assert [ragged.row(i).tolist() for i in range(len(ragged))] == rows and ragged.values.dtype == np.int16
    padded = ragged.padded(width)
    assert padded.shape == (len(rows), width) and padded.dtype == np.float32
    for row, numbers in zip(padded, rows, strict=True):
        assert row.tolist() == (numbers + [0] * width)[:width]
    assert ragged.padded().shape[1] == max(map(len, rows), default=0)


def test_a_subset_has_the_rows_in_the_order_asked_for(written):
    space = open_space(written)
    part = space.subset([5, 0])
    assert part.ids == ("e5", "e0") and part.info.entries == 2 and len(part.trees) == 2
    assert np.array_equal(part.mean, space.mean[[5, 0]]) and not isinstance(part.mean, np.memmap)
    assert part.distances.row(0).tolist() == space.distances.row(5).tolist()
    assert np.array_equal(part.features["rate"], space.features["rate"][[5, 0]])
    assert len(space.subset([])) == 0
    assert space.find(["e5", "e0"]).tolist() == [5, 0]
    with pytest.raises(UserError, match="unknown utterance 'e9'"):
        space.find(["e1", "e9"])


def test_the_centroid_is_the_mean_of_all_or_of_a_speaker(written):
    space = open_space(written)
    np.testing.assert_allclose(space.centroid(), space.mean.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(space.centroid("b"), space.mean[1::2].mean(axis=0), atol=1e-6)
    with pytest.raises(UserError, match="unknown speaker 'c'"):
        space.centroid("c")


def test_columns_of_different_lengths_are_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="not every column"):
        dataclasses.replace(tiny_space(), texts=("one",))


def test_a_space_knows_its_bundle():
    space = tiny_space()
    space.check_bundle(stub_bundle(fingerprint=space.info.bundle))
    with pytest.raises(UserError, match="another bundle"):
        space.check_bundle(stub_bundle(fingerprint="f" * 64))


# --- building


def stub_bundle(spec=HIFIGAN, kind="prosody_vae", fingerprint="ab" * 32):
    weights = np.random.default_rng(0).standard_normal((80, LATENT)).astype(np.float32)
    return Bundle(kind, {"prosody_vae": {"w": weights}}, {"prosody_vae": {}}, spec, {}, "", fingerprint)


def stub_encode(params, mel, mask):
    """Masked mean over time through one matrix: as much of an encoder as building has to know."""
    shares = mask / jnp.sum(mask, axis=1, keepdims=True)
    mean = jnp.einsum("btm,bt,mz->bz", mel, shares, params["w"])
    return mean, -0.01 * jnp.abs(mean)


@pytest.fixture(scope="module")
def corpus():
    made = synthetic_utterances(11, speakers=2, seconds=(0.3, 1.2))
    texts = list(TREES)
    made = [u._replace(text=texts[i % len(texts)]) for i, u in enumerate(made)]
    return memory_corpus(made, HIFIGAN)


def test_every_utterance_is_encoded_once_whatever_the_batches(corpus):
    built = [build_space(stub_bundle(), corpus, batch=batch, encode_fn=stub_encode) for batch in (1, 16)]
    for space in built:
        assert list(space.ids) == corpus.ids.tolist() and space.info.corpus == corpus.fingerprint
        assert np.allclose(space.mean, built[0].mean, atol=1e-5)
        assert np.allclose(space.variance, built[0].variance, atol=1e-5) and (space.variance > 0).all()
    for i in (0, 4, 10):
        utterance = corpus.utterance(i)
        mel = utterance.mel.astype(np.float32)[None]
        mean, log_variance = stub_encode(stub_bundle().params["prosody_vae"], mel, np.ones(mel.shape[:2], bool))
        assert np.allclose(built[0].mean[i], mean[0], atol=1e-5)
        assert np.allclose(built[0].variance[i], np.exp(log_variance[0]), atol=1e-5)
        expected = prosodic_features(*utterance_curves(utterance), HIFIGAN.frame_rate_hz)
        found = [built[1].features[name][i] for name in FEATURES]
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-6)
        assert (built[1].texts[i], built[1].speakers[i]) == (utterance.text, utterance.speaker)
    assert built[0].sentence_vectors is None and built[0].distances is None and built[0].info.parser == ""


def utterance_curves(utterance):
    return utterance.f0_hz, utterance.energy, utterance.phonemes, utterance.durations


def test_one_device_gives_what_eight_give(corpus, monkeypatch):
    from copycat_jax.train import sharding

    eight = build_space(stub_bundle(), corpus, batch=8, encode_fn=stub_encode)
    mesh = jax.make_mesh((1, 1), sharding.AXES, devices=jax.devices()[:1])
    monkeypatch.setattr(sharding, "make_mesh", lambda: mesh)
    one = build_space(stub_bundle(), corpus, batch=8, encode_fn=stub_encode)
    assert len(jax.devices()) == 8 and np.allclose(one.mean, eight.mean, atol=1e-5)


def test_texts_are_analysed_once_each_and_named(corpus):
    encoder = Letters()
    parser = recorded_parser(tiny_trees(), "by hand 1")
    space = build_space(stub_bundle(), corpus, encoder=encoder, parser=parser, encode_fn=stub_encode)
    assert sorted(encoder.seen) == sorted(TREES)
    assert space.info.encoder == "letters" and space.info.encoder_fingerprint == "1" * 64
    assert space.info.parser == "by hand 1" and space.sentence_vectors.dtype == np.float16
    for i in (0, 9):
        assert np.array_equal(space.sentence_vectors[i], encoder.encode([space.texts[i]])[0].astype(np.float16))
        assert np.array_equal(space.distances.row(i), syntactic_distance(space.trees[i]))
    again = build_space(stub_bundle(), corpus, trees=tiny_trees(), encode_fn=stub_encode, indices=np.array([9, 0]))
    assert list(again.ids) == [corpus.ids[0], corpus.ids[9]] and again.info.parser == "recorded"
    assert np.array_equal(again.distances.row(1), space.distances.row(9))


def test_mistakes_of_building_are_one_line(corpus):
    for bundle, more, complaint in (
        (stub_bundle(kind="copycat"), {}, "kind 'copycat'"),
        (stub_bundle(spec=PAPER_24K), {}, "mel convention 'paper_24k'"),
        (stub_bundle(), {"indices": np.array([], int)}, "no utterances"),
        (stub_bundle(), {"batch": 0}, "batches of 0"),
        (stub_bundle(), {"trees": {}}, "no tree for"),
        (stub_bundle()._replace(params={"prosody_vae": {"w": np.full((80, 2), np.nan)}}), {}, "is not finite"),
    ):
        with pytest.raises(UserError, match=complaint):
            build_space(bundle, corpus, **{"encode_fn": stub_encode} | more)
    silent = memory_corpus([corpus.utterance(0)._replace(text="")], HIFIGAN)
    with pytest.raises(UserError, match=f"text of utterance '{corpus.ids[0]}'"):
        build_space(stub_bundle(), silent, encoder=Letters(), encode_fn=stub_encode)
    assert build_space(stub_bundle(), silent, encode_fn=stub_encode).texts == ("",)


def test_the_package_is_cheap_to_import():
    code = "import sys, prosody_vae; assert not {'jax', 'numpy', 'flax'} & set(sys.modules); prosody_vae.ProsodySpace"
    code += "; assert not {'jax', 'flax', 'transformers'} & set(sys.modules); from prosody_vae import open_space"
    subprocess.run([sys.executable, "-c", code], check=True)
