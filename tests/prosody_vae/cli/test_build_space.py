"""`prosody build-space` and `prosody export`: run to bundle to space, and what is refused before any work."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_space import TREES, Letters
from tiny_voice import tiny_contents, write_tiny_voice

from copycat_jax.bundle.bundle import read_bundle
from copycat_jax.corpus import corpus as corpora
from copycat_jax.corpus import description
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.train import checkpoint
from prosody_vae.cli import main
from prosody_vae.linguistics import bert, syntax
from prosody_vae.space.files import open_space


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def corpus(monkeypatch):
    texts = list(TREES)
    made = synthetic_utterances(6, speakers=2, seconds=(0.3, 0.5))
    made = [u._replace(text=texts[i % len(texts)]) for i, u in enumerate(made)]
    vectors = np.random.default_rng(0).standard_normal((6, 128)).astype(np.float32)
    corpus = corpora.memory_corpus(made, HIFIGAN, vectors)
    monkeypatch.setattr(corpora, "open_corpus", lambda path, with_vectors=True: corpus)
    return corpus


@pytest.fixture
def bundle(work):
    return str(write_tiny_voice(work / "voice"))


def refused(capsys, *arguments):
    capsys.readouterr()
    before = sorted(os.listdir())
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("prosody: ") and error.count("\n") == 1
    assert sorted(os.listdir()) == before
    return error


def test_a_space_is_built_with_its_linguistics(capsys, work, corpus, bundle, monkeypatch):
    monkeypatch.setattr(bert, "find_encoder", lambda name=None: Letters())
    (work / "trees.json").write_text(json.dumps(TREES))
    build = ["build-space", "--bundle", bundle, "--corpus", "data", "--out", "space"]
    assert main([*build, "--trees", "trees.json"]) == 0
    assert "6 utterances of 2 speakers" in capsys.readouterr().out
    space, voice = open_space("space"), read_bundle(bundle)
    space.check_bundle(voice)
    assert list(space.ids) == corpus.ids.tolist() and space.mean.shape == (6, voice.config["prosody_vae"]["latent"])
    assert len(np.unique(np.round(space.mean, 5), axis=0)) == 6
    assert space.info.encoder == "letters" and space.info.parser == "recorded trees.json"
    assert [len(space.distances.row(i)) for i in range(4)] == [5, 4, 1, 7]
    none = ["--encoder", "none", "--parser", "none"]
    assert main([*build, *none, "--speakers", corpus.speakers[1], "--match", "0000[13]$"]) == 0
    part = open_space("space")
    assert list(part.ids) == [corpus.ids[1], corpus.ids[3]] and part.sentence_vectors is None and part.trees is None
    np.testing.assert_allclose(part.mean, space.mean[[1, 3]], atol=1e-5)


def test_what_is_missing_or_wrong_is_said_before_any_work(capsys, work, corpus, bundle, monkeypatch):
    build = ["build-space", "--bundle", bundle, "--corpus", "data", "--out", "space"]
    none = ["--encoder", "none", "--parser", "none"]
    monkeypatch.delenv("PROSODY_ENCODER", raising=False)
    monkeypatch.setattr(bert.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(bert, "cached_folder", lambda name: None)
    monkeypatch.setattr(syntax, "installed_parsers", list)
    assert "pip install" in (line := refused(capsys, *build)) and "--encoder none" in line
    assert "apt install" in (line := refused(capsys, *build, "--encoder", "none")) and "--parser none" in line
    assert "stanza" in refused(capsys, *build, "--encoder", "none", "--parser", "stanzza")
    assert "no such file" in refused(capsys, *build, "--encoder", "none", "--trees", "absent.json")
    assert "both" in refused(capsys, *build, "--encoder", "none", "--trees", "x", "--parser", "auto")
    assert "unknown speaker 'nobody'" in refused(capsys, *build, *none, "--speakers", "nobody")
    assert "regular expression" in refused(capsys, *build, *none, "--match", "(")
    assert "none of 6" in refused(capsys, *build, *none, "--match", "xyz")
    assert "--batch" in refused(capsys, *build, *none, "--batch", "0")
    assert "no such bundle" in refused(capsys, *build, *none, "--bundle", "absent")
    assert "not a prosody space" in refused(capsys, *build, *none, "--out", bundle)


def test_export_makes_a_voice_of_a_run(capsys, work, corpus, monkeypatch):
    contents = tiny_contents()
    fields = contents["config"]["prosody_vae"]
    shapes = {"mel_bins": 80, "embedding": 128, "speakers": 2}
    tasks = {"run": "prosody_vae", "other": "copycat"}

    def restore(run_dir, ema=True, step=None):
        spec = HIFIGAN.to_dict()
        config = {"model": fields, "shapes": shapes, "mel_spec": spec}
        return {"model": contents["params"]["prosody_vae"]}, config, 40

    monkeypatch.setattr(checkpoint, "read_task_name", lambda run_dir: tasks[Path(run_dir).name])
    monkeypatch.setattr(checkpoint, "restore_params", restore)
    monkeypatch.setattr(checkpoint, "best_step", lambda run_dir: (None, None))
    name = corpus.speakers[1]
    export = ["export", "--run", "run", "--corpus", "data", "--out", "made"]
    assert main([*export, "--voices", name]) == 0
    made = read_bundle("made", "prosody_vae")
    own = corpus.speaker_vectors[corpus.speaker == 1].mean(axis=0)
    np.testing.assert_allclose(made.speakers[name].centroid, own, rtol=1e-5)
    assert made.config["prosody_vae"] == fields and list(made.speakers) == [name]
    assert name in made.card and "build-space" in made.card and "synthetic" in made.card
    assert "unknown speaker" in refused(capsys, *export, "--voices", "nobody")
    assert "no --corpus" in refused(capsys, "export", "--run", "run", "--out", "x")
    assert "a run of 'copycat' makes no bundle here" in refused(
        capsys, "export", "--run", "other", "--corpus", "data", "--out", "x"
    )
    assert "--out, --space" in refused(capsys, "export", "--run", "run")
    assert "--voices" in refused(capsys, "export", "--run", "run", "--space", "s", "--voices", name)
    assert "not of the selector" in refused(capsys, "export", "--run", "run", "--space", "s")
    corpus.info.speakers[name] = description.SpeakerStatistics(3, 2.0, None, None)
    assert "register" in refused(capsys, *export, "--voices", name)
    (work / "registers.json").write_text(json.dumps({name: 123.0}))
    assert main([*export, "--voices", name, "--registers", "registers.json"]) == 0
    assert read_bundle("made").speakers[name].register_hz == 123.0
