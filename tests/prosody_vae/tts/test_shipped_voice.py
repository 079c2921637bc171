"""The embedding of the shipped voice is used: another one changes melody and timing, by stated amounts."""

import numpy as np
import pytest

from prosody_vae.space.files import open_space, shipped_space

SENTENCES = [
    "Does he wear a black suit or a blue one?",
    "Who ate the rest of my pizza?",
    "Get scores, schedules, and listen to live audio streams.",
    "The brown fox is quick, and it is jumping over the lazy dog.",
    "The children walked slowly across the frozen lake.",
    "Have you seen my keys?",
    "We bought apples, pears, plums, and a bag of nuts.",
    "Where did they find the old map?",
    "Close the window before you leave.",
    "If it rains tomorrow, we will stay at home.",
    "What a beautiful morning this is!",
]


@pytest.fixture(scope="module")
def space():
    return open_space(shipped_space())


@pytest.fixture(scope="module")
def voice():
    from prosody_vae.tts.voice import open_voice

    return open_voice()


def extremes(space, feature):
    """Mean embedding of the tenth of the bank with the lowest, and of that with the highest, value of a feature."""
    values = np.asarray(space.features[feature])
    order = np.argsort(values)
    order = order[np.isfinite(values[order])]
    tenth = len(order) // 10
    return [np.asarray(space.mean)[part].mean(0) for part in (order[:tenth], order[-tenth:])]


def said(voice, embedding, name):
    plans = voice.predict(SENTENCES, np.tile(embedding, (len(SENTENCES), 1)))
    return np.array([voice.features(plan)[name] for plan in plans])


def test_another_embedding_changes_melody_and_timing(space, voice):
    low, high = (said(voice, z, "f0_spread_st") for z in extremes(space, "f0_spread_st"))
    assert np.mean(high - low) > 2.0  # semitones; the tenths of the bank differ by 2.8
    low, high = (said(voice, z, "f0_mean_hz") for z in extremes(space, "f0_mean_hz"))
    assert np.mean(12 * np.log2(high / low)) > 2.5  # semitones; the tenths of the bank differ by 3.9
    slow, fast = (said(voice, z, "seconds") for z in extremes(space, "rate"))
    assert np.mean(slow / fast) > 1.04  # of the whole duration


def test_the_space_was_built_with_the_voice(space, voice):
    assert space.info.bundle == voice.fingerprint
    assert len(space) == 1137 and space.info.encoder.startswith("MiniLM")
    assert np.asarray(space.mean).std(0).min() > 0.01  # every latent is active over the bank
