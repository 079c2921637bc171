"""Bundle in, waveform out: the public interface of CopyCat (CopyCat section 2.4).

    synthesizer = copycat_jax.load()
    out = synthesizer.transfer("source.wav", text="What it says.", voice="af_heart")

A transfer has two halves. `prepare` turns a recording and its text into a `Source`: its analysis, the same that corpora
are built with, under the MelSpec that lies in the bundle, and its speaker's register and vector. `convert` gives it to
one or more voices. Shapes are padded to few static buckets, which the models do not notice, so that each function is
compiled a handful of times.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.align import suspicion, textgrid
from copycat_jax.align.pieces import Segment, cut_segments, join_segments
from copycat_jax.analysis import Analysis, analyse
from copycat_jax.audio import pitch, signal
from copycat_jax.batch import AlignedPhonemes
from copycat_jax.bundle.bundle import Bundle, Speaker, read_bundle, shipped
from copycat_jax.errors import UserError, nearest
from copycat_jax.mel_spec import MelSpec
from copycat_jax.models import copycat, speaker
from copycat_jax.nn.spectrum import sharpen_mel
from copycat_jax.text.phonemes import to_ids
from copycat_jax.types import Alignment
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, Vocoder, open_vocoder

LONGEST_S = 10.0  # of a piece: what the models were trained on
FADE_S = 0.005  # where a result meets the silence around it; shorter ones click
RATIO_RANGE = (0.35, 3.0)  # of registers: beyond it an estimate is wrong, not a voice strange
Recording = str | Path | np.ndarray | signal.Audio


# Of the model's mel before it is vocoded; on 48 development clips: voicing error 0.138 without, 0.115 with.
SHARPNESS = 0.5


class Source(NamedTuple):
    """A recording made ready for transfer: what it is, whose voice it has, and how it is cut for the models."""

    analysis: Analysis
    register_hz: float
    vector: np.ndarray  # float32 [E]
    pieces: tuple[Segment, ...]

    @property
    def confidence(self) -> float:
        """How surely the text is what is said, 0..1; 1 where an alignment without a score was given."""
        return suspicion.confidence(self.analysis.alignment)


class Transfer(NamedTuple):
    """A source in one other voice; T frames.

    The samples lie on the recording's own time axis, as `source.analysis.alignment` does: as long as the recording,
    with silence where its edges were trimmed away. Of a trimmed result they are the T frames, and `start_s` is 0.
    """

    source: Source
    voice: str
    ratio: float  # target register / source register, as applied
    samples: np.ndarray  # float32
    sample_rate: int
    start_s: float  # when the frames of `mel` begin in `samples`
    mel: np.ndarray  # float32 [T, M], natural log


class Synthesizer:
    """The models of one bundle, compiled as needed."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.spec: MelSpec = bundle.spec
        self.voices: Mapping[str, Speaker] = bundle.speakers
        # float32: weights are shipped as float16 anyway, and bfloat16 does not pay on a CPU.
        single = {"compute_dtype": "float32"}
        config = copycat.CopyCatConfig.from_dict(bundle.config["copycat"] | single)
        classifier = speaker.SpeakerConfig.from_dict(bundle.config["speaker"] | single)
        self._step = math.lcm(64, config.tau)
        self._params = jax.tree.map(jnp.asarray, bundle.params)
        self._embed = jax.jit(lambda params, mel, mask: speaker.embed(params, classifier, mel, mask))
        self._transfer = jax.jit(partial(_transfer, config=config, spec=bundle.spec))
        self._vocoders: dict[str, Vocoder] = {}

    def transfer(
        self,
        source: Recording,
        text: str | None = None,
        voice: str = "",
        *,
        sample_rate: int | None = None,
        lexicon=None,
        vocoder: str | Path = DEFAULT_VOCODER,
        alignment: Alignment | str | Path | None = None,
        references: Sequence[Recording] = (),
        source_register_hz: float | None = None,
        register_shift_semitones: float = 0.0,
        sample: bool = False,
        seed: int = 0,
        trim: bool = False,
        force: bool = False,
    ) -> Transfer:
        """Speaks what `source` says, with its prosody, in `voice`.

        Args:
          source: a sound file, or samples (then `sample_rate` is theirs).
          text: what is said in it; not needed beside an `alignment`.
          voice: a name of `self.voices`.
          sample_rate: of `source` and of `references`, where these are arrays.
          lexicon: a `text.lexicon.Lexicon` looked into before all else.
          vocoder: a name of `vocoder.registry.VOCODERS`, or a HiFi-GAN checkpoint.
          alignment: where its phones lie, if that is known: an Alignment of the whole recording, or a TextGrid file.
          references: more recordings of the source's speaker; they make register and speaker vector surer.
          source_register_hz: the speaker's register, if that is known.
          register_shift_semitones: how far above the target's own register to speak.
          sample: draw from the posterior instead of taking its mean.
          seed: of that draw.
          trim: leave out the silence at the recording's edges; without it the result has the recording's length,
            N samples at rate r being round(N * sample_rate / r), halves rounded up.
          force: go on although the text does not seem to be what is said.

        Raises:
          UserError: bad sound, text that does not match, an unknown voice, an unusable vocoder or alignment.
        """
        self.check_voices([voice])
        vocode = self.vocoder(vocoder)
        prepared = self.prepare(
            source,
            text,
            sample_rate=sample_rate,
            lexicon=lexicon,
            alignment=alignment,
            references=references,
            register_hz=source_register_hz,
            force=force,
        )
        return self._convert(prepared, [voice], vocode, register_shift_semitones, seed if sample else None, trim)[0]

    def prepare(
        self,
        source: Recording,
        text: str | None = None,
        *,
        sample_rate: int | None = None,
        lexicon=None,
        alignment: Alignment | str | Path | None = None,
        references: Sequence[Recording] = (),
        register_hz: float | None = None,
        force: bool = False,
    ) -> Source:
        """Reads and analyses a recording once, for any number of voices; arguments as in `transfer`."""
        where = str(source) if isinstance(source, str | Path) else "source"
        if register_hz is not None and not 0.0 < register_hz < math.inf:
            raise UserError(f"a register of {register_hz} Hz", where, "Give the source speaker's mean F0 in Hz.")
        if alignment is None and text is None:
            raise UserError("no text", where, "Say what is spoken in it, or give an alignment.")
        given = textgrid.read_textgrid(alignment) if isinstance(alignment, str | Path) else alignment
        audio = self._read(source, sample_rate)
        found = analyse(audio, self.spec, text=text, alignment=given, lexicon=lexicon, where=where, force=force)
        hop_s = self.spec.hop_s
        same_speaker = [found]
        for reference in references:
            name = str(reference) if isinstance(reference, str | Path) else "reference"
            same_speaker.append(analyse(self._read(reference, sample_rate), self.spec, where=name))
        pieces = cut_segments(found.phonemes, found.durations, found.words, hop_s, LONGEST_S)
        mels = [found.mel[p.start : p.stop] for p in pieces] + [other.mel for other in same_speaker[1:]]
        return Source(
            analysis=found,
            register_hz=register_hz or pitch.register_hz(np.concatenate([one.f0_hz for one in same_speaker])),
            vector=self.embed(mels),
            pieces=pieces,
        )

    def convert(
        self,
        source: Source,
        voices: Sequence[str],
        *,
        vocoder: str | Path = DEFAULT_VOCODER,
        register_shift_semitones: float = 0.0,
        sample: bool = False,
        seed: int = 0,
        trim: bool = False,
    ) -> list[Transfer]:
        """Speaks a prepared source in several voices at once; arguments as in `transfer`."""
        self.check_voices(voices)
        drawn, vocode = seed if sample else None, self.vocoder(vocoder)
        return self._convert(source, voices, vocode, register_shift_semitones, drawn, trim)

    def embed(self, mels: Sequence[np.ndarray]) -> np.ndarray:
        """Speaker vector float32 [E] of recordings of one speaker: mean over their mels [T, M], weighted by length."""
        vectors = []
        for mel in mels:
            padded, mask = self._padded(mel)
            vectors.append(np.asarray(self._embed(self._params["speaker"], padded[None], mask[None]))[0])
        return np.average(vectors, axis=0, weights=[len(mel) for mel in mels]).astype(np.float32)

    def check_voices(self, voices: Sequence[str]) -> None:
        """Raises UserError, with the nearest name and all of them, unless the bundle speaks as all `voices`."""
        for name in voices:
            if name not in self.voices:
                raise UserError(
                    f"unknown voice '{name}'",
                    remedy=f"{nearest(name, self.voices)} This bundle speaks as: {', '.join(self.voices)}.",
                )

    def vocoder(self, name: str | Path) -> Vocoder:
        """Opens a vocoder, once; raises UserError where it is unknown, corrupt or of another mel convention."""
        if str(name) not in self._vocoders:
            self._vocoders[str(name)] = open_vocoder(str(name), self.spec)
        return self._vocoders[str(name)]

    def bucket(self, frames: int) -> int:
        """The static number of frames that `frames` are padded to: a multiple of tau, steps growing with length."""
        step = self._step * (1 if frames <= 4 * self._step else 2 if frames <= 14 * self._step else 4)
        return -(-frames // step) * step

    def _convert(
        self,
        source: Source,
        voices: Sequence[str],
        vocode: Vocoder,
        shift_semitones: float,
        seed: int | None,
        trim: bool,
    ) -> list[Transfer]:
        if not abs(shift_semitones) <= 48.0:  # also false for NaN
            raise UserError(f"a register shift of {shift_semitones} semitones", remedy="Give at most four octaves.")
        targets = [self.voices[name] for name in voices]
        ratios = np.array([_ratio(source.register_hz, t.register_hz, shift_semitones) for t in targets], np.float32)
        centroids = np.array([t.centroid for t in targets], np.float32)
        found, rate = source.analysis, self.spec.sample_rate
        ids, count = to_ids(found.phonemes), len(voices)
        rows, mels = partial(_rows, count=count), []
        for number, piece in enumerate(source.pieces):
            mel, mask = self._padded(found.mel[piece.start : piece.stop])
            size = _phoneme_bucket(len(piece.durations), len(mel))
            phonemes, frames = np.zeros((2, size), np.int32)
            phonemes[: len(piece.durations)] = ids[piece.first : piece.first + len(piece.durations)]
            frames[: len(piece.durations)] = piece.durations
            rng = None if seed is None else jax.random.fold_in(jax.random.key(seed), number)
            aligned = AlignedPhonemes(rows(phonemes), rows(frames), rows(mask))
            inputs = (rows(mel), ratios, aligned, rows(source.vector), centroids)
            result = np.asarray(self._transfer(self._params["copycat"], *inputs, rng), np.float32)
            mels.append(result[:, : piece.stop - piece.start])
        joined = join_segments(mels, source.pieces, len(found.mel))
        samples = [_unclipped(sound) for sound in self._vocode(joined, source.pieces, vocode)]
        start = 0 if trim else round(found.start_s * rate)
        if not trim:
            samples = [signal.surround(sound, start, found.length, round(FADE_S * rate)) for sound in samples]
        return [
            Transfer(source, name, float(ratios[i]), samples[i], rate, start / rate, joined[i])
            for i, name in enumerate(voices)
        ]

    def _vocode(self, mel: np.ndarray, pieces: Sequence[Segment], vocode: Vocoder) -> np.ndarray:
        """Samples [V, T * hop] of mels [V, T, M], piece by piece with a short crossfade inside the pauses."""
        hop, frames = self.spec.hop_samples, mel.shape[1]
        out = np.zeros((len(mel), frames * hop), np.float32)
        starts = [0, *(p.start for p in pieces[1:])]
        for start, stop in zip(starts, [*starts[1:], frames], strict=True):
            overlap = min(4, frames - stop)
            size = self.bucket(stop + overlap - start)
            part = np.full((len(mel), size, mel.shape[2]), math.log(self.spec.floor), np.float32)
            part[:, : stop + overlap - start] = mel[:, start : stop + overlap]
            sound = np.array(vocode(part))[:, : (stop + overlap - start) * hop]
            if start:
                faded = min(4, stop - start) * hop
                sound[:, :faded] *= np.linspace(0, 1, faded, dtype=np.float32)
            if overlap:
                sound[:, -overlap * hop :] *= np.linspace(1, 0, overlap * hop, dtype=np.float32)
            out[:, start * hop : (stop + overlap) * hop] += sound
        return out

    def _read(self, recording: Recording, sample_rate: int | None) -> signal.Audio:
        """A recording as it came."""
        if isinstance(recording, str | Path):
            return signal.read_audio(recording)
        if not isinstance(recording, signal.Audio):
            if sample_rate is None or sample_rate <= 0:
                raise UserError("samples without a sample rate", remedy="Give sample_rate in Hz.")
            if np.asarray(recording).dtype.kind != "f":
                raise UserError("samples are not floating point", remedy="Scale them to floats within [-1, 1].")
            recording = signal.Audio(np.asarray(recording, np.float32), sample_rate)
        signal.check_samples(recording.samples, "source")
        return recording

    def _padded(self, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A mel [T, M] in its bucket, and the mask of its real frames."""
        padded = np.zeros((self.bucket(len(mel)), mel.shape[1]), np.float32)
        padded[: len(mel)] = mel
        return padded, np.arange(len(padded)) < len(mel)


def load(path: str | Path | None = None) -> Synthesizer:
    """A Synthesizer of the bundle at `path`, or of the one that ships; raises UserError if unusable."""
    return Synthesizer(read_bundle(shipped() if path is None else path, "copycat"))


def _transfer(params, mel, ratio, aligned, source, target, rng, *, config, spec: MelSpec) -> jax.Array:
    """`models.copycat.transfer_mel`, sharpened for the vocoder."""
    result = copycat.transfer_mel(params, config, mel, ratio, aligned, source, target, spec, rng)
    return sharpen_mel(result, SHARPNESS)


def _ratio(source_hz: float, target_hz: float, shift_semitones: float) -> float:
    """Target register / source register, shifted; 1 where the source has no voiced frame to tell its register by."""
    if not (math.isfinite(source_hz) and source_hz > 0):
        return 2.0 ** (shift_semitones / 12)
    return min(max(target_hz / source_hz * 2.0 ** (shift_semitones / 12), RATIO_RANGE[0]), RATIO_RANGE[1])


def _phoneme_bucket(phonemes: int, frames: int) -> int:
    """Phonemes are padded to a quarter of the frames, a half or all: never more than one per frame."""
    return next(size for size in (frames // 4, frames // 2, frames) if phonemes <= size)


def _rows(value: np.ndarray, count: int) -> np.ndarray:
    return np.broadcast_to(value, (count, *value.shape))


def _unclipped(samples: np.ndarray) -> np.ndarray:
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples if peak <= 1.0 else samples * (0.99 / peak)
