"""Where arrays lie inside a step that runs over a mesh (`jax.set_mesh`); without a mesh nothing here does anything.

The partitioner is free to split what a loop carries along the states, as it finds fsdp-sharded weights, and then every
iteration waits for a collective. A loop that is told that its rows lie apart and its weights are whole holds none.
"""

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped


def rows_apart(x: Shaped[Array, "..."], axis: int) -> Shaped[Array, "..."]:
    """`x` with its rows, along `axis`, spread over all devices and the rest whole, where they divide."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.size <= 1 or x.shape[axis] % mesh.size:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*[None] * axis, mesh.axis_names))


def whole(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`x` on every device: weights gathered once, before a loop."""
    if jax.sharding.get_abstract_mesh().size <= 1:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec())
