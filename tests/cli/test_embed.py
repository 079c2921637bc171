"""`copycat embed`: vectors in corpus order whatever the batches, named by corpus and classifier, joined to batches."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from copycat_jax.bundle.bundle import read_bundle, write_bundle
from copycat_jax.cli import main
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions
from copycat_jax.corpus.corpus import open_corpus, write_vectors
from copycat_jax.corpus.description import VECTORS_FILE
from copycat_jax.data.batches import make_batches
from copycat_jax.data.plan import make_batch_plan
from copycat_jax.data.synthetic import synthetic_batch, write_plain_corpus
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.models.speaker import SIZES, SpeakerConfig, embed, make_task

SIZE = 12


@pytest.fixture(scope="module")
def corpus_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    write_plain_corpus(folder / "plain", 7, seconds=(0.4, 0.8))
    build_corpus([("plain", folder / "plain")], folder / "data", FeatureOptions(f0="none", audio_only=True))
    return folder / "data"


def write_classifier(path, spec=HIFIGAN):
    fields = {**dataclasses.asdict(SIZES["tiny"]), "speakers": 4, "embedding": SIZE}
    task = make_task(fields, {"mel_bins": 80, "speakers": 4, "embedding": SIZE})
    batch = synthetic_batch(2, 32, 4, embedding=SIZE)
    params = jax.tree.map(np.asarray, task.init(jax.random.key(0), batch))
    write_bundle(path, "speaker", {"speaker": params["model"]}, {"speaker": fields}, spec, {}, "# tiny\n")
    return path


def test_vectors_are_those_of_the_classifier_in_corpus_order(corpus_path, tmp_path):
    bundle = write_classifier(tmp_path / "spk")
    seen = []
    for batch in (3, 7):
        assert main(["embed", f"--bundle={bundle}", f"--corpus={corpus_path}", f"--batch={batch}"]) == 0
        corpus = open_corpus(corpus_path)
        assert corpus.speaker_vectors.shape == (7, SIZE)
        assert corpus.vectors_hash == read_bundle(bundle).fingerprint
        seen.append(corpus.speaker_vectors)
    stored = read_bundle(bundle)
    config = SpeakerConfig.from_dict(stored.config["speaker"])
    mel = corpus.utterance(4).mel.astype(np.float32)[None]
    alone = jax.jit(lambda *a: embed(a[0], config, *a[1:]))(stored.params["speaker"], mel, np.ones(mel.shape[:2], bool))
    for vectors in seen:
        assert np.allclose(vectors[4], alone[0], atol=1e-5) and np.allclose(vectors, seen[0], atol=1e-5)
    assert len(np.unique(seen[0].round(4), axis=0)) == 7
    plan = make_batch_plan(corpus.lengths, corpus.phones, batch_size=4)
    rows = make_batches(corpus, plan, 0)(0)
    assert np.array_equal(rows.speaker_vector, corpus.speaker_vectors[rows.index])


def test_mistakes_are_one_line_and_change_nothing(corpus_path, tmp_path, capsys):
    before = sorted(path.name for path in corpus_path.iterdir())
    other = write_classifier(tmp_path / "other", PAPER_24K)
    for arguments, complaint in (
        ([f"--bundle={other}", f"--corpus={corpus_path}"], "--spec"),
        ([f"--bundle={tmp_path / 'absent'}", f"--corpus={corpus_path}"], "no such bundle"),
        ([f"--bundle={tmp_path}", f"--corpus={corpus_path}"], "checkpoints"),
        ([f"--bundle={other}", f"--corpus={tmp_path}"], "not a built corpus"),
        ([f"--bundle={other}", f"--corpus={corpus_path}", "--batch=0"], "--batch"),
    ):
        assert main(["embed", *arguments]) == 2
        assert complaint in capsys.readouterr().err
    assert sorted(path.name for path in corpus_path.iterdir()) == before


def test_a_configuration_says_what_its_corpus_lacks(corpus_path, tmp_path, capsys):
    page = Path(__file__).parents[2] / "configs" / "prosody_vae.py"
    train = ["train", f"--config={page}:tiny", f"--corpus={corpus_path}", f"--run-dir={tmp_path / 'run'}"]
    (corpus_path / VECTORS_FILE).unlink(missing_ok=True)
    assert main(train) == 2 and "has no speaker vectors" in capsys.readouterr().err
    corpus = open_corpus(corpus_path)
    write_vectors(corpus_path / VECTORS_FILE, np.ones((len(corpus), SIZE), np.float32), corpus.fingerprint, "made up")
    modes = {(corpus_path / name).stat().st_mode for name in (VECTORS_FILE, "corpus.json")}
    assert len(modes) == 1  # who may read the corpus may read its vectors
    assert main(train) == 2 and "was built without F0" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
