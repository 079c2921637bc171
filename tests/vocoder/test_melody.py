"""A melody between two readings of it."""

import numpy as np

from copycat_jax.vocoder.melody import blend_melodies


def test_a_melody_is_blended_at_the_level_of_the_mel_and_misread_frames_do_not_count():
    wanted = np.array([[100, 110, 120, 0, 100]], np.float32)
    level = np.float32(2 ** (1 / 12))
    own = np.array([[100 * level, 110 * level, 240 * level, 90, 0]], np.float32)
    np.testing.assert_allclose(blend_melodies(own, wanted), wanted * level, rtol=1e-5)
    higher = np.array([[104, 110, 120, 0, 0]], np.float32)
    np.testing.assert_allclose(blend_melodies(higher, wanted)[0, 0], (104 * 100) ** 0.5, rtol=1e-5)
    np.testing.assert_array_equal(blend_melodies(0 * own, wanted), wanted)
