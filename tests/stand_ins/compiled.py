"""What a compiled program says of its collectives and loops."""

import re

_COLLECTIVE = re.compile(r" = .*?\b(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(")
_CALLED = re.compile(r"\b(?:calls|to_apply|body|condition)=%?([\w.\-]+)")


def collectives(text: str) -> tuple[set[str], set[str]]:
    """Kinds of collectives anywhere in a program's text, and those inside what its loops call."""
    parts: dict[str, list[str]] = {}
    name = ""
    for line in text.split("\n"):
        start = re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line)
        if start:
            name = start[1]
        parts.setdefault(name, []).append(line)
    looped, waiting = set(), re.findall(r"\bbody=%?([\w.\-]+)", text)
    assert waiting, "the program has no loop"
    while waiting:
        name = waiting.pop()
        if name not in looped:
            looped.add(name)
            waiting += [called for line in parts[name] for called in _CALLED.findall(line)]

    def kinds(names) -> set[str]:
        return {found[1] for name in names for line in parts[name] if (found := _COLLECTIVE.search(line))}

    return kinds(parts), kinds(looped)


def arrays_with(text: str, size: int) -> set[str]:
    """Shapes that have a dimension of `size`, wherever a device holds them; the interface's own line is left out."""
    body = text[text.index("\n") :]
    return set(re.findall(rf"\w+\[(?:\d+,)*{size}(?:,\d+)*\]", body))
