"""What a compiled program sends between devices, read from its text."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f64": 8, "s64": 8, "u64": 8, "c64": 8}
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_OPERATION = re.compile(r"^(?:ROOT )?%?[\w.\-]+ = (.*?) ([a-z][\w\-]*)\(")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|\w+_computation)=%?([\w.\-]+)|branch_computations=\{([^}]*)\}")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


class Collectives(NamedTuple):
    """Collectives of one run of a program, loops times their length (once, where the program does not tell it)."""

    count: int
    bytes: int  # of their results, on one device
    in_loops: int  # of the count, those in loop bodies


def collectives_of(text: str) -> Collectives:
    """The collectives of a program in HLO text, as `compiled.as_text()` gives it."""
    bodies, entry = _computations(text)
    totals: dict[str, Counter] = {}

    def total(name: str) -> Counter:
        if name not in totals:
            totals[name] = Counter()  # a computation never calls itself
            for line in bodies.get(name, ()):
                totals[name].update(_line(line, total))
        return totals[name]

    found = total(entry)
    return Collectives(found["count"], found["bytes"], found["in_loops"])


def _computations(text: str) -> tuple[Mapping[str, list[str]], str]:
    bodies: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head and not line.startswith(" "):
            lines = bodies[head[1]] = []
            entry = head[1] if line.startswith("ENTRY") else entry
        elif line.startswith(" "):
            lines.append(line.strip())
    return bodies, entry


def _line(line: str, total: Callable[[str], Counter]) -> Counter:
    operation = _OPERATION.match(line)
    if not operation:
        return Counter()
    result, name = operation[1], operation[2]
    kind = name.removesuffix("-start")
    if kind in KINDS:
        return Counter(count=1, bytes=sum(_size(*array) for array in _ARRAY.findall(result)))
    called = [c.strip("% ") for one, several in _CALLED.findall(line) for c in (one or several).split(",")]
    inside: Counter = sum((total(c) for c in called), Counter())
    if name != "while":
        return inside
    trips = _TRIPS.search(line)
    times = int(trips[1]) if trips else 1
    return Counter(count=times * inside["count"], bytes=times * inside["bytes"], in_loops=times * inside["count"])


def _size(kind: str, shape: str) -> int:
    return _BYTES.get(kind, 4) * math.prod(int(n) for n in shape.split(",") if n)
