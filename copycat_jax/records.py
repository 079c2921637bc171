"""NamedTuples of arrays that describe themselves: the annotation of a field is its only declaration.

`mel: Float32[Array, "B T M"]` says the type and the axes; allocation, padding, storage and the shapes to compile for
are derived from it here. Works for batches of NumPy or JAX arrays alike, without JAX.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

Record = TypeVar("Record", bound=tuple)


class Field(NamedTuple):
    """An array field of a record: its type, and a letter for each axis (a number for one of fixed size)."""

    dtype: np.dtype
    axes: tuple[str, ...]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape for these sizes of the letters; raises KeyError for a letter without one."""
        return tuple(int(axis) if axis.isdigit() else sizes[axis] for axis in self.axes)


@functools.cache
def fields_of(kind: type[tuple]) -> dict[str, Field]:
    """The array fields of a record type, in order; fields with annotations of another kind are not among them."""
    declared = {name: hint for name, hint in kind.__annotations__.items() if hasattr(hint, "dim_str")}
    return {name: Field(np.dtype(hint.dtypes[0]), tuple(hint.dim_str.split())) for name, hint in declared.items()}


def sizes_of(record: Any) -> dict[str, int]:
    """The size of every letter in a record of arrays; raises ValueError where a field is not as it is declared."""
    sizes: dict[str, int] = {}
    for name, field in fields_of(type(record)).items():
        value = getattr(record, name)
        if value.dtype != field.dtype or len(value.shape) != len(field.axes):
            raise ValueError(
                f"{name} is {value.dtype}{value.shape}, declared as {field.dtype} [{' '.join(field.axes)}]"
            )
        sizes |= dict(zip(field.axes, value.shape, strict=True)) | sizes
        if value.shape != field.shape(sizes):
            raise ValueError(f"{name} has shape {value.shape}, expected {field.shape(sizes)}")
    return {axis: size for axis, size in sizes.items() if not axis.isdigit()}


def allocate(kind: type[Record], sizes: Mapping[str, int], make: Callable[..., Any] = np.zeros, **given: Any) -> Record:
    """A record whose array fields are `make(shape, dtype)`: zeros, or shapes alone (`jax.ShapeDtypeStruct`).

    Args:
      kind: the record type.
      sizes: of every letter that its fields use.
      make: what makes a field.
      **given: fields that are there already.
    """
    made = {name: make(f.shape(sizes), f.dtype) for name, f in fields_of(kind).items() if name not in given}
    return kind(**made, **given)


def pad_rows(kind: type[Record], rows: Sequence[Any], sizes: Mapping[str, int], **given: Any) -> Record:
    """A batch of records: the array fields that both types name, each padded with zeros behind its own length.

    Args:
      kind: the type of the batch, whose first axis counts the rows.
      rows: one record for each.
      sizes: of every letter but the rows'.
      **given: fields that are no padded ones; what is neither given nor in the rows is zeros.
    """
    batch = allocate(kind, {**sizes, "B": len(rows)}, **given)
    shared = [name for name in fields_of(kind) if rows and name in fields_of(type(rows[0])) and name not in given]
    for place, row in enumerate(rows):
        for name in shared:
            value = getattr(row, name)
            getattr(batch, name)[place, : len(value)] = value
    return batch
