import numpy as np
import pytest

from copycat_jax.evaluate import probes

SPEAKERS, EACH = 6, 12


@pytest.fixture(scope="module")
def clips():
    labels = [f"s{i % SPEAKERS}" for i in range(SPEAKERS * EACH)]
    groups = [f"g{i // SPEAKERS}" for i in range(SPEAKERS * EACH)]
    return np.arange(SPEAKERS * EACH) % SPEAKERS, labels, groups


def test_latents_that_are_the_speaker_tell_all_and_noise_tells_nothing(clips):
    speaker, labels, groups = clips
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(speaker), 20))
    nothing = probes.probe(noise, labels, groups)
    assert nothing.low <= 1 / SPEAKERS + 0.1 and nothing.accuracy < 0.4
    assert nothing.chance == pytest.approx(1 / SPEAKERS) and (nothing.clips, nothing.classes) == (72, SPEAKERS)
    everything = probes.probe(np.concatenate([3 * np.eye(SPEAKERS)[speaker], noise], 1), labels, groups)
    assert everything.accuracy == 1 and everything.low > 0.94
    hidden = np.eye(SPEAKERS)[speaker] + rng.standard_normal((len(speaker), SPEAKERS))
    weak = probes.probe(np.concatenate([hidden, noise], 1), labels, groups)
    assert nothing.accuracy < weak.accuracy < everything.accuracy


def test_what_only_a_group_tells_is_not_learnt_across_groups(clips):
    """Of a sentence that one half holds, the other half's probe knows nothing."""
    _, _, groups = clips
    where = np.unique(groups, return_inverse=True)[1]
    told = probes.probe(np.eye(EACH)[where], groups, groups)
    assert told.accuracy == 0


def test_a_clip_is_summed_up_whatever_its_length():
    rng = np.random.default_rng(1)
    rows = [probes.summary(rng.standard_normal((frames, 4))) for frames in (1, 2, 3, 50)]
    assert {row.shape for row in rows} == {(24,)} and np.isfinite(np.stack(rows)).all()
    flat = probes.summary(np.full((9, 1), 2.0))
    np.testing.assert_allclose(flat, [2, 0, 0, 2, 2, 2])


def test_prosody_has_no_register_and_no_loudness():
    rng = np.random.default_rng(2)
    f0_hz = np.where(rng.random(80) < 0.7, 120 + 10 * rng.standard_normal(80), 0)
    energy, durations = rng.standard_normal(80) - 4, np.full(10, 8)
    one = probes.prosody_summary(f0_hz, energy, durations)
    other = probes.prosody_summary(2 * f0_hz, energy + 1, durations)
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert np.isfinite(probes.prosody_summary(np.zeros(80), energy, durations)).all()
    bent = probes.prosody_summary(f0_hz * np.linspace(1, 2, 80), energy, durations)
    assert np.abs(one - bent).max() > 0.1


def test_two_probes_are_compared_clip_by_clip():
    """By hand: of 6 clips where they disagree, all or five for one of them."""

    def probe_of(*right: int) -> probes.Probe:
        return probes.Probe(0, 0, 0, 0, len(right), 2, tuple(map(bool, right)))

    one, other = probe_of(1, 1, 1, 1, 1, 1, 0), probe_of(0, 0, 0, 0, 0, 0, 0)
    assert probes.paired(one, other) == (6, 0, pytest.approx(2 / 64))
    assert probes.paired(probe_of(1, 1, 1, 1, 1, 0), probe_of(0, 0, 0, 0, 0, 1)) == (5, 1, pytest.approx(2 * 7 / 64))
    assert probes.paired(one, one) == (0, 0, 1.0)


def test_levels_are_told_only_where_asked():
    f0_hz, energy, durations = np.full(20, 100.0), np.full(20, -3.0), np.full(5, 4)
    bare = probes.prosody_summary(f0_hz, energy, durations)
    np.testing.assert_allclose(
        probes.prosody_summary(f0_hz, energy, durations, levels=True), [*bare, np.log(100.0), -3.0]
    )


def test_the_interval_of_a_share_is_wilsons():
    """By hand, from the formula: 8 of 10."""
    low, high = probes.wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert probes.wilson(0, 20)[0] == pytest.approx(0, abs=1e-12) and probes.wilson(20, 20)[1] == pytest.approx(1)
