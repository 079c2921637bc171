"""Where arrays lie inside a step that runs over a mesh (`jax.set_mesh`); without a mesh nothing here does anything.

The partitioner is free to split what a loop carries along the states, as it finds fsdp-sharded weights, and then every
iteration waits for a collective. A loop that is told that its rows lie apart and its weights are whole holds none.
"""

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped


def row_axes(rows: int) -> tuple[str, ...] | None:
    """The axes of the mesh over which `rows` rows are spread; None on one device, or where they do not divide."""
    mesh = jax.sharding.get_abstract_mesh()
    return None if mesh.size <= 1 or rows % mesh.size else mesh.axis_names


def rows_apart(x: Shaped[Array, "..."], axis: int) -> Shaped[Array, "..."]:
    """`x` with its rows, along `axis`, spread over all devices and the rest whole, where they divide."""
    axes = row_axes(x.shape[axis])
    return x if axes is None else jax.lax.with_sharding_constraint(x, PartitionSpec(*[None] * axis, axes))


def whole(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`x` on every device: weights gathered once, before a loop."""
    if jax.sharding.get_abstract_mesh().size <= 1:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec())
