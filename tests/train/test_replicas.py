"""One bit on one device is found and the device named, however the arrays are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from copycat_jax.train.replicas import make_checksums, odd_devices
from copycat_jax.train.sharding import make_mesh


def placed(value, sharding, spoilt=()):
    array = jax.device_put(value, sharding)
    copies = [(np.array(shard.data), shard.device) for shard in array.addressable_shards]
    for copy, device in copies:
        if device.id in spoilt:
            copy.reshape(-1).view(np.uint8)[1] ^= 8
    arrays = [jax.device_put(copy, device) for copy, device in copies]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, arrays)


@pytest.mark.parametrize(
    "data, fsdp, spec, spoilt, found",
    [
        (8, 1, P(), (), ()),
        (8, 1, P(), (5,), (5,)),
        (2, 4, P(), (6, 7), (6, 7)),
        (4, 2, P("fsdp"), (), ()),
        (4, 2, P("fsdp"), (3,), (3,)),
        (2, 4, P(None, "fsdp"), (6,), (2, 6)),  # two copies: who knows which
        (4, 2, P("data"), (3,), (2, 3)),
        (4, 2, P(("data", "fsdp")), (3,), ()),  # no copies at all
    ],
)
def test_the_odd_one_is_named(data, fsdp, spec, spoilt, found):
    mesh = make_mesh(data, fsdp)
    split, whole = NamedSharding(mesh, spec), NamedSharding(mesh, P())
    rng = np.random.default_rng(0)
    state = {
        "kernel": placed(rng.standard_normal((8, 16)).astype(np.float32), split, spoilt),
        "step": placed(np.int32(3), whole),
        "half": placed(np.asarray(rng.standard_normal(8), jnp.bfloat16), whole),
        "flags": placed(np.array([True, False]), whole),
    }
    checksums = make_checksums(jax.tree.map(lambda x: x.sharding, state), mesh)
    assert odd_devices(jax.device_get(checksums(state)), mesh) == [f"device {i} (process 0)" for i in found]
