"""The mesh, and which array lies where: path patterns to PartitionSpecs with one default rule.

The batch is split over both axes, "data" and "fsdp"; parameters (and with them optimizer moments and moving averages)
only over "fsdp". One process with eight devices and two processes with four each run the same code.
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from copycat_jax.errors import UserError
from copycat_jax.train.config import MeshConfig

AXES = ("data", "fsdp")
MIN_SHARDED_ELEMENTS = 2**14
Rules = Sequence[tuple[str, tuple]]


def make_mesh(data: int = MeshConfig.data, fsdp: int = MeshConfig.fsdp) -> Mesh:
    """A (data, fsdp) mesh over all devices, both axes Auto; -1 takes what the other axis leaves.

    Raises:
      UserError: the sizes do not multiply to the number of devices.
    """
    count = jax.device_count()
    sizes = [data, fsdp]
    if sizes.count(-1) == 1:
        known = max(1, sizes[1 - sizes.index(-1)])
        sizes[sizes.index(-1)] = count // known
    if min(sizes) < 1 or sizes[0] * sizes[1] != count:
        raise UserError(
            f"data={data} x fsdp={fsdp} does not fit {count} devices",
            "mesh",
            "Leave mesh.data=-1 and let fsdp divide them.",
        )
    return jax.make_mesh(tuple(sizes), AXES, (AxisType.Auto,) * 2)


def own_mesh() -> Mesh:
    """One device of this process alone: what is computed under it needs no other process."""
    return jax.make_mesh((1, 1), AXES, devices=jax.local_devices()[:1], axis_types=(AxisType.Auto,) * 2)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows over all devices; the other dimensions whole."""
    return NamedSharding(mesh, P(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, P())


def path_of(path: tuple) -> str:
    """A pytree path as "model/encoder/kernel"."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def default_spec(shape: tuple[int, ...], fsdp: int, min_elements: int = MIN_SHARDED_ELEMENTS) -> P:
    """The largest dimension that `fsdp` divides, for arrays of at least `min_elements`; else replicated."""
    elements = 1
    for n in shape:
        elements *= n
    if fsdp > 1 and elements >= min_elements:
        for axis in sorted(range(len(shape)), key=lambda a: -shape[a]):
            if shape[axis] % fsdp == 0:
                return P(*[("fsdp" if a == axis else None) for a in range(len(shape))])
    return P()


def param_specs(params: Any, rules: Rules, mesh: Mesh, min_elements: int = MIN_SHARDED_ELEMENTS) -> dict[str, P]:
    """{path: PartitionSpec} of a parameter tree (arrays or abstract values).

    Args:
      params: {group: tree}.
      rules: (regular expression searched in the path, axes of the leading dimensions), first match wins.
      mesh: the device mesh.
      min_elements: smaller arrays that match no rule stay replicated.

    Raises:
      UserError: a rule matches no parameter, names an unknown axis, or its axis does not divide the dimension.
    """
    leaves = {path_of(p): leaf.shape for p, leaf in jax.tree_util.tree_leaves_with_path(params)}
    for pattern, axes in rules:
        if not any(re.search(pattern, path) for path in leaves):
            raise UserError(
                f"pattern '{pattern}' matches no parameter",
                "sharding_rules",
                f"Known: {', '.join(list(leaves)[:8])} ...",
            )
        unknown = [a for a in axes if a is not None and a not in AXES]
        if unknown:
            raise UserError(
                f"unknown mesh axis {unknown[0]!r} for '{pattern}'", "sharding_rules", f"Axes: {', '.join(AXES)}."
            )
    return {path: _spec(path, shape, rules, mesh, min_elements) for path, shape in leaves.items()}


def _spec(path: str, shape: tuple[int, ...], rules: Rules, mesh: Mesh, min_elements: int) -> P:
    for pattern, axes in rules:
        if re.search(pattern, path):
            fits = len(axes) <= len(shape) and all(
                a is None or n % mesh.shape[a] == 0 for a, n in zip(axes, shape, strict=False)
            )
            if not fits:
                raise UserError(
                    f"'{pattern}' puts {axes} on {path} of shape {shape}", "sharding_rules", "Axes must divide."
                )
            return P(*axes)
    return default_spec(shape, mesh.shape["fsdp"], min_elements)


def state_shardings(state: Any, rules: Rules, mesh: Mesh, min_elements: int = MIN_SHARDED_ELEMENTS) -> Any:
    """The tree of NamedShardings of a TrainState (arrays or abstract values).

    Optimizer moments and averages lie where their parameter lies: a leaf takes the spec of the parameter of the same
    shape whose path (without the group) ends its own path; what matches none (counts, the step) is replicated.
    """
    specs = param_specs(state.params, rules, mesh, min_elements)
    shapes = {path_of(p): leaf.shape for p, leaf in jax.tree_util.tree_leaves_with_path(state.params)}

    def place(path: tuple, leaf: Any) -> NamedSharding:
        field, _, rest = path_of(path).partition("/")
        if field == "params":
            return NamedSharding(mesh, specs[rest])
        group, _, inner = rest.partition("/") if field == "opt_state" else ("model", "", rest)
        while inner:
            name = f"{group}/{inner}"
            if shapes.get(name) == leaf.shape:
                return NamedSharding(mesh, specs[name])
            inner = inner.partition("/")[2]
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)
