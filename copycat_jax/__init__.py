"""CopyCat in JAX: the same words, in another voice, with the recording's prosody.

    import copycat_jax
    voice = copycat_jax.load()
    out = voice.transfer("source.wav", text="What the recording says.", voice="af_heart")

Everything but the version is imported on first use, so that importing this package stays cheap.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copycat_jax.errors import UserError
    from copycat_jax.synthesis import Synthesizer, Transfer, load
    from copycat_jax.text.lexicon import read_lexicon

__version__ = "0.1.0"
__all__ = ["Synthesizer", "Transfer", "UserError", "__version__", "load", "read_lexicon"]

_HOMES = {
    "Synthesizer": "copycat_jax.synthesis",
    "Transfer": "copycat_jax.synthesis",
    "UserError": "copycat_jax.errors",
    "load": "copycat_jax.synthesis",
    "read_lexicon": "copycat_jax.text.lexicon",
}


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'copycat_jax' has no attribute '{name}'")
