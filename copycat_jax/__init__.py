"""CopyCat in JAX: the same words, in another voice, with the recording's prosody.

    import copycat_jax
    voice = copycat_jax.load()
    out = voice.transfer("source.wav", text="What the recording says.", voice="af_heart")

`load` and `Synthesizer` are imported on first use, so that importing this package stays cheap.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copycat_jax.synthesis import Synthesizer, load

__version__ = "0.1.0"
__all__ = ["Synthesizer", "__version__", "load"]


def __getattr__(name: str):
    if name in ("Synthesizer", "load"):
        from copycat_jax import synthesis

        return getattr(synthesis, name)
    raise AttributeError(f"module 'copycat_jax' has no attribute '{name}'")
