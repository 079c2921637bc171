"""An excitation has the F0 asked for, unit power, and depends on nothing that comes later."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.nn.excitation import excitation

HOP, RATE = 256, 22050


def pulses(f0_hz, frames=64):
    curve = jnp.broadcast_to(jnp.asarray(f0_hz, jnp.float32), (1, frames))
    return np.asarray(excitation(curve, jax.random.key(0), HOP, RATE))[0]


@pytest.mark.parametrize("hertz", [60.0, 110.0, 233.3, 480.0])
def test_harmonics_stand_at_multiples_of_f0(hertz):
    samples = pulses(hertz)
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    place = np.fft.rfftfreq(len(samples), 1 / RATE)
    near = np.abs((place + hertz / 2) % hertz - hertz / 2) < 6
    assert power[near & (place > hertz / 2)].sum() / power.sum() > 0.98
    assert samples.std() == pytest.approx(1.0, abs=0.1)
    assert power[place > hertz * (RATE / 2 // hertz) + 6].sum() < 0.01 * power.sum()  # nothing folds over


def test_a_glide_has_as_many_pulses_as_cycles():
    curve = np.geomspace(90, 210, 400)
    strong = pulses(curve, 400) > 4.0
    assert np.sum(strong[1:] & ~strong[:-1]) == pytest.approx(curve.sum() * HOP / RATE, abs=2)


def test_unvoiced_frames_are_noise_and_none_is_like_another():
    samples = pulses(0.0)
    spectrum = np.square(np.abs(np.fft.rfft(samples)))
    assert samples.std() == pytest.approx(1.0, abs=0.05)
    assert spectrum[: len(spectrum) // 2].sum() / spectrum.sum() == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.corrcoef(samples.reshape(-1, HOP))[0, 1:]).max() < 0.3


def test_what_follows_does_not_change_what_came_before():
    curve = np.linspace(90, 140, 700)[None].astype(np.float32)
    curve[:, 200:230] = 0
    curve = jnp.asarray(curve)
    whole = excitation(curve, jax.random.key(1), HOP, RATE)
    part = excitation(curve[:, :600], jax.random.key(1), HOP, RATE)
    np.testing.assert_allclose(whole[:, : 599 * HOP], part[:, : 599 * HOP], atol=1e-5)
