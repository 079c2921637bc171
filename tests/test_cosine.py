"""Directions are compared, lengths are not; zero is like nothing."""

import numpy as np
import pytest

from copycat_jax.cosine import cosine, unit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_length_one_and_zero_stays_zero(dtype):
    rows = np.random.default_rng(0).normal(size=(5, 3)) * np.array([[1e-6], [1], [1e6], [3], [0]])
    made = unit(rows, dtype)
    assert made.dtype == dtype and np.allclose(np.linalg.norm(made, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    assert np.allclose(unit(rows[1], dtype), made[1])
    assert np.allclose(cosine(rows[:2], rows, dtype), cosine(7 * rows[:2], rows, dtype), atol=1e-6)
    assert (cosine(rows, rows, dtype)[4] == 0).all()
