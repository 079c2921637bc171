"""`copycat export` for other runtimes: a whole folder or nothing, and nothing of others is replaced."""

import json

import numpy as np
import pytest
from one_line import refused
from tiny_bundle import write_tiny

from copycat_jax.cli import main
from copycat_jax.export.folder import read_export

pytest.importorskip("onnx")

TEXT = ["--text", "The birch canoe slid on the smooth planks."]


def test_onnx_and_sources(capsys, work, tmp_path, monkeypatch):
    from copycat_jax.export import prepared

    mel = np.zeros((3, 80), np.float32)
    made = prepared.Prepared(mel, *np.ones((2, 3), np.int32), np.array(100, np.float32))
    monkeypatch.setattr(prepared, "prepare_recording", lambda *_: made)
    bundle = str(write_tiny(tmp_path / "tiny"))
    assert main(["export", "onnx", "--bundle", bundle, "--out", "graphs", "--no-check"]) == 0
    export = read_export("graphs")
    assert export.kind == "onnx" and set(export.bundles) == {"copycat", "vocoder"}
    assert set(json.loads((work / "graphs" / "voices.json").read_text())) == {"af_heart", "am_michael", "bf_emma"}
    assert main(["export", "onnx", "--bundle", bundle, "--out", "graphs", "--no-check"]) == 0  # an export is replaced
    assert main(["export", "source", "a.wav", *TEXT, "--out", "s.npz", "--bundle", bundle]) == 0
    assert np.load("s.npz")["mel"].shape == (3, 80)
    (work / "letters").mkdir()
    (work / "letters" / "dear.txt").write_text("")
    assert "not a folder of" in refused(capsys, "export", "onnx", "--out", "letters")
    assert "go together" in refused(capsys, "export", "onnx", "--bundle", bundle, "--out", "x", *TEXT)
    assert "does not end in .npz" in refused(capsys, "export", "source", "a.wav", *TEXT, "--out", "s.wav")
