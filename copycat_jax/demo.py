"""The recording that `copycat demo` speaks, which ships with the package, and the voices it speaks in."""

from collections.abc import Iterable
from pathlib import Path

CLIP = Path(__file__).parent / "pretrained" / "demo"  # holds source.opus and source.txt, what it says
# A man and two women, one of them British; what a bundle lacks of them is replaced by its other voices.
FAVOURITES = ("af_heart", "am_michael", "bf_emma")


def clip_text() -> str:
    """What the recording that ships says."""
    return (CLIP / "source.txt").read_text(encoding="utf-8").strip()


def choose_voices(known: Iterable[str]) -> list[str]:
    """Up to three of the `known` voices of a bundle: the favourites among them, then others in alphabetical order."""
    names = sorted(known)
    favourites = [name for name in FAVOURITES if name in names]
    return [*favourites, *(name for name in names if name not in favourites)][:3]
