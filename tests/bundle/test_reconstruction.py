"""A bundle makes mels of the recordings of its own voices, on their frames; what it cannot make is refused."""

import dataclasses

import numpy as np
import pytest

from copycat_jax.bundle.bundle import Bundle, Speaker
from copycat_jax.bundle.reconstruction import finetuning_inputs, reconstructed_mels
from copycat_jax.data.audio import AudioConfig
from copycat_jax.data.inputs import synthetic_corpus
from copycat_jax.data.plan import Share
from copycat_jax.errors import UserError
from copycat_jax.models import copycat, vocoder
from copycat_jax.models.copycat import make_task


@pytest.fixture(scope="module")
def corpus():
    return synthetic_corpus(1.5, audio=True)


@pytest.fixture(scope="module")
def bundle(corpus):
    import jax

    fields = dataclasses.replace(copycat.SIZES["tiny"], adversarial=False).sized({"embedding": 128}).to_dict()
    task = make_task(fields, {"mel_bins": 80, "embedding": 128})
    params = jax.jit(task.init)(jax.random.key(0), None)["model"]
    voice = Speaker(centroid=(0.0,) * 128, register_hz=150.0, spread_semitones=2.0, utterances=1, seconds=1.0)
    voices = dict.fromkeys(list(corpus.speakers)[:2], voice)
    return Bundle("copycat", {"copycat": params}, {"copycat": fields}, corpus.spec, voices, "", "")


def test_own_voices_are_reconstructed_on_their_frames(corpus, bundle):
    mels = reconstructed_mels(bundle, corpus)
    own = [i for i in range(len(corpus)) if corpus.speakers[corpus.speaker[i]] in bundle.speakers]
    assert sorted(mels) == own and 0 < len(own) < len(corpus)
    for index, mel in mels.items():
        assert mel.shape == corpus.utterance(index).mel.shape and np.isfinite(mel).all()
    again = reconstructed_mels(bundle, corpus, batch_frames=1000)  # other batches and shapes, the same mels
    assert max(np.abs(again[i].astype(np.float32) - mels[i].astype(np.float32)).max() for i in own) < 0.05


def test_what_makes_no_mels_is_refused(corpus, bundle):
    with pytest.raises(UserError, match="none of whom"):
        reconstructed_mels(bundle._replace(speakers={"nobody": next(iter(bundle.speakers.values()))}), corpus)
    with pytest.raises(UserError, match="makes no mels"):
        reconstructed_mels(bundle._replace(kind="vocoder"), corpus)
    with pytest.raises(UserError, match="mel convention"):
        reconstructed_mels(bundle._replace(spec=dataclasses.replace(corpus.spec, name="x", hop_samples=300)), corpus)
    with pytest.raises(UserError, match="no bundle"):
        finetuning_inputs(None, {"data": AudioConfig().to_dict()}, Share())


def test_every_vocoder_step_has_a_task(bundle):
    assert make_task(dict(bundle.config["copycat"]), {}).reconstruct is not None
    assert vocoder.make_task({}, {"mel_spec": bundle.spec.to_dict()}).reconstruct is None
