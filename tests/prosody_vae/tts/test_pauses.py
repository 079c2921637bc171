import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.nn.masks import length_mask
from copycat_jax.text.phonemes import SIL_ID
from prosody_vae.tts.modules import membership, token_means
from prosody_vae.tts.pauses import drop_pauses, make_timeline

WIDTH, FRAMES = 7, 40
drop, lay = jax.jit(drop_pauses), jax.jit(make_timeline, static_argnums=2)
phone = st.tuples(st.sampled_from((SIL_ID, SIL_ID, 5, 30, 71)), st.integers(1, 5), st.integers(0, 3))
row = st.lists(phone, min_size=0, max_size=WIDTH)


def padded(rows):
    """Stored sequences as a batch; what lies on padding is dirt."""
    fill = [(SIL_ID, 9, 3)]
    table = np.array([list(r) + fill * (WIDTH - len(r)) for r in rows], np.int32)
    return *(jnp.asarray(table[..., i]) for i in range(3)), length_mask(jnp.array([len(r) for r in rows]), WIDTH)


def slowly(stored):
    """The same by a loop: [phoneme, frames, pause, break] of each token."""
    tokens = []
    for phoneme, frames, after in stored:
        if phoneme == SIL_ID and tokens:
            tokens[-1][2] += frames
        else:
            tokens.append([phoneme, frames, 0, after])
    return tokens


@settings(max_examples=60, deadline=None)
@given(st.lists(row, min_size=2, max_size=2))
def test_drop_pauses_is_the_obvious_loop_and_keeps_every_frame(rows):
    tokens = jax.device_get(drop(*padded(rows)))
    for i, stored in enumerate(rows):
        expected = np.array(slowly(stored), np.int32).reshape(-1, 4)
        got = np.stack([tokens.phonemes[i], tokens.durations[i], tokens.pauses[i], tokens.breaks[i]], -1)
        np.testing.assert_array_equal(got[: len(expected)], expected)
        assert not got[len(expected) :].any()  # nothing of the padding's dirt
        np.testing.assert_array_equal(tokens.mask[i], np.arange(WIDTH) < len(expected))
        assert (tokens.durations[i] + tokens.pauses[i]).sum() == sum(frames for _, frames, _ in stored)
        assert not (tokens.phonemes[i][1:] == SIL_ID).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=2, max_size=2))
def test_a_timeline_gives_each_frame_to_its_token_in_order(rows):
    tokens = drop(*padded(rows))
    timeline = jax.device_get(lay(tokens.durations, tokens.pauses, FRAMES))
    for i, stored in enumerate(rows):
        token, paused, fraction = [], [], []
        for number, (_, frames, pause, _) in enumerate(slowly(stored)):
            for length, silent in ((frames, False), (pause, True)):
                token += [number] * length
                paused += [silent] * length
                fraction += [(t + 0.5) / length for t in range(length)]
        count = len(token)
        np.testing.assert_array_equal(timeline.mask[i], np.arange(FRAMES) < count)
        np.testing.assert_array_equal(timeline.token[i][:count], token)
        np.testing.assert_array_equal(timeline.paused[i][:count], paused)
        np.testing.assert_allclose(timeline.fraction[i][:count], fraction, rtol=1e-6)
        assert not any(np.asarray(x[i][count:]).any() for x in timeline)


def test_means_are_over_counted_frames_of_the_token_without_its_pause():
    timeline = lay(jnp.array([[2, 3, 0]]), jnp.array([[2, 0, 0]]), 9)
    belongs, means_of = jax.jit(membership, static_argnums=1)(timeline, 3), jax.jit(token_means, static_argnums=3)
    assert belongs.sum() == 7 and belongs[0, :, 0].sum() == 4
    values = jnp.array([[1.0, 3.0, 50.0, 50.0, 4.0, 6.0, 80.0, jnp.nan, jnp.nan]])
    counted = jnp.array([[True, True, True, True, True, True, False, False, False]])
    means, known = means_of(values, counted, timeline, 3)
    np.testing.assert_array_equal(known, [[True, True, False]])
    np.testing.assert_allclose(means, [[2.0, 5.0, 0.0]])
    _, none = means_of(values, counted & False, timeline, 3)
    assert not none.any()
