"""Windows are true pieces of their recordings, a function of (seed, step), and the same on any number of hosts."""

import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.data.audio import AudioConfig, audio_inputs, make_windows, window_draw, window_inputs
from copycat_jax.data.inputs import synthetic_corpus
from copycat_jax.errors import UserError

DATA = AudioConfig(batch_size=6, window_frames=40)


@pytest.fixture(scope="module")
def corpus():
    return synthetic_corpus(1.5, audio=True)


def draw(corpus, data=DATA):
    return window_draw(corpus, np.flatnonzero(corpus.lengths >= data.window_frames), data)


def test_a_window_is_a_piece_of_its_recording(corpus):
    windows = make_windows(corpus, draw(corpus), DATA, seed=0)(3)
    assert windows.mel.shape == (6, 40, 80) and windows.samples.shape == (6, 40 * 256) and windows.mask.all()
    for row, index in enumerate(windows.index):
        whole = corpus.utterance(index)
        start = int(np.flatnonzero((whole.mel == windows.mel[row, 0].astype(np.float16)).all(1))[0])
        np.testing.assert_array_equal(windows.f0_hz[row], whole.f0_hz[start : start + 40])
        sound = windows.samples[row].astype(np.float32) / 32768
        inside = slice(4, -4)  # frames that see no edge of the window
        assert np.abs(extract_mel(sound, corpus.spec) - windows.mel[row])[inside].mean() < 0.03


def test_batches_are_a_function_of_seed_and_step_on_any_number_of_hosts(corpus):
    whole = make_windows(corpus, draw(corpus), DATA, seed=1)
    np.testing.assert_array_equal(whole(5).samples, make_windows(corpus, draw(corpus), DATA, seed=1)(5).samples)
    assert not np.array_equal(whole(5).samples, whole(6).samples)
    parts = [make_windows(corpus, draw(corpus), DATA, 1, process, 3)(5).samples for process in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole(5).samples)


def test_balance_makes_speakers_equally_likely(corpus):
    for balance, spread in ((0.0, None), (1.0, 1e-9)):
        chosen = draw(corpus, AudioConfig(window_frames=40, balance_speakers=balance))
        shares = np.bincount(corpus.speaker[chosen.members], chosen.chances)
        assert shares.sum() == pytest.approx(1) and (spread is None or np.ptp(shares) < spread)


def test_other_mels_take_the_place_of_the_recordings_own(corpus):
    mels = [np.full_like(corpus.utterance(i).mel, -2.0) for i in range(len(corpus))]
    config = {"data": DATA.to_dict(), "train": {"seed": 0, "eval_every": 0}}
    windows = window_inputs(corpus, config, 0, 1, mels).batches(0)
    assert (windows.mel == -2.0).all() and windows.samples.any()


def test_what_cannot_be_trained_on_is_refused(corpus, tmp_path):
    with pytest.raises(UserError, match="no utterance of"):
        draw(corpus, AudioConfig(window_frames=2000))
    with pytest.raises(UserError, match="not a built corpus"):
        audio_inputs(str(tmp_path), {"data": DATA.to_dict(), "train": {"seed": 0, "eval_every": 0}}, 0, 1)
