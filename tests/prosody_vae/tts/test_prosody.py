import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.prosody.edits import emphasised, faster
from copycat_jax.prosody.file import parse_prosody, prosody_text
from copycat_jax.prosody.values import Prosody, times_of
from prosody_vae.tts.plan import join_plans, split_plan
from prosody_vae.tts.prosody import to_plan, to_sentence

TEXT = "Who ate the rest, of my pizza?"
LONG = "He went on and on about the house, the garden and the sea; " * 4 + "then he stopped."


@pytest.fixture(scope="module")
def z(voice):
    return np.random.default_rng(0).standard_normal((1, voice.latent)).astype(np.float32)


def reread(prosody: Prosody) -> Prosody:
    import json

    return parse_prosody(json.loads(prosody_text(prosody)), "p.json")


@pytest.mark.parametrize("text", [TEXT, LONG])
def test_a_prosody_file_gives_the_samples_of_the_text_to_the_bit(voice, z, text):
    spoken = voice.speak(text, z[0], vocoder="hum")
    (plan,) = voice.predict([text], z)
    hop_s = voice.spec.hop_s
    prosody = reread(Prosody((to_sentence(plan, text, hop_s),), hop_s))
    again = to_plan(prosody.sentences[0], prosody.frame_s)
    for name, mine, theirs in zip(plan._fields, plan, again, strict=True):
        assert (mine == theirs).all() and mine.dtype == theirs.dtype, name
    (speech,) = voice.render([again], z, vocoder="hum", batch=1)
    assert (speech.samples == spoken.samples).all() and (speech.mel == spoken.mel).all()


def test_words_are_where_their_phones_are(voice, z):
    (plan,) = voice.predict([TEXT], z)
    sentence = to_sentence(plan, TEXT, voice.spec.hop_s)
    assert [word.text for word in sentence.words] == ["who", "ate", "the", "rest", "of", "my", "pizza"]
    assert sum(word.count for word in sentence.words) == len(sentence.phones) - 1
    (times,) = times_of(Prosody((sentence,), voice.spec.hop_s))
    assert times.phones[-1].end_s == pytest.approx(plan.frames * voice.spec.hop_s)
    assert sentence.words[3].mark == 2  # a comma follows "rest"


def test_emphasis_reaches_the_plan_and_leaves_the_other_phones_their_length(voice, z):
    (plan,) = voice.predict([TEXT], z)
    hop_s = voice.spec.hop_s
    before = Prosody((to_sentence(plan, TEXT, hop_s),), hop_s)
    after = to_plan(emphasised(before, "pizza").sentences[0], hop_s)
    word = before.sentences[0].words[-1]
    own = np.arange(len(plan.phonemes))
    own = (own >= word.first) & (own < word.first + word.count)
    assert after.durations[own].sum() > plan.durations[own].sum()
    assert (after.log_f0[own] > plan.log_f0[own]).all() and (after.energy[own] > plan.energy[own]).all()
    for name, mine, theirs in zip(plan._fields, plan, after, strict=True):
        assert (mine[~own] == theirs[~own]).all(), name
    assert (after.pauses == plan.pauses).all()


def test_twice_the_speed_is_half_the_time(voice, z):
    (plan,) = voice.predict([LONG], z)
    hop_s = voice.spec.hop_s
    fast = faster(Prosody((to_sentence(plan, LONG, hop_s),), hop_s), 2.0)
    again = to_plan(fast.sentences[0], hop_s)
    assert again.durations.sum() == pytest.approx(np.maximum(plan.durations / 2, 1).sum(), abs=1)
    assert (again.durations >= 1).all() and ((again.pauses > 0) == (plan.pauses > 0)).all()


def test_pieces_are_joined_and_split_again(voice, z):
    (plan,) = voice.predict([LONG], z)
    pieces = split_plan(plan)
    assert len(pieces) > 1
    assert all((a == b).all() for a, b in zip(join_plans(pieces), plan, strict=True))


def test_a_phone_without_f0_is_not_spoken(voice, z):
    (plan,) = voice.predict([TEXT], z)
    plan.log_f0[3] = np.nan
    with pytest.raises(UserError, match="phone 4 of a sentence has no F0"):
        voice.render([plan], z, vocoder="hum")
