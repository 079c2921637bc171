"""What is written is what is opened; damage is one line; nothing else is replaced."""

import dataclasses
import json
import os

import numpy as np
import pytest
from tiny_space import tiny_space

from copycat_jax.bundle.bundle import write_bundle
from copycat_jax.errors import UserError
from copycat_jax.files import file_hash
from copycat_jax.mel_spec import HIFIGAN
from prosody_vae.space import files
from prosody_vae.space.files import open_space, write_space


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


def test_what_is_written_is_what_is_opened(written):
    space = tiny_space()
    opened = open_space(written)
    same(opened, space)
    assert (
        opened.info == dataclasses.replace(space.info, latent=space.mean.shape[1], entries=len(space))
        and len(opened) == 7
    )
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
        patched.setattr(files, "check_rows", lambda *_: None)
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
    monkeypatch.setattr(files, "HASHED_BYTES", 10)
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
    manifest[name] = {"bytes": len(content), "sha256": file_hash(path / name)}
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
    entry = {"bytes": 1, "sha256": file_hash(tmp_path / "secret")}
    (written / "manifest.json").write_text(json.dumps({"../secret": entry} | manifest))
    with pytest.raises(UserError, match="damaged"):
        open_space(written)


def test_what_else_lies_in_the_folder_is_left_alone(written):
    (written / "learned").mkdir()
    same(open_space(written), tiny_space())
