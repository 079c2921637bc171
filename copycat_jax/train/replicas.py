"""Compares the copies of the state that lie on different devices: they must be equal to the bit.

All devices start alike and apply the same updates, so nothing ever compares them: a device whose memory turned a bit,
or a host that fell out of step, trains on and spoils the others through its gradients. A checksum of what each device
holds is computed where it lies; only these numbers travel.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, UInt32

from copycat_jax.train.sharding import AXES, replicated

Checksums = Mapping[tuple[str, ...], Any]  # {axes that the arrays are split over: uint32 [data, fsdp]}


def make_checksums(shardings: Any, mesh: Mesh) -> Callable[[Any], Checksums]:
    """Jits state -> one checksum for each device and each way in which arrays are split.

    Args:
      shardings: tree of NamedShardings of the state.
      mesh: the (data, fsdp) mesh.
    """
    specs = [sharding.spec for sharding in jax.tree.leaves(shardings)]
    ways = sorted({_axes(spec) for spec in specs})

    def local(*leaves: Array) -> dict[tuple[str, ...], Array]:
        return {
            way: _checksum([leaf for leaf, spec in zip(leaves, specs, strict=True) if _axes(spec) == way])[None, None]
            for way in ways
        }

    over_devices = jax.shard_map(
        local, mesh=mesh, in_specs=tuple(specs), out_specs=PartitionSpec(*AXES), check_vma=False
    )
    return jax.jit(
        lambda state: over_devices(*jax.tree.leaves(state)),
        in_shardings=(shardings,),
        out_shardings=replicated(mesh),
    )


def odd_devices(checksums: Checksums, mesh: Mesh) -> list[str]:
    """The devices that hold something else than most of their copies do; all of them where there is no majority."""
    odd = set()
    for way, values in checksums.items():
        split = tuple(i for i, axis in enumerate(AXES) if axis in way)
        values = np.moveaxis(np.asarray(values), split, range(len(split)))
        devices = np.moveaxis(mesh.devices, split, range(len(split)))
        shape = (int(np.prod(values.shape[: len(split)])), -1)
        for copies, holders in zip(values.reshape(shape), devices.reshape(shape), strict=True):
            (usual, count), *_ = Counter(copies.tolist()).most_common()
            usual = usual if 2 * count > len(copies) else None
            if len(set(copies.tolist())) > 1:
                odd |= {holder for holder, copy in zip(holders, copies.tolist(), strict=True) if copy != usual}
    return [f"device {d.id} (process {d.process_index})" for d in sorted(odd, key=lambda d: d.id)]


def _axes(spec: PartitionSpec) -> tuple[str, ...]:
    """The mesh axes that a spec splits over, in the mesh's order."""
    used = {axis for entry in spec if entry is not None for axis in ((entry,) if isinstance(entry, str) else entry)}
    return tuple(axis for axis in AXES if axis in used)


def _checksum(leaves: list[Array]) -> UInt32[Array, ""]:
    """A number that every change of a single element changes: bits times odd numbers, by place, modulo 2**32."""
    total = jnp.uint32(0)
    for leaf in leaves:
        bits = leaf.reshape(-1)
        if bits.dtype == jnp.bool_:
            bits = bits.astype(jnp.uint8)
        bits = jax.lax.bitcast_convert_type(bits, jnp.dtype(f"uint{8 * bits.dtype.itemsize}")).astype(jnp.uint32)
        odd = 2 * jnp.arange(len(bits), dtype=jnp.uint32) + 1
        total = total * jnp.uint32(1000003) + jnp.sum(bits * odd, dtype=jnp.uint32)
    return total
