"""`copycat export`: a run and its voices become a bundle; what does not fit is one line and leaves nothing."""

import json

import numpy as np
from one_line import refused
from tiny_bundle import tiny_contents

from copycat_jax.bundle.bundle import read_bundle
from copycat_jax.cli import main


def test_export_makes_a_bundle_of_a_run(capsys, work, monkeypatch, tmp_path):
    from copycat_jax.corpus import corpus as corpora
    from copycat_jax.corpus import description
    from copycat_jax.data.synthetic import synthetic_utterances
    from copycat_jax.mel_spec import HIFIGAN
    from copycat_jax.train import checkpoint

    contents = tiny_contents()
    shapes = {"mel_bins": 80, "embedding": 128, "speakers": 3}

    trained = {}

    def kind_of(run_dir):
        return "speaker" if "spk" in str(run_dir) else "copycat"

    def restore(run_dir, ema=True, step=None):
        kind = kind_of(run_dir)
        config = {
            "model": contents["config"][kind],
            "shapes": shapes,
            "mel_spec": HIFIGAN.to_dict(),
            **trained,
        }
        return {"model": contents["params"][kind]}, config, 40

    utterances = synthetic_utterances(8, speakers=2, seconds=(0.3, 0.6))
    vectors = np.random.default_rng(0).standard_normal((8, 128)).astype(np.float32)
    corpus = corpora.memory_corpus(utterances, HIFIGAN, vectors)
    monkeypatch.setattr(checkpoint, "read_task_name", kind_of)
    monkeypatch.setattr(checkpoint, "restore_params", restore)
    monkeypatch.setattr(corpora, "open_corpus", lambda path: corpus)
    assert main(["export", "--run", "spk_run", "--out", "spk"]) == 0
    assert read_bundle("spk", "speaker").speakers == {}
    name = corpus.speakers[1]
    run = ["export", "--run", "run", "--corpus", "data", "--out", "voices"]
    assert main([*run, "--speaker", "spk", "--voices", name]) == 0
    made = read_bundle("voices", "copycat")
    np.testing.assert_allclose(made.speakers[name].centroid, vectors[corpus.speaker == 1].mean(axis=0), rtol=1e-5)
    assert made.speakers[name].register_hz == corpus.info.speakers[name].register_hz
    assert main([*run, "--speaker", "spk", "--voices", name, "--hear"]) == 0
    heard = read_bundle("voices", "copycat").speakers[name]
    assert (heard.tracker, made.speakers[name].tracker) == ("vocoder", "pyin")
    np.testing.assert_allclose(heard.register_hz, made.speakers[name].register_hz, rtol=0.1)
    assert made.config["copycat"] == contents["config"]["copycat"]
    assert name in made.card and "synthetic" in made.card
    assert "needs its speaker classifier" in refused(capsys, *run)
    assert "unknown speaker" in refused(capsys, *run, "--speaker", "spk", "--voices", "nobody")
    trained["vectors_by"] = "0" * 64
    assert "trained on the speaker vectors of another" in refused(capsys, *run, "--speaker", "spk", "--voices", name)
    trained["vectors_by"] = read_bundle("spk").fingerprint
    assert "no --corpus" in refused(capsys, *run[:3], "--out", "x", "--speaker", "spk")
    (work / "letters").mkdir()
    (work / "letters" / "dear.txt").write_text("")
    assert "not a bundle" in refused(capsys, "export", "--run", "run", "--out", "letters")
    silent = description.SpeakerStatistics(4, 2.0, None, None)
    corpus.info.speakers[name] = silent
    assert "register" in refused(capsys, *run, "--speaker", "spk", "--voices", name)
    (tmp_path / "registers.json").write_text(json.dumps({name: 123.0}))
    assert main([*run, "--speaker", "spk", "--voices", name, "--registers", str(tmp_path / "registers.json")]) == 0
    assert read_bundle("voices").speakers[name].register_hz == 123.0
