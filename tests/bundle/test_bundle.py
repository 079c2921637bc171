import json
import os
from pathlib import Path

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
    """A bundle of a small speaker classifier."""
    whole = tiny_contents()
    parts = {part: {"speaker": whole[part]["speaker"]} for part in ("params", "config")}
    return {**parts, "spec": HIFIGAN, "speakers": {}, "card": "card"} | changes


def with_bias(bias):
    """The parameters of `small` with another bias of the head."""
    params = tiny_contents()["params"]["speaker"]
    return {"speaker": params | {"head": params["head"] | {"bias": bias}}}


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
    contents = small()
    weight = np.arange(384, dtype=np.float32).reshape(3, 128)
    contents["params"]["speaker"]["head"]["kernel"] = weight.T
    path = write_bundle(tmp_path / "b", "speaker", **contents)
    np.testing.assert_array_equal(read_bundle(path).params["speaker"]["head"]["kernel"], weight.T)


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
    with pytest.raises(UserError, match="weight speaker/head/bias"):
        write_bundle(tmp_path / "b", "speaker", **small(params=with_bias(np.array([0, bad, 0]))))
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
    voice = Speaker(tuple(np.ones(128, np.float32)), np.float32(100), np.float64(3), np.int64(2), np.float32(9))  # type: ignore
    path = write_bundle(tmp_path / "b", "speaker", **small(speakers={"x": voice}))
    assert read_bundle(path).speakers["x"].register_hz == 100


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path, contents):
    """A kernel that is too short loads into many frameworks, and speaks nonsense."""
    import copy

    def refused(change, what):
        changed = copy.deepcopy(contents)
        change(changed)
        path = write_bundle(tmp_path / "b", "copycat", **changed)
        with pytest.raises(UserError, match=f"corrupt bundle.*{what}") as error:
            read_bundle(path)
        assert str(path) in str(error.value)

    def decoder(changed):
        return changed["params"]["copycat"]["decoder"]

    def shorten(changed):
        decoder(changed)["output"]["kernel"] = decoder(changed)["output"]["kernel"][:-1]

    def narrow(changed):
        voice = changed["speakers"]["af_heart"]
        changed["speakers"]["af_heart"] = voice._replace(centroid=voice.centroid[:-1])

    refused(shorten, r"copycat/decoder/output/kernel has shape \(15, 80\).*asks for \(16, 80\)")
    refused(lambda c: decoder(c)["output"].pop("bias"), "copycat/decoder/output/bias is missing")
    refused(lambda c: decoder(c)["output"].update(more=np.ones(2)), "output/more belongs to no such model")
    refused(lambda c: c["config"]["copycat"].update(colour="red"), "unknown field 'colour'")
    refused(lambda c: c["config"]["copycat"].update(width="wide"), "")
    refused(lambda c: c["config"]["copycat"].update(mel_bins=64), "64 mel bins in a convention of 80")
    refused(narrow, "the centroid of 'af_heart' has 127 numbers, not 128")


@pytest.mark.parametrize(
    ("name", "fields", "what"),
    [
        ("config.json", {"licence": "mine"}, "'licence' belongs to no bundle"),
        ("config.json", {"format": 2}, "format 2, this version reads 1"),
        ("mel.json", {"hop_samples": 0}, "no mel convention"),
        ("mel.json", {"colour": 1}, "not a mel convention"),
        ("speakers.json", {"x": {"centroid": [1.0], "colour": 1}}, "speaker 'x'"),
    ],
)
def test_foreign_fields_are_refused(bundle, name, fields, what):
    rewrite(bundle, name, json.dumps(json.loads((bundle / name).read_bytes()) | fields))
    with pytest.raises(UserError, match=what):
        read_bundle(bundle)


def test_a_foreign_file_is_refused(bundle):
    (bundle / "run.py").write_text("")
    rewrite(bundle, "run.py", "print()")
    with pytest.raises(UserError, match=r"'run\.py' belongs to no bundle"):
        read_bundle(bundle)


def test_weights_of_strange_types_are_refused(bundle):
    import hashlib

    header = json.dumps({"w": {"dtype": "F4", "shape": [1], "data_offsets": [0, 1]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"x"
    (bundle / "copycat.safetensors").write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["copycat.safetensors"] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not readable"):
        read_bundle(bundle)


def test_a_bundle_of_this_format_is_read_for_good():
    """Stored by the version that first checked shapes; later ones must read it, whatever they write."""
    back = read_bundle(Path(__file__).parent / "stored" / "format_1", "copycat")
    assert back.config["copycat"]["width"] == 4 and back.speakers["someone"].register_hz == 123.0
    assert back.fingerprint == "d70656c8c8671620b9c8026bbd0ba55f058c32e6a2e17ac6547fc8a64a68331a"
    np.testing.assert_array_equal(back.params["copycat"]["decoder"]["output"]["bias"], np.arange(80) / 64)
