"""Records describe themselves: what is allocated or padded is as declared, and what is not is refused."""

from typing import NamedTuple

import numpy as np
import pytest
from jaxtyping import Bool

from copycat_jax.batch import Batch
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.records import allocate, fields_of, pad_rows, sizes_of

SIZES = {"B": 2, "T": 6, "P": 3, "M": 4, "E": 5}


def test_a_batch_is_made_of_its_declaration_and_tells_its_sizes():
    batch = allocate(Batch, SIZES)
    assert sizes_of(batch) == SIZES and batch.mel.shape == (2, 6, 4) and batch.mask.dtype == bool
    assert fields_of(Batch).keys() == set(Batch._fields)
    assert allocate(Batch, SIZES, mel=7).mel == 7
    with pytest.raises(KeyError):
        allocate(Batch, {"B": 2})


@pytest.mark.parametrize("wrong", [np.zeros((2, 6), np.float64), np.zeros((2, 5), np.float32), np.zeros(2, np.float32)])
def test_a_field_unlike_its_declaration_is_refused(wrong):
    with pytest.raises(ValueError, match=r"f0_hz|energy"):
        sizes_of(allocate(Batch, SIZES)._replace(energy=wrong))


def test_stored_fields_are_padded_by_name_and_texts_are_none():
    rows = synthetic_utterances(2, seconds=(0.2, 0.4))
    batch = pad_rows(Batch, rows, {"T": 40, "P": 9, "M": 80, "E": 5}, index=np.arange(2, dtype=np.int32))
    assert "text" not in fields_of(Utterance) and sizes_of(batch) == {"B": 2, "T": 40, "P": 9, "M": 80, "E": 5}
    for place, row in enumerate(rows):
        assert np.array_equal(batch.f0_hz[place, : len(row.f0_hz)], row.f0_hz)
        assert not batch.mel[place, len(row.mel) :].any()


def test_axes_of_fixed_size():
    class Rows(NamedTuple):
        mask: Bool[np.ndarray, "B 1"]

    assert sizes_of(allocate(Rows, {"B": 3})) == {"B": 3}
    with pytest.raises(ValueError, match="mask"):
        sizes_of(Rows(np.zeros((3, 2), bool)))
