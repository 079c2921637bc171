"""The door of librosa: one process at a time fills numba's cache of its compiled functions.

numba compiles them when librosa is imported or first used [half a minute], and keeps them beside the package, or in the
user's cache folder. Two processes that do so at once in a fresh installation can leave a cache that crashes every later
one [measured: two test processes]. Where neither place can be written, as in containers and on shared clusters, numba
refuses to import librosa at all; they are kept among the temporary files then.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from copycat_jax.errors import UserError
from copycat_jax.files import locked_file, private_temporary_folder


@contextlib.contextmanager
def filling_numba_cache() -> Iterator[None]:
    """While it lasts no other process of this user is inside; no wait where nothing can be locked."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(locked_file(private_temporary_folder() / "numba.lock"))
        yield


@functools.cache
def import_librosa() -> Any:
    """librosa, with the parts that compile on import imported.

    Raises:
      UserError: there is no place at all for what numba compiles.
    """
    with filling_numba_cache():
        _caching_is_optional()
        try:
            return _import()
        except RuntimeError as error:
            if "locator" not in str(error):
                raise
        import numba.core.config

        try:
            numba.core.config.CACHE_DIR = str(private_temporary_folder() / "numba")  # type: ignore[attr-defined]
            return _import()
        except (OSError, RuntimeError):
            remedy = "Set NUMBA_CACHE_DIR to a folder that can be written."
            raise UserError("no place to keep compiled functions in", "numba", remedy) from None


def _import() -> Any:
    import librosa
    import librosa.core.audio
    import librosa.core.pitch
    import librosa.filters
    import librosa.util.utils

    return librosa


def _caching_is_optional() -> None:
    """What was compiled is used even where the disk is too full to keep it."""
    from numba.core import caching

    save = caching.Cache.save_overload

    def attempt(self: Any, *arguments: Any) -> None:
        with contextlib.suppress(OSError):
            save(self, *arguments)

    caching.Cache.save_overload = attempt  # type: ignore[reportAttributeAccessIssue]
