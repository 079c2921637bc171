"""Vectors compared by their direction alone."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, DTypeLike


def unit(vectors: ArrayLike, dtype: DTypeLike = np.float32) -> Float[np.ndarray, "... D"]:
    """Rows [..., D] divided by their Euclidean norm, computed in `dtype`; rows of zeros stay zeros."""
    rows = np.asarray(vectors, dtype)
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1)


def cosine(one: ArrayLike, other: ArrayLike, dtype: DTypeLike = np.float32) -> Float[np.ndarray, "n m"]:
    """The cosine of every row of one [n, D] with every row of the other [m, D]."""
    return unit(one, dtype) @ unit(other, dtype).T
