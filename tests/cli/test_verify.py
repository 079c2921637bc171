"""`copycat verify`: what is whole and the same model passes, anything else is one line."""

import json

import numpy as np
import pytest
from exported import tiny_vocoder
from one_line import refused
from tiny_bundle import tiny_contents, write_tiny

from copycat_jax.bundle.bundle import write_bundle
from copycat_jax.cli import main
from copycat_jax.export import prepared

pytest.importorskip("onnx")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A tiny bundle, a tiny vocoder's, and a short recording ready for them."""
    rng = np.random.default_rng(5)
    mel = (2 * rng.standard_normal((40, 80)) - 5).astype(np.float32)
    short = prepared.Prepared(mel, np.arange(5, 13, dtype=np.int32), np.full(8, 5, np.int32), np.array(120, np.float32))
    monkeypatch.setattr(prepared, "prepare_recording", lambda *_: short)
    sound = tiny_vocoder()
    vocoder = write_bundle(tmp_path / "vocoder", "vocoder", sound.params, sound.config, sound.spec, {}, "card")
    return ["--bundle", str(write_tiny(tmp_path / "tiny")), "--vocoder", str(vocoder)]


def test_an_export_is_compared_when_it_is_written(capsys, work, folders, tmp_path):
    assert main(["export", "onnx", *folders, "--out", "graphs"]) == 0
    readme = (work / "graphs" / "README.md").read_text()
    assert "| onnxruntime |" in readme and "| runtime |" in capsys.readouterr().out
    contents = tiny_contents()
    contents["params"]["copycat"]["decoder"]["output"]["bias"] += 1
    other = str(write_bundle(tmp_path / "other", "copycat", **contents))
    assert "made of another bundle" in refused(capsys, "verify", "graphs", "--bundle", other)
    (work / "graphs" / "voices.json").write_text("{}")
    assert "voices.json differs" in refused(capsys, "verify", "graphs", *folders)
    about = json.loads((work / "graphs" / "export.json").read_text())
    (work / "graphs" / "export.json").write_text(json.dumps(about | {"format": 2}))
    assert "format 2, this version reads 1" in refused(capsys, "verify", "graphs", *folders)
    assert "no such bundle" in refused(capsys, "verify", "absent")


@pytest.mark.slow
def test_what_is_another_model_is_seen(capsys, work, folders, tmp_path, symbolic):
    assert main(["verify", folders[1], *folders[2:]]) == 0
    said = capsys.readouterr().out
    assert "format 1, hashes and shapes are right" in said and "| jax.export |" in said
    # Somebody's export that says it was made of this bundle, and is not.
    contents = tiny_contents()
    contents["params"]["copycat"]["decoder"]["output"]["bias"] += 1e-2
    other = write_bundle(tmp_path / "other", "copycat", **contents)
    assert main(["export", "onnx", "--bundle", str(other), *folders[2:], "--out", "graphs", "--no-check"]) == 0
    about = json.loads((work / "graphs" / "export.json").read_text())
    from copycat_jax.bundle.bundle import read_bundle

    about["bundles"]["copycat"] = read_bundle(folders[1]).fingerprint
    (work / "graphs" / "export.json").write_text(json.dumps(about))
    assert "not the same model" in refused(capsys, "verify", "graphs", *folders)
