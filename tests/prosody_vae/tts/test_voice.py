import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_voice import tiny_bundle

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import words_of
from copycat_jax.text.phonemes import SIL_ID, to_ids
from copycat_jax.text.phrasing import PHRASE, SENTENCE
from prosody_vae.features import FEATURES
from prosody_vae.tts.plan import CUT_S, EDGE_PAUSE_S, SpeechPlan, curve, cut_text, make_speech_plan, whole_frames
from prosody_vae.tts.voice import faded, open_voice

TEXT = "Does he wear a black suit, or a blue one?"
LONG = "He went on and on about the house, the garden and the sea; " * 5 + "then he stopped."


@pytest.fixture(scope="module")
def embeddings(voice):
    return np.random.default_rng(0).standard_normal((3, voice.latent)).astype(np.float32)


@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=80))
@settings(deadline=None, max_examples=200)
def test_rounded_durations_never_drift(expected):
    frames = whole_frames(np.array(expected))
    assert frames.min() >= 1
    assert np.abs(np.cumsum(frames) - np.cumsum(np.maximum(expected, 1.0))).max() <= 0.5 + 1e-9


def test_pieces_hold_every_phoneme_once_and_no_more_than_asked_for():
    whole = [phone for word in words_of(LONG) for phone in word.variants[0]]
    pieces = cut_text(LONG, longest=60)
    assert len(pieces) > 3
    assert all(len(piece.phonemes) <= 61 and piece.phonemes[0] == SIL_ID for piece in pieces)
    assert np.concatenate([piece.phonemes[1:] for piece in pieces]).tolist() == to_ids(whole).tolist()
    assert pieces[-1].breaks[-1] == SENTENCE
    assert all(piece.breaks[-1] >= PHRASE for piece in pieces[:-1])  # marks are near enough to cut at


def test_a_text_that_fits_is_one_piece_with_its_marks():
    (piece,) = cut_text(TEXT)
    words = words_of(TEXT)
    assert (piece.breaks > 0).sum() == len(words)
    assert np.flatnonzero(piece.breaks == PHRASE).tolist() == [sum(len(w.variants[0]) for w in words[:6])]


def test_a_word_longer_than_a_piece_is_left_whole():
    pieces = cut_text("{" + "AH0 B " * 40 + "} stood there.", longest=20)
    assert len(pieces[0].phonemes) == 81


def test_a_curve_lasts_as_long_as_its_plan_and_is_silent_in_pauses():
    ids = to_ids(["SIL", "AA1", "S", "OW1"])
    plan = SpeechPlan(
        ids, np.array([0, 0, 1, 3]), *(np.array(x) for x in ([4, 6, 3, 9], [0, 0, 5, 2])), *np.ones((2, 4))
    )
    steps = curve(plan)
    assert len(steps.f0_hz) == len(steps.energy) == steps.durations.sum() == plan.frames == 29
    assert steps.phonemes.tolist() == [SIL_ID, ids[1], ids[2], SIL_ID, ids[3], SIL_ID]
    assert (steps.f0_hz > 0).sum() == 6 + 9


def test_fading_begins_and_ends_at_zero():
    out = faded(np.ones(2000, np.float32), 22050)
    assert out[0] == out[-1] == 0.0 and out[1000] == 1.0 and np.abs(np.diff(out)).max() < 0.02
    assert len(faded(np.ones(3, np.float32), 22050)) == 3


def test_speech_is_what_was_planned_and_the_same_every_time(voice, embeddings):
    speech, again = (voice.speak(TEXT, embeddings[0], vocoder="hum") for _ in range(2))
    (plan,) = voice.predict([TEXT], embeddings[:1])
    assert (speech.samples == again.samples).all() and (speech.mel == again.mel).all()
    assert len(speech.samples) == len(speech.mel) * voice.spec.hop_samples
    assert len(speech.mel) == speech.durations.sum() + speech.pauses.sum() == plan.frames
    assert (speech.durations == plan.durations).all() and (speech.log_f0 == plan.log_f0).all()
    assert np.isfinite(speech.samples).all() and np.abs(speech.samples).max() <= 1.0
    assert set(voice.features(plan)) == set(FEATURES)


def test_company_in_a_batch_does_not_change_what_is_said(voice, embeddings):
    texts = [TEXT, "Who is it?", "It rains."]
    together = voice.speak_all(texts, embeddings, vocoder="hum")
    for text, embedding, speech in zip(texts, embeddings, together, strict=True):
        alone = voice.speak(text, embedding, vocoder="hum")
        assert (alone.durations == speech.durations).all() and (alone.pauses == speech.pauses).all()
        np.testing.assert_allclose(alone.mel, speech.mel, atol=1e-4)


def test_embedding_and_speaker_are_heard(voice, embeddings):
    plans = [voice.predict([TEXT], embeddings[i : i + 1], name)[0] for i, name in ((0, None), (1, None), (0, "guest"))]
    assert np.abs(plans[0].log_f0 - plans[1].log_f0).max() > 1e-4
    assert np.abs(plans[0].log_f0 - plans[2].log_f0).max() > 1e-4


def test_rate_shortens_everything_but_the_silence_at_the_edges(voice, embeddings):
    slow, fast = (voice.predict([TEXT], embeddings[:1], rate=rate)[0] for rate in (1.0, 2.0))
    assert fast.durations[1:].sum() == pytest.approx(slow.durations[1:].sum() / 2, abs=len(slow.durations) / 2)
    assert fast.pauses[-1] == slow.pauses[-1] == int(EDGE_PAUSE_S * voice.spec.frame_rate_hz)


def test_a_pause_stands_only_where_it_is_likely_and_a_word_ends(voice, embeddings):
    (piece,), rate_hz = cut_text(TEXT), voice.spec.frame_rate_hz
    size = len(piece.phonemes)
    probability = np.where(np.arange(size) % 2, 0.9, 0.1)
    predicted = (np.full(size, 5.0), probability, np.full(size, 7.4), np.zeros(size), np.zeros(size))
    plan = make_speech_plan(piece, predicted, 1.0, rate_hz, last=True)
    expected = (probability > 0.5) & (piece.breaks > 0)
    assert (plan.pauses[:-1] == np.where(expected, 7, 0)[:-1]).all()
    cut_off = make_speech_plan(piece, predicted, 1.0, rate_hz, last=False)
    assert cut_off.pauses[-1] >= CUT_S * rate_hz


def test_pieces_of_a_long_text_meet_in_silence(voice, embeddings):
    speech = voice.speak(LONG, embeddings[0], vocoder="hum")
    starts = np.flatnonzero(np.array(speech.phonemes) == "SIL")
    assert len(starts) > 1
    assert len(speech.mel) == speech.durations.sum() + speech.pauses.sum()
    for start in starts[1:]:
        at = int(speech.durations[:start].sum() + speech.pauses[:start].sum()) * voice.spec.hop_samples
        assert speech.samples[at - 1] == speech.samples[at] == 0.0


@pytest.mark.parametrize("text", ["", "  ", "***", "\N{GRINNING FACE}"])
def test_what_cannot_be_spoken_is_refused(voice, embeddings, text):
    with pytest.raises(UserError):
        voice.speak(text, embeddings[0])


def test_bad_arguments_are_named(voice, embeddings):
    with pytest.raises(UserError, match="reader, guest"):
        voice.speak(TEXT, embeddings[0], speaker="raeder")
    with pytest.raises(UserError, match=f"one row of {voice.latent}"):
        voice.speak(TEXT, np.zeros(voice.latent + 1))
    with pytest.raises(UserError, match="not finite"):
        voice.speak(TEXT, embeddings[0] * np.nan)
    for rate in (0.0, -1.0, float("nan"), 100.0):
        with pytest.raises(UserError, match="rate"):
            voice.speak(TEXT, embeddings[0], rate=rate)
    with pytest.raises(UserError, match="no vocoder"):
        voice.speak(TEXT, embeddings[0], vocoder="grifin_lim")


def test_only_voices_are_opened(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="kind 'copycat'"):
        open_voice(tiny_bundle()._replace(kind="copycat"))
    monkeypatch.setattr("prosody_vae.tts.voice.SHIPPED_VOICE", tmp_path)
    with pytest.raises(UserError, match="carries no trained voice"):
        open_voice()
    with pytest.raises(UserError, match="no such bundle"):
        open_voice(tmp_path / "nowhere")
