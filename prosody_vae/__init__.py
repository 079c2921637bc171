"""The prosody space: a VAE text-to-speech model whose utterance embedding is selected by linguistic similarity.

    from prosody_vae import ReadAloud
    said = ReadAloud().say("Who ate the rest of my pizza?")

After Tyagi et al., "Dynamic Prosody Generation for Speech Synthesis using Linguistics-Driven Acoustic Embedding
Selection" (Interspeech 2020). A room built onto `copycat_jax`: it may use that package's layers, data, trainer and
vocoders, never its models, and nothing there imports this one. `ProsodySpace`, `Selector`, `ReadAloud` and their
openers are imported on first use, so that importing this package stays cheap.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prosody_vae.reading.aloud import ReadAloud
    from prosody_vae.selection.selector import Selector
    from prosody_vae.space.files import open_space
    from prosody_vae.space.table import ProsodySpace

__all__ = ["ProsodySpace", "ReadAloud", "Selector", "open_space"]

_HOMES = {
    "ProsodySpace": "prosody_vae.space.table",
    "open_space": "prosody_vae.space.files",
    "Selector": "prosody_vae.selection.selector",
    "ReadAloud": "prosody_vae.reading.aloud",
}


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'prosody_vae' has no attribute '{name}'")
