"""Machines that are not there: "h100:32x8" is 32 hosts of 8 GPUs, "v5p-512" a TPU slice by its accelerator type."""

import re
from typing import NamedTuple

from copycat_jax.errors import UserError, nearest
from copycat_jax.train.hardware import CHIPS, Chip

_CORES_NAMED = ("v4", "v5p")  # their accelerator types count TensorCores, two a chip
_ALIASES = {"v5litepod": "v5e"}


class Topology(NamedTuple):
    """So many hosts of so many devices each."""

    name: str
    chip: Chip
    hosts: int
    per_host: int

    @property
    def devices(self) -> int:
        """Of all hosts."""
        return self.hosts * self.per_host


def parse_topology(text: str | None, devices: int | None = None) -> Topology:
    """The topology that --topology and --devices describe together; either may be left out.

    Args:
      text: KIND:HOSTSxDEVICES, KIND alone (full hosts, as many as `devices` fill), or the accelerator type of a TPU
        slice; "h100" by default.
      devices: how many there are in all.

    Raises:
      UserError: neither is given, the kind is not known, or they contradict each other.
    """
    if text is None and devices is None:
        raise UserError("no machine", "--dry-run", "Give --topology, such as h100:32x8 or v5p-512, or --devices.")
    kind, hosts, per_host = _read((text or "h100").lower())
    chip = CHIPS[kind]
    if hosts is None:
        if devices is None:
            raise UserError(f"'{text}' does not say how many", "--topology", f"Write {kind}:4x{chip.per_host}.")
        if devices < 1 or (devices > chip.per_host and devices % chip.per_host):
            remedy = f"Give a multiple of {chip.per_host}, or at most that."
            raise UserError(f"{devices} devices do not fill hosts of {chip.per_host}", "--devices", remedy)
        per_host = min(devices, chip.per_host)
        hosts = devices // per_host
    found = Topology(kind, chip, hosts, per_host)
    if devices not in (None, found.devices):
        raise UserError(f"{devices}, but '{text}' has {found.devices}", "--devices", "Leave out one of the two.")
    return found


def _read(text: str) -> tuple[str, int | None, int]:
    """(kind, hosts or None, devices of a host)."""
    match = re.fullmatch(r"([a-z0-9]+)(?::(\d+)x(\d+)|-(\d+))?", text)
    kind = _ALIASES.get(match[1], match[1]) if match else ""
    if match is None or kind not in CHIPS or (match[4] and not CHIPS[kind].slices):
        remedy = nearest(text.partition(":")[0], CHIPS) or f"Kinds: {', '.join(CHIPS)}."
        raise UserError(f"'{text}' is no topology", "--topology", f"Write h100:32x8, or v5p-512. {remedy}")
    if match[4]:
        chips = int(match[4]) // (2 if kind in _CORES_NAMED else 1)
        per_host = min(chips, CHIPS[kind].per_host) or 1
        return kind, max(1, chips // per_host), per_host
    if match[2] and (int(match[2]) < 1 or int(match[3]) < 1):
        raise UserError(f"'{text}' has no devices", "--topology", "Write h100:32x8.")
    return kind, int(match[2]) if match[2] else None, int(match[3] or 0)
