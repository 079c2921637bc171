import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.text import phonemes as p


def test_inventory_is_fixed():
    assert len(p.INVENTORY) == len(set(p.INVENTORY)) == 72
    assert p.INVENTORY[:4] == ("PAD", "SIL", "SPN", "B")
    assert p.INVENTORY[27:31] == ("AA0", "AA1", "AA2", "AE0")
    assert (p.PAD_ID, p.SIL_ID, p.SPN_ID) == (0, 1, 2)


def test_ids_and_symbols_invert_each_other():
    ids = p.to_ids(p.INVENTORY)
    assert ids.dtype == np.int32 and ids.tolist() == list(range(72))
    assert p.to_symbols(ids) == list(p.INVENTORY)


@pytest.mark.parametrize("call", [lambda: p.to_ids(["AA"]), lambda: p.to_ids(["QQ"]), lambda: p.to_symbols([72])])
def test_what_is_outside_the_inventory_is_refused(call):
    with pytest.raises(UserError):
        call()


def test_stress_goes_by_vowel_index_else_first_vowel():
    assert p.reattach_stress(("R", "IY", "D", "ER"), ("R", "EH1", "D", "AH0")) == ("R", "IY1", "D", "ER0")
    assert p.reattach_stress(("AH", "B", "AW", "T"), ("B", "AW1", "T")) == ("AH1", "B", "AW0", "T")
    assert p.reattach_stress(("SH",)) == ("SH",)
    assert p.is_vowel("AA1") and p.is_vowel("AA") and not p.is_vowel("NG")
    assert p.is_phone("AA1") and not p.is_phone("AA") and not p.is_phone("SIL")
