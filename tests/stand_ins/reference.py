"""librosa, which our own spectra and our own pYIN are compared with."""

import contextlib
import functools
from typing import Any

from copycat_jax.files import locked_file, private_temporary_folder


@functools.cache
def import_librosa() -> Any:
    """librosa, imported by one process at a time: two that fill numba's cache at once leave one that crashes."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(locked_file(private_temporary_folder() / "numba.lock"))
        import librosa
        import librosa.core.pitch
        import librosa.filters

        return librosa
