"""Sound of any length in a temporary file, sliced like an array: what a long recording is read from piece by piece."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.files import refusals_of

BLOCK_SAMPLES = 1 << 18
_BYTES = 4  # of a float32


class Spool:
    """Samples, float32, that take no memory; the file has no name and goes with this object.

    Args:
      folder: where the file shall be; the system's place for temporary files by default.
    """

    def __init__(self, folder: str | Path | None = None):
        self._folder, self._length = Path(tempfile.gettempdir() if folder is None else folder), 0
        with refusals_of(self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (it is open as long as this object lives)

    def append(self, samples: Float[np.ndarray, " n"]) -> None:
        """Takes the next samples; raises UserError where there is no room for them."""
        with refusals_of(self._folder):
            self._file.seek(_BYTES * self._length)
            self._file.write(np.ascontiguousarray(samples, np.float32).data)
        self._length += len(samples)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> Float[np.ndarray, " n"]:
        """The samples of a slice without a step, as those of an array."""
        start, stop, _ = part.indices(self._length)
        self._file.flush()
        self._file.seek(_BYTES * start)
        return np.fromfile(self._file, np.float32, max(0, stop - start))


class Stretch:
    """samples[start:stop], itself sliced like an array; nothing is read before that."""

    def __init__(self, samples: "Samples", start: int, stop: int):
        self._samples, self._start, self._length = samples, start, stop - start

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> Float[np.ndarray, " n"]:
        """As of a `Spool`."""
        start, stop, _ = part.indices(self._length)
        return self._samples[self._start + start : self._start + stop]


Samples: TypeAlias = np.ndarray | Spool | Stretch


def blocks_of(samples: Samples, start: int = 0, stop: int | None = None) -> Iterator[Float[np.ndarray, " n"]]:
    """samples[start:stop] in order, block by block."""
    stop = len(samples) if stop is None else stop
    for at in range(start, stop, BLOCK_SAMPLES):
        yield samples[at : min(at + BLOCK_SAMPLES, stop)]
