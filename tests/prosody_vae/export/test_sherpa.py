"""The voice in one graph for sherpa-onnx says what our own synthesis says, in the same time."""

import numpy as np
import pytest
from exported import DECIBEL, decibel, tiny_vocoder
from tiny_voice import tiny_bundle

from copycat_jax.bundle.bundle import write_bundle
from copycat_jax.export.folder import write_export
from copycat_jax.export.session import open_model
from copycat_jax.text.lexicon import words_of
from copycat_jax.text.pronunciation import dictionary
from prosody_vae.export.sherpa import TOKENS, sherpa_files
from prosody_vae.tts.voice import FADE_S, open_voice

pytest.importorskip("onnx")

TEXT = "The little shop sells bread, cheese and apples."


@pytest.fixture(scope="module")
def styles():
    rng = np.random.default_rng(6)
    latent = tiny_bundle().config["prosody_vae"]["latent"]
    return {name: rng.standard_normal(latent).astype(np.float32) for name in ("calm", "lively")}


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    sound = tiny_vocoder()
    folder = tmp_path_factory.mktemp("vocoder") / "tiny"
    write_bundle(folder, "vocoder", sound.params, sound.config, sound.spec, {}, "card")
    return open_voice(tiny_bundle(), folder)


@pytest.fixture(scope="module")
def folder(styles, tmp_path_factory):
    words = {word.text: word.variants[0] for word in words_of(TEXT)}
    return write_export(
        tmp_path_factory.mktemp("sherpa") / "voice",
        "sherpa",
        sherpa_files(tiny_bundle(), tiny_vocoder(), styles, words),
        {},
    )


def test_tokens_become_the_samples_of_the_voice(folder, styles, voice):
    tokens = []
    for word in words_of(TEXT):
        tokens += [*word.variants[0], "," if word.text == "bread" else " "]
    ids = np.array([[TOKENS.index(token) for token in [*tokens[:-1], "."]]])
    run = open_model(folder / "model.onnx", 1)
    one = np.ones(1, np.float32)
    scales = {"noise_scale": one, "length_scale": one, "noise_scale_w": one}
    for sid, embedding in enumerate(styles.values()):
        made = run(x=ids, x_length=np.array([ids.shape[1]]), sid=np.array([sid]), **scales)["y"][0, 0]
        said, rate = voice.speak(TEXT, embedding).samples, voice.sample_rate
        assert len(made) == len(said)
        # F0 is heard in the graph, and its last bits add up to a phase: what begins alike drifts apart in seconds.
        heard = slice(round(FADE_S * rate), rate // 2)
        assert decibel(said[heard], np.clip(made, -1, 1)[heard]) > DECIBEL


def test_a_stock_sherpa_speaks_it_in_the_same_time(folder, styles, voice):
    sherpa = pytest.importorskip("sherpa_onnx")
    files = {name: str(folder / f"{name}.txt") for name in ("lexicon", "tokens")}
    vits = sherpa.OfflineTtsVitsModelConfig(model=str(folder / "model.onnx"), **files)
    loaded = sherpa.OfflineTts(sherpa.OfflineTtsConfig(model=sherpa.OfflineTtsModelConfig(vits=vits)))
    assert loaded.num_speakers == len(styles) and loaded.sample_rate == voice.sample_rate
    for sid, embedding in enumerate(styles.values()):
        how = sherpa.GenerationConfig()
        how.sid, how.silence_scale = sid, 1.0
        assert len(loaded.generate(TEXT, how).samples) == len(voice.speak(TEXT, embedding).samples)


def test_the_dictionary_is_wide_and_of_words():
    words = dictionary()
    assert len(words) > 100_000 and words["pizza"] == ("P", "IY1", "T", "S", "AH0")
    assert all(word.replace("'", "").isalpha() for word in list(words)[::997])
