"""What CopyCat's bottleneck keeps of recordings, and of what was made of them."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from copycat_jax.analysis import Analysis
from copycat_jax.batch import AlignedPhonemes
from copycat_jax.models import copycat
from copycat_jax.nn.regulate import BOTTLENECKS
from copycat_jax.nn.spectrum import stretch_mel
from copycat_jax.source import Source
from copycat_jax.synthesis import Synthesizer
from copycat_jax.text.phonemes import to_ids


class Cycle(NamedTuple):
    """Latents of a recording on its way to a voice, and of the result on its way back (CopyCat section 3.2.4)."""

    there: Float[np.ndarray, "S Z"]
    back: Float[np.ndarray, "S Z"]


class LatentReader:
    """Reads what the bottleneck keeps, posterior means; compiled once a bucket."""

    def __init__(self, synthesizer: Synthesizer):
        self.synthesizer = synthesizer
        config = copycat.CopyCatConfig.from_dict(synthesizer.bundle.config["copycat"] | {"compute_dtype": "float32"})
        self.config, spec, self.params = config, synthesizer.spec, synthesizer.bundle.params["copycat"]

        def kept(params, mel, ratio, aligned, vector):
            heard = stretch_mel(mel, ratio, spec) if config.register_stretch else mel
            mean, _ = copycat.encode(params, config, heard, aligned, vector)
            return mean, *BOTTLENECKS[config.bottleneck].kept(aligned.mask, config.tau)

        self._kept = jax.jit(kept)

    def kept(
        self, source: Source, mel: Float[np.ndarray, "T M"], ratio: float, vector: Float[np.ndarray, " E"]
    ) -> Float[np.ndarray, "S Z"]:
        """One row per block of tau frames.

        Args:
          source: whose phonemes and durations these frames have.
          mel: what the reference encoder hears.
          ratio: of registers, by which it is stretched.
          vector: the speaker's.
        """
        padded, mask = self.synthesizer.programs.padded(mel)
        size = len(padded) // 2
        ids, frames = np.zeros((2, 1, size), np.int32)
        found = source.analysis
        ids[0, : len(found.durations)], frames[0, : len(found.durations)] = to_ids(found.phonemes), found.durations
        aligned = AlignedPhonemes(ids, frames, mask[None])
        arguments = (self.params, padded[None], np.array([ratio], np.float32), aligned, vector[None])
        mean, forward, backward = (np.asarray(x)[0] for x in self._kept(*arguments))
        half = mean.shape[1] // 2
        return np.concatenate([mean[forward][:, :half], mean[backward][:, half:]], axis=1)

    def cycle(self, source: Source, voice: str) -> tuple[Cycle, Float[np.ndarray, "T M"]]:
        """There and back, and the mel that was made on the way."""
        (made,) = self.synthesizer.convert(source, [voice], trim=True)
        target = np.asarray(self.synthesizer.voices[voice].centroid, np.float32)
        mel = source.analysis.mel_part(0, len(made.mel))
        there = self.kept(source, mel, made.ratio, source.vector)
        return Cycle(there, self.kept(source, made.mel, 1 / made.ratio, target)), made.mel


def in_one_piece(source: Source) -> Analysis | None:
    """What is known of a recording whose latents are read at once: one piece, of at most a phoneme every two frames."""
    found = source.analysis
    dense = 2 * len(found.durations) > len(found.f0_hz)
    return found if isinstance(found, Analysis) and len(source.pieces) == 1 and not dense else None
