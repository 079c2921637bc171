"""The compiled functions of a bundle that transfers, their static shapes, and how they are compiled ahead.

Tracing and compiling is most of the time to a first result. XLA compiles in threads that need no lock of Python's, so
`compile_ahead` begins as soon as a recording's length is known, and what is aligned and measured meanwhile costs no
time of its own. Two expensive passes of LLVM are left out: a quarter less time to compile, and none lost later
[measured on two cores].
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.bundle.bundle import Bundle, read_bundle
from copycat_jax.config import Config
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.models import baseline, copycat, speaker

# Kind of a bundle -> its configuration, and its function from a reference, all of one signature.
TRANSFERS: dict[str, tuple[type[Config], Callable[..., jax.Array]]] = {
    "copycat": (copycat.CopyCatConfig, copycat.transfer_mel),
    "baseline": (baseline.BaselineConfig, baseline.transfer_mel),
}
_QUICKLY = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}


def read_transferring(path: str | Path) -> Bundle:
    """The bundle at `path`; raises UserError as `read_bundle` does, and where it is none that transfers."""
    bundle = read_bundle(path)
    if bundle.kind not in TRANSFERS:
        kinds = " or ".join(f"'{kind}'" for kind in TRANSFERS)
        raise UserError(f"a bundle of kind '{bundle.kind}', not {kinds}", str(path), f"Give a bundle of kind {kinds}.")
    return bundle


class Programs:
    """Both models of one bundle, compiled as needed or ahead."""

    def __init__(self, bundle: Bundle):
        # float32: weights are shipped as float16 anyway, and bfloat16 does not pay on a CPU.
        single = {"compute_dtype": "float32"}
        config_class, function = TRANSFERS[bundle.kind]
        config = config_class.from_dict(bundle.config[bundle.kind] | single)
        classifier = speaker.SpeakerConfig.from_dict(bundle.config["speaker"] | single)
        options = _QUICKLY if jax.default_backend() == "cpu" else None
        self._step = math.lcm(64, getattr(config, "tau", 1))
        self._mels, self._vector = bundle.spec.mel_bins, classifier.embedding
        self._reference = self._mels if bundle.kind == "copycat" else 2  # columns
        self._kind = bundle.kind
        self._params = jax.device_put(bundle.params)  # jnp.asarray would compile a program for each shape
        embed, move = (
            partial(_embed, config=classifier),
            partial(_transfer, function=function, config=config, spec=bundle.spec),
        )
        self._embed = jax.jit(embed, compiler_options=options)
        self._transfer = jax.jit(move, compiler_options=options)
        self._ahead: list[Future] = []

    def embed(self, mel: Float32[np.ndarray, "T M"]) -> Float32[np.ndarray, " E"]:
        """The speaker vector of one recording."""
        padded, mask = self.padded(mel)
        return np.asarray(self._embed(self._params["speaker"], padded[None], mask[None]))[0]

    def transfer(
        self,
        reference: Float32[np.ndarray, "T K"],
        ratios: Float32[np.ndarray, " V"],
        phonemes: Int32[np.ndarray, " P"],
        durations: Int32[np.ndarray, " P"],
        source: Float32[np.ndarray, " E"],
        centroids: Float32[np.ndarray, "V E"],
        rng: jax.Array | None,
    ) -> Float32[np.ndarray, "V T M"]:
        """The mel in all voices at once, by the model's `transfer_mel`; `reference` is what that hears of a source."""
        padded, mask = self.padded(reference)
        size, rows = _phoneme_bucket(len(durations), len(padded)), partial(_rows, count=len(ratios))
        ids, frames = np.zeros((2, size), np.int32)
        ids[: len(phonemes)], frames[: len(durations)] = phonemes, durations
        aligned = AlignedPhonemes(rows(ids), rows(frames), rows(mask))
        inputs = (rows(padded), ratios, aligned, rows(source), centroids)
        return np.asarray(self._transfer(self._params[self._kind], *inputs, rng), np.float32)[:, : len(reference)]

    def bucket(self, frames: int) -> int:
        """The static number of frames that `frames` are padded to: a multiple of tau, steps growing with length."""
        step = self._step * (1 if frames <= 4 * self._step else 2 if frames <= 14 * self._step else 4)
        return -(-frames // step) * step

    def padded(self, mel: Float32[np.ndarray, "T M"]) -> tuple[Float32[np.ndarray, "t M"], Bool[np.ndarray, " t"]]:
        """A mel in its bucket, and the mask of its real frames."""
        padded = np.zeros((self.bucket(len(mel)), mel.shape[1]), np.float32)
        padded[: len(mel)] = mel
        return padded, np.arange(len(padded)) < len(mel)

    def compile_ahead(self, frames: int, voices: int, others: Sequence[Callable[[], Any]] = ()) -> None:
        """Begins to compile, beside the caller, what a piece of so many frames needs in so many voices.

        `others` are called for the same purpose. `await_compiled` waits for all.
        """
        size, row = self.bucket(frames), jax.ShapeDtypeStruct
        mel, mask = row((1, size, self._mels), np.float32), row((voices, size), np.bool_)
        reference = row((voices, size, self._reference), np.float32)
        places = row((voices, _phoneme_bucket(1, size)), np.int32)
        vectors = row((voices, self._vector), np.float32)
        aligned = AlignedPhonemes(places, places, mask)
        moved = (self._params[self._kind], reference, row((voices,), np.float32), aligned, vectors, vectors, None)
        heard = (self._params["speaker"], mel, row((1, size), np.bool_))
        pool = ThreadPoolExecutor(2)
        self._ahead += [pool.submit(_compile, self._transfer, moved), *map(pool.submit, others)]
        self._ahead += [pool.submit(_compile, self._embed, heard)]
        pool.shutdown(wait=False)

    def await_compiled(self) -> None:
        """Returns when all that `compile_ahead` began is done; raises what went wrong there."""
        while self._ahead:
            self._ahead.pop().result()


def _compile(program: Any, arguments: tuple) -> None:
    program.lower(*arguments).compile()


def _embed(params, mel, mask, *, config: speaker.SpeakerConfig) -> jax.Array:
    return speaker.embed(params, config, mel, mask)


def _transfer(params, reference, ratio, aligned, source, target, rng, *, function, config, spec: MelSpec) -> jax.Array:
    return function(params, config, reference, ratio, aligned, source, target, spec, rng)


def _phoneme_bucket(phonemes: int, frames: int) -> int:
    """Phonemes are padded to a quarter of the frames, a half or all: never more than one per frame."""
    return next(size for size in (frames // 4, frames // 2, frames) if phonemes <= size)


def _rows(value: np.ndarray, count: int) -> np.ndarray:
    return np.broadcast_to(value, (count, *value.shape))
