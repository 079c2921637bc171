"""What accelerators can do, from their makers' data sheets: the far side of every utilisation figure and forecast.

The GPUs of a host talk over NVLink, hosts over one network card a GPU; the chips of a TPU slice over the links of their
torus, slices over the data centre's network.
"""

from typing import NamedTuple


class Chip(NamedTuple):
    """One device, as JAX counts them.

    Attributes:
      flops: dense bfloat16 operations per second.
      memory_gib: of the device.
      link_bytes_per_s: all its links to the devices nearby (NVLink, ICI) together, one direction.
      network_bytes_per_s: its share of what leaves the host (the slice), one direction.
      per_host: devices of a host.
      slices: whether the links span hosts (a TPU slice).
    """

    flops: float
    memory_gib: float
    link_bytes_per_s: float
    network_bytes_per_s: float
    per_host: int
    slices: bool


# NVIDIA's data sheets of the SXM modules, with one 200 or 400 Gb/s card a GPU as in DGX; Google Cloud's pages on TPUs.
CHIPS = {
    "a100": Chip(312e12, 80, 300e9, 25e9, 8, False),
    "h100": Chip(989e12, 80, 450e9, 50e9, 8, False),
    "h200": Chip(989e12, 141, 450e9, 50e9, 8, False),
    "v4": Chip(275e12, 32, 300e9, 6.25e9, 4, True),
    "v5e": Chip(197e12, 16, 200e9, 3.1e9, 8, True),
    "v5p": Chip(459e12, 95, 600e9, 6.25e9, 4, True),
    "v6e": Chip(918e12, 32, 400e9, 12.5e9, 8, True),
}
# How JAX's names of devices begin, the longer ones first.
_KINDS = {"TPU v5 lite": "v5e", "TPU v5e": "v5e", "TPU v5": "v5p", "TPU v6": "v6e", "TPU v4": "v4"}


def chip_of(kind: str) -> Chip | None:
    """The chip that JAX calls `kind` ("NVIDIA H100 80GB HBM3", "TPU v5 lite"); None for what is not known."""
    names = [name for prefix, name in _KINDS.items() if kind.startswith(prefix)]
    names += [name for name in ("a100", "h100", "h200") if name in kind.lower()]
    return CHIPS[names[0]] if names else None


def peak_flops(kind: str) -> float:
    """Dense bfloat16 operations per second of a device that JAX calls `kind`; 0 where it is not known."""
    chip = chip_of(kind)
    return chip.flops if chip else 0.0
