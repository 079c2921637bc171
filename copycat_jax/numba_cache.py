"""The door of librosa: one process at a time fills numba's cache of its compiled functions.

numba compiles them when librosa is imported or first used, and keeps them beside the package. Two processes that do so
at once in a fresh installation can leave a cache that crashes every later one [measured: two test processes].
"""

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def filling_numba_cache() -> Iterator[None]:
    """While it lasts no other process of this user is inside; no wait where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"copycat_jax_numba_{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def import_librosa() -> Any:
    """librosa, with the parts that compile on import imported."""
    with filling_numba_cache():
        import librosa
        import librosa.core.audio
        import librosa.core.pitch
        import librosa.filters
        import librosa.util.utils
    return librosa
