import pytest

from copycat_jax.errors import UserError
from copycat_jax.train.topology import parse_topology


@pytest.mark.parametrize(
    "text, devices, wanted",
    [
        ("h100:32x8", None, ("h100", 32, 8)),
        ("H200:2x4", 8, ("h200", 2, 4)),
        ("v5p-512", 256, ("v5p", 64, 4)),  # an accelerator type of v4 and v5p counts TensorCores
        ("v5litepod-256", None, ("v5e", 32, 8)),
        ("v6e-4", None, ("v6e", 1, 4)),
        ("v5p-8", None, ("v5p", 1, 4)),
        ("a100", 16, ("a100", 2, 8)),
        (None, 256, ("h100", 32, 8)),
        (None, 3, ("h100", 1, 3)),
    ],
)
def test_machines_are_read(text, devices, wanted):
    found = parse_topology(text, devices)
    assert (found.name, found.hosts, found.per_host) == wanted and found.devices == wanted[1] * wanted[2]


@pytest.mark.parametrize(
    "text, devices, message",
    [
        (None, None, "Give --topology"),
        ("h100", None, "h100:4x8"),
        ("h10:2x8", None, "Did you mean 'h100'"),
        ("h100:2x8", 8, "'h100:2x8' has 16"),
        ("h100-16", None, "no topology"),
        ("h100:0x8", None, "no devices"),
        (None, 12, "do not fill hosts of 8"),
        (None, 0, "do not fill"),
        ("cpu:1x1", None, "no topology"),
    ],
)
def test_what_cannot_be_is_refused(text, devices, message):
    with pytest.raises(UserError, match=message):
        parse_topology(text, devices)
