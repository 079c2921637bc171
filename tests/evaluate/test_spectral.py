import numpy as np
import pytest

from copycat_jax.audio.signal import Audio, read_audio
from copycat_jax.demo import CLIP
from copycat_jax.evaluate import spectral


@pytest.fixture(scope="module")
def clip():
    audio = read_audio(CLIP / "source.opus")
    return Audio(audio.samples[: 2 * audio.sample_rate], audio.sample_rate)


def test_the_same_recording_has_no_distortion_and_loudness_is_none(clip):
    assert spectral.distortion(clip, clip) == (0, 0, 0)
    louder = Audio(0.5 * clip.samples, clip.sample_rate)
    assert max(spectral.distortion(louder, clip)) < 0.35  # but where the floor of the mel cuts silence off


def test_by_hand():
    """Two frames against three: 3-4-5 triangles, silence behind the shorter one, and a path that repeats a frame."""
    made, other = np.zeros((2, 13)), np.zeros((3, 13))
    made[:, 0], other[0, :2], other[1, :2], other[2, 0] = 1, [4, 4], [1, 0], 1
    mcd, mcd_db, mcd_dtw = spectral.distances(made, other)
    assert mcd == pytest.approx((5 + 0 + 1) / 3)
    assert mcd_db == pytest.approx(10 * np.sqrt(2) / np.log(10) * (5 + 0) / 2)
    assert mcd_dtw == pytest.approx((5 + 0 + 0) / 3)


def test_distortions_add_to_it_and_warping_forgives_time(clip):
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(clip.samples)).astype(np.float32)
    noisy = spectral.distortion(Audio(clip.samples + noise, clip.sample_rate), clip)
    assert min(noisy) > 0.5 and noisy.mcd_db == pytest.approx(spectral.DECIBELS * noisy.mcd)
    late = Audio(np.concatenate([np.zeros(2400, np.float32), clip.samples]), clip.sample_rate)
    shifted = spectral.distortion(late, clip)
    assert shifted.mcd_dtw < 0.6 * shifted.mcd
    back = spectral.distortion(clip, late, offset_s=2400 / clip.sample_rate)
    assert back.mcd < 0.1


def test_the_cosine_transform_is_scipys():
    fft = pytest.importorskip("scipy.fft")
    mel = np.random.default_rng(0).standard_normal((5, 80))
    np.testing.assert_allclose(mel @ spectral.dct_basis(80), fft.dct(mel, norm="ortho"), atol=1e-12)
