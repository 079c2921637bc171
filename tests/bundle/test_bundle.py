import json
import os

import numpy as np
import pytest
from tiny_bundle import tiny_contents

from copycat_jax.bundle.bundle import (
    KINDS,
    Speaker,
    flatten,
    read_bundle,
    read_speakers,
    unflatten,
    write_bundle,
)
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN


@pytest.fixture(scope="module")
def contents():
    return tiny_contents()


@pytest.fixture
def bundle(tmp_path, contents):
    return write_bundle(tmp_path / "bundle", "copycat", **contents)


def small(**changes):
    """A speaker bundle of one small weight."""
    fields = {"params": {"speaker": {"a": {"w": np.ones((2, 3))}}}, "config": {"speaker": {"states": 4}}}
    return fields | {"spec": HIFIGAN, "speakers": {}, "card": "card"} | changes


def test_it_comes_back_in_float16_precision(bundle, contents):
    back = read_bundle(bundle, "copycat")
    assert (back.kind, back.spec, back.card) == ("copycat", HIFIGAN, contents["card"])
    assert back.config == contents["config"]
    assert back.speakers == contents["speakers"]
    for group in KINDS["copycat"]:
        ours, theirs = flatten(back.params[group]), flatten(contents["params"][group])
        assert list(ours) == list(theirs)
        for path in ours:
            assert ours[path].dtype == np.float32
            np.testing.assert_array_equal(ours[path], theirs[path].astype(np.float16).astype(np.float32))


def test_the_same_content_has_the_same_fingerprint(bundle, contents, tmp_path):
    again = write_bundle(tmp_path / "again", "copycat", **contents)
    assert read_bundle(again).fingerprint == read_bundle(bundle).fingerprint


def test_a_transposed_array_keeps_its_values(tmp_path):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = write_bundle(tmp_path / "b", "speaker", **small(params={"speaker": {"w": weight.T}}))
    np.testing.assert_array_equal(read_bundle(path).params["speaker"]["w"], weight.T)


def test_flatten_and_unflatten_are_inverse():
    tree = {"a": {"b": {"c": np.ones(2)}, "d": np.zeros(1)}, "e": np.ones(3)}
    assert list(flatten(tree)) == ["a/b/c", "a/d", "e"]
    assert flatten(unflatten(flatten(tree))).keys() == flatten(tree).keys()


def test_the_manifest_names_every_other_file(bundle):
    names = set(json.loads((bundle / "manifest.json").read_bytes()))
    assert names | {"manifest.json"} == set(os.listdir(bundle))


def test_voices_are_read_without_the_weights(bundle, contents):
    (bundle / "copycat.safetensors").unlink()
    assert read_speakers(bundle) == contents["speakers"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_any_damaged_file_is_refused(bundle, damage):
    for name in os.listdir(bundle):
        before = (bundle / name).read_bytes()
        if damage == "flip":
            middle = len(before) // 2
            (bundle / name).write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        elif damage == "truncate":
            (bundle / name).write_bytes(before[:-1])
        else:
            (bundle / name).unlink()
        if (damage, name) != ("truncate", "manifest.json"):  # its last byte is a line feed
            with pytest.raises(UserError) as error:
                read_bundle(bundle)
            assert str(bundle) in str(error.value)
        (bundle / name).write_bytes(before)
    read_bundle(bundle)


def rewrite(bundle, name, content):
    """Replaces a file and its hash, as somebody else's program might."""
    import hashlib

    (bundle / name).write_text(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest[name] = hashlib.sha256(content.encode()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_a_kind_is_looked_up_and_never_imported(bundle, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = json.loads((bundle / "config.json").read_bytes())
    rewrite(bundle, "config.json", json.dumps(config | {"kind": "evil:make_task"}))
    with pytest.raises(UserError, match="foreign"):
        read_bundle(bundle)


def test_other_formats_kinds_and_inventories_are_refused(bundle, tmp_path):
    with pytest.raises(UserError, match="not 'speaker'"):
        read_bundle(bundle, "speaker")
    rewrite(bundle, "phonemes.txt", "PAD\nSIL\n")
    with pytest.raises(UserError, match="inventory"):
        read_bundle(bundle)
    with pytest.raises(UserError, match="no such bundle"):
        read_bundle(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not a bundle"):
        read_bundle(tmp_path / "empty")


def test_a_manifest_cannot_reach_outside_the_folder(bundle, tmp_path):
    (tmp_path / "secret").write_text("x")
    rewrite(bundle, "../secret", "x")
    with pytest.raises(UserError, match="corrupt"):
        read_bundle(bundle)


def test_speakers_that_make_no_sense_are_refused(bundle):
    speakers = json.loads((bundle / "speakers.json").read_bytes())
    for field, nonsense in (("register_hz", 0), ("tracker", "ears")):
        rewrite(bundle, "speakers.json", json.dumps(speakers | {"af_heart": speakers["af_heart"] | {field: nonsense}}))
        with pytest.raises(UserError, match="af_heart"):
            read_bundle(bundle)


def test_registers_name_their_tracker_and_older_bundles_mean_pyin(bundle):
    speakers = json.loads((bundle / "speakers.json").read_bytes())
    assert speakers["af_heart"].pop("tracker") == "pyin"
    rewrite(bundle, "speakers.json", json.dumps(speakers))
    assert read_bundle(bundle).speakers["af_heart"].tracker == "pyin"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_weights_that_float16_cannot_hold_leave_nothing_behind(tmp_path, bad):
    with pytest.raises(UserError, match="weight speaker/w"):
        write_bundle(tmp_path / "b", "speaker", **small(params={"speaker": {"w": np.array([bad])}}))
    assert os.listdir(tmp_path) == []


def test_a_bundle_is_replaced_but_nothing_else_is(tmp_path):
    path = write_bundle(tmp_path / "b", "speaker", **small())
    write_bundle(path, "speaker", **small(card="newer"))
    assert read_bundle(path).card == "newer"
    assert os.listdir(tmp_path) == ["b"]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(UserError, match="not a bundle"):
        write_bundle(tmp_path / "letters", "speaker", **small())
    with pytest.raises(UserError, match="no folder"):
        write_bundle(tmp_path / "absent" / "b", "speaker", **small())
    assert sorted(os.listdir(tmp_path)) == ["b", "letters"]


def test_numpy_scalars_are_welcome_in_speakers(tmp_path):
    voice = Speaker(tuple(np.ones(2, np.float32)), np.float32(100), np.float64(3), np.int64(2), np.float32(9))  # type: ignore
    path = write_bundle(tmp_path / "b", "speaker", **small(speakers={"x": voice}))
    assert read_bundle(path).speakers["x"].register_hz == 100
