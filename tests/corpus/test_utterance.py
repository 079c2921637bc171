"""What may be stored is checked; what is stored has a hash of its own."""

import numpy as np
import pytest

from copycat_jax.corpus.utterance import ARRAYS, check_utterance, content_hash, text_key
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K


@pytest.fixture(scope="module")
def utterance():
    return synthetic_utterances(1, seconds=(0.3, 0.4), audio=True)[0]


def changed(utterance, name, at, value):
    array = getattr(utterance, name).copy()
    array[at] = value
    return utterance._replace(**{name: array})


@pytest.mark.parametrize(
    "name,at,value",
    [("mel", (0, 0), np.nan), ("mel", (3, 3), np.inf), ("durations", 0, 0), ("durations", 0, 99), ("phonemes", 0, 0),
     ("phonemes", 0, 72), ("f0_hz", 1, -1.0), ("energy", 0, np.nan)],
)  # fmt: skip
def test_wrong_values_are_refused(utterance, name, at, value):
    check_utterance(utterance, HIFIGAN)
    with pytest.raises(UserError, match=utterance.id):
        check_utterance(changed(utterance, name, at, value), HIFIGAN)


def test_wrong_shapes_and_types_are_refused(utterance):
    for name in ARRAYS:
        with pytest.raises(UserError):
            check_utterance(utterance._replace(**{name: getattr(utterance, name)[:-1]}), HIFIGAN)
        with pytest.raises(UserError, match=name):
            check_utterance(utterance._replace(**{name: getattr(utterance, name).astype(np.float64)}), HIFIGAN)
    with pytest.raises(UserError, match="no id"):
        check_utterance(utterance._replace(id=""), HIFIGAN)
    with pytest.raises(UserError, match="expected 80 bins"):
        check_utterance(utterance._replace(mel=utterance.mel[:, :79]), PAPER_24K)


def test_any_change_changes_the_hash(utterance):
    hashes = {
        content_hash(utterance),
        content_hash(utterance._replace(text="other")),
        content_hash(utterance._replace(id="x")),
    }
    hashes |= {content_hash(changed(utterance, name, 0, 1)) for name in ARRAYS}
    assert len(hashes) == 3 + len(ARRAYS)
    assert content_hash(utterance) == content_hash(utterance._replace(mel=np.asfortranarray(utterance.mel)))


def test_text_keys_drop_case_and_marks_but_no_word():
    assert text_key("“Don’t go—” he said, at 5:30.") == "don't go he said at 5 30"
    assert text_key("Straße, naïve!") == "straße naïve"
    assert text_key("...") == ""
