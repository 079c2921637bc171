import math

import numpy as np
import pytest
from little_prosody import FRAME_S, example

from copycat_jax.errors import UserError
from copycat_jax.prosody.edits import emphasised, faster, higher


def frames(prosody) -> list[int]:
    return [round(p.duration_s / FRAME_S) for s in prosody.sentences for p in s.phones]


def test_emphasis_makes_its_word_longer_higher_and_louder_and_nothing_else():
    before = example()
    after = emphasised(before, "YOU")
    assert after.sentences[1] == before.sentences[1]
    rows = list(zip(before.sentences[0].phones, after.sentences[0].phones, strict=True))
    for i, (old, new) in enumerate(rows):
        if i in (4, 5):
            assert new.f0_hz > old.f0_hz and new.energy > old.energy and new.pause_s == old.pause_s
            assert math.isclose(new.duration_s / FRAME_S, round(new.duration_s / FRAME_S), abs_tol=1e-9)
        else:
            assert new == old
    assert sum(new.duration_s - old.duration_s for old, new in rows) >= 2 * FRAME_S
    vowel, consonant = (12 * math.log2(new.f0_hz / old.f0_hz) for old, new in (rows[5], rows[4]))
    assert vowel == pytest.approx(3.5) and consonant == pytest.approx(2.0)


def test_emphasis_of_a_word_that_is_not_said_is_refused():
    with pytest.raises(UserError, match=r"no word 'yu' is spoken.*you"):
        emphasised(example(), "yu")
    with pytest.raises(UserError, match="1 times"):
        emphasised(example(), "you:2")
    assert emphasised(example(), "you:1") == emphasised(example(), "you")


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.3, 2.0])
def test_speed_never_drifts(speed):
    before, after = example(), faster(example(), speed)
    wanted, given = np.cumsum(np.array(frames(before)[:6]) / speed), np.cumsum(frames(after)[:6])
    assert np.abs(wanted - given).max() <= 0.5 + 1e-9
    assert after.sentences[0].silence_s == pytest.approx(0.3 / speed)
    assert faster(before, 1.0) is before


def test_pitch_moves_every_phone_and_nothing_else():
    before, after = example(), higher(example(), -3.0)
    for old, new in zip(before.sentences[0].phones, after.sentences[0].phones, strict=True):
        assert new.f0_hz == pytest.approx(old.f0_hz * 2 ** (-3 / 12)) and new._replace(f0_hz=old.f0_hz) == old


@pytest.mark.parametrize(("edit", "value"), [(faster, 0.0), (faster, math.nan), (higher, 13.0), (higher, math.nan)])
def test_what_no_voice_can_do_is_refused(edit, value):
    with pytest.raises(UserError):
        edit(example(), value)
