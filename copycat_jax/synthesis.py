"""Bundle in, waveform out: the public interface of CopyCat (CopyCat section 2.4).

    synthesizer = copycat_jax.load()
    out = synthesizer.transfer("source.wav", text="What it says.", voice="af_heart")

A transfer has two halves. `prepare` turns a recording and its text into a `Source`: its analysis, the same that corpora
are built with, under the MelSpec that lies in the bundle, and its speaker's register and vector. `convert` gives it to
one or more voices. Shapes are padded to few static buckets (`programs`), which the models do not notice, so that each
function is compiled a handful of times.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from copycat_jax import console
from copycat_jax.align import textgrid
from copycat_jax.align.pieces import Segment, bridged_blocks, crossfade_blocks, cut_segments
from copycat_jax.analysis import Analysis, Survey, analyse, survey
from copycat_jax.audio import pitch, signal
from copycat_jax.audio.long import LongAudio, read_long_audio, surrounded_blocks
from copycat_jax.audio.loudness import gain_to, limit, loudness_lufs
from copycat_jax.audio.spool import Spool
from copycat_jax.bundle.bundle import Bundle, Speaker, shipped
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import refusals_of
from copycat_jax.mel_spec import MelSpec
from copycat_jax.programs import Programs, read_transferring
from copycat_jax.prosody.heard import heard_prosody, heard_times, within
from copycat_jax.prosody.values import Prosody, SentenceTimes
from copycat_jax.source import (
    Progress,
    Source,
    check_shift,
    reference_of,
    register_ratio,
    silently,
    tracked_by,
    tracker_of,
)
from copycat_jax.text.phonemes import to_ids
from copycat_jax.types import Alignment
from copycat_jax.vocoder.hearing import hear_f0, vocode_mels
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, Vocoder, open_vocoder

WHOLE_S = 120.0  # of a recording that is held in memory
OVERLAP = 4  # frames over which two pieces are crossfaded
LONGEST_S = 10.0  # of a piece: what the models were trained on
FADE_S = 0.005  # where a result meets the silence around it; shorter ones click
Recording = str | Path | np.ndarray | signal.Audio


class Transfer(NamedTuple):
    """A source in one other voice; T frames.

    The samples are as loud as the recording and lie on its own time axis, as `source.analysis.alignment` does: as long
    as the recording, with silence where its edges were trimmed away. Of a trimmed result they are the T frames, and
    `start_s` is 0.
    """

    source: Source
    voice: str
    ratio: float  # target register / source register, as applied
    samples: np.ndarray  # float32
    sample_rate: int
    start_s: float  # when the frames of `mel` begin in `samples`
    mel: np.ndarray  # float32 [T, M], natural log


class Synthesizer:
    """The models of one bundle, compiled as needed.

    Attributes:
      melody: what the vocoder speaks at: "source", the melody it hears in the recording, moved to the target's
        register; or "mel", the one it hears in the mel that was made (a baseline's, whose own melody is to be judged).
    """

    def __init__(self, bundle: Bundle, melody: str | None = None):
        self.bundle = bundle
        self.spec: MelSpec = bundle.spec
        self.voices: Mapping[str, Speaker] = bundle.speakers
        self.programs = Programs(bundle)
        self._vocoders: dict[str, Vocoder] = {}
        self.tracker = tracker_of(bundle.speakers)
        self.melody = melody or ("source" if bundle.kind == "copycat" else "mel")

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
        progress: Progress = silently,
    ) -> Source:
        """Reads and analyses a recording once, for any number of voices; arguments as in `transfer`.

        Beyond WHOLE_S it is analysed in pieces, and memory does not grow with it. `progress` hears of the seconds of
        such a recording twice, when they are aligned and when their F0 is tracked.
        """
        where = str(source) if isinstance(source, str | Path) else "source"
        if register_hz is not None and not 0.0 < register_hz < math.inf:
            raise UserError(f"a register of {register_hz} Hz", where, "Give the source speaker's mean F0 in Hz.")
        if alignment is None and text is None:
            raise UserError("no text", where, "Say what is spoken in it, or give an alignment.")
        given = textgrid.read_textgrid(alignment) if isinstance(alignment, str | Path) else alignment
        spoken = {"text": text, "alignment": given, "lexicon": lexicon, "force": force}
        found = self._analyse(source, sample_rate, where, progress, **spoken)
        same_speaker = [found]
        for reference in references:
            name = str(reference) if isinstance(reference, str | Path) else "reference"
            same_speaker.append(self._analyse(reference, sample_rate, name, silently))
        pieces = [self._pieces(one) for one in same_speaker]
        mels = (one.mel_part(p.start, p.stop) for one, parts in zip(same_speaker, pieces, strict=True) for p in parts)
        curves = [self._melody(one, parts) for one, parts in zip(same_speaker, pieces, strict=True)]
        if register_hz is None:
            register_hz = pitch.register_hz(np.concatenate(curves))
        if doubt := pitch.register_doubt(register_hz):
            console.warn(f"{where}: {doubt}; if the speaker's is known, give it (--source-register)")
        return Source(
            analysis=found._replace(f0_hz=curves[0]),
            register_hz=register_hz,
            vector=self.embed(mels),
            pieces=pieces[0],
            lufs=loudness_lufs(found.samples, self.spec.sample_rate),
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

    def write(
        self,
        source: Source,
        voice: str,
        path: str | Path,
        *,
        vocoder: str | Path = DEFAULT_VOCODER,
        register_shift_semitones: float = 0.0,
        sample: bool = False,
        seed: int = 0,
        trim: bool = False,
        progress: Progress = silently,
    ) -> float:
        """Speaks a prepared source of any length into a wav file, piece by piece; arguments as in `convert`.

        What is made lies in a temporary file beside `path` until it is whole and its loudness known.

        Returns:
          The seconds written; `progress` heard of each as it was made.

        Raises:
          UserError: as in `convert`, or the path cannot be written.
        """
        self.check_voices([voice])
        vocode, ratios = self.vocoder(vocoder), self._ratios(source, [voice], register_shift_semitones)
        made, rate, found = Spool(Path(path).absolute().parent), self.spec.sample_rate, source.analysis
        for mel, samples in self._spoken(source, [voice], ratios, vocode, seed if sample else None):
            made.append(samples[0])
            progress(mel.shape[1] * self.spec.hop_s)
        gain = gain_to(source.lufs, made, rate)
        start, length = (0, len(made)) if trim else (round(found.start_s * rate), found.length)
        with refusals_of(path), signal.writing_wav(path, rate, signal.wav_kind(length)) as writer:
            for block in surrounded_blocks(made, start, length, round(FADE_S * rate)):
                writer.write(limit(gain * block))
        return writer.seconds

    def prosody(
        self, source: Source, voice: str, text: str | None = None, *, register_shift_semitones: float = 0.0
    ) -> Prosody:
        """The prosody that a prepared source is spoken with in `voice`, as a prosody file holds it.

        Its times are those of the trimmed recording. Raises UserError for a recording beyond WHOLE_S, an alignment
        without words, or as `convert`.
        """
        self.check_voices([voice])
        (ratio,) = self._ratios(source, [voice], register_shift_semitones)
        return heard_prosody(source.analysis, self.spec.hop_s, text, float(ratio), self.bundle.fingerprint, voice)

    def times(self, source: Source, text: str | None = None, *, trim: bool = False) -> list[SentenceTimes]:
        """When the words and phones of what is made of a prepared source are spoken."""
        found = source.analysis
        if not trim:
            return heard_times(found, text)
        return within(heard_times(found, text, -found.start_s), len(found.f0_hz) * self.spec.hop_s)

    def embed(self, mels: Iterable[np.ndarray]) -> np.ndarray:
        """Speaker vector float32 [E] of recordings of one speaker: mean over their mels [T, M], weighted by length."""
        self.programs.await_compiled()
        vectors, lengths = zip(*((self.programs.embed(mel), len(mel)) for mel in mels), strict=True)
        return np.average(vectors, axis=0, weights=lengths).astype(np.float32)

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

    def compile_ahead(self, source: Recording, voices: int = 1, vocoder: str | Path = DEFAULT_VOCODER) -> None:
        """Begins to compile what a recording will need in so many voices, beside the caller, who prepares it meanwhile.

        Nothing is begun for recordings that will be cut into pieces, and errors are left to `prepare`.
        """
        with contextlib.suppress(UserError):
            audio = self._read(source, None)
            if not isinstance(audio, signal.Audio) or len(audio.samples) > LONGEST_S * audio.sample_rate:
                return
            start, stop = signal.trim_bounds(audio.samples, audio.sample_rate)
            frames = self.spec.frames(round((stop - start) * self.spec.sample_rate / audio.sample_rate))
            silent = np.full((voices, frames, self.spec.mel_bins), math.log(self.spec.floor), np.float32)
            ratios, vocode = np.ones(voices, np.float32), self.vocoder(vocoder)
            self.programs.compile_ahead(frames, voices, [lambda: self._vocode(silent, silent[0], ratios, vocode)])

    def _convert(
        self,
        source: Source,
        voices: Sequence[str],
        vocode: Vocoder,
        shift_semitones: float,
        seed: int | None,
        trim: bool,
    ) -> list[Transfer]:
        ratios = self._ratios(source, voices, shift_semitones)
        mels, sounds = zip(*self._spoken(source, voices, ratios, vocode, seed), strict=True)
        mel, rate, found = np.concatenate(mels, axis=1), self.spec.sample_rate, source.analysis
        samples = [gain_to(source.lufs, sound, rate) * sound for sound in np.concatenate(sounds, axis=1)]
        start = 0 if trim else round(found.start_s * rate)
        if not trim:
            samples = [signal.surround(sound, start, found.length, round(FADE_S * rate)) for sound in samples]
        return [
            Transfer(source, name, float(ratios[i]), limit(samples[i]), rate, start / rate, mel[i])
            for i, name in enumerate(voices)
        ]

    def _ratios(self, source: Source, voices: Sequence[str], shift_semitones: float) -> np.ndarray:
        """Target register / source register for every voice, float32 [V]."""
        check_shift(shift_semitones)
        registers = [self.voices[name].register_hz for name in voices]
        return np.array([register_ratio(source.register_hz, hertz, shift_semitones) for hertz in registers], np.float32)

    def _spoken(
        self, source: Source, voices: Sequence[str], ratios: np.ndarray, vocode: Vocoder, seed: int | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(mel [V, n, M], samples [V, n * hop]) of blocks that tile the source, in order, piece by piece.

        Blocks meet inside the pauses, with a crossfade of up to OVERLAP frames.
        """
        hop = self.spec.hop_samples
        mels = self._mels(source, voices, ratios, seed)
        blocks, again = itertools.tee(bridged_blocks(mels, source.pieces, len(source.analysis.f0_hz), OVERLAP))
        heard = source.analysis.mel_part
        sounds = (
            ((stop - start) * hop, self._vocode(mel, heard(start, start + mel.shape[1]), ratios, vocode))
            for start, stop, mel in blocks
        )
        for (start, stop, mel), sound in zip(again, crossfade_blocks(sounds, OVERLAP * hop), strict=True):
            yield mel[:, : stop - start], sound

    def _mels(
        self, source: Source, voices: Sequence[str], ratios: np.ndarray, seed: int | None
    ) -> Iterator[np.ndarray]:
        """Mels [V, stop - start, M] of the pieces of a source in all voices at once."""
        found = source.analysis
        centroids = np.array([self.voices[name].centroid for name in voices], np.float32)
        ids = to_ids(found.phonemes)
        for number, piece in enumerate(source.pieces):
            rng = None if seed is None else jax.random.fold_in(jax.random.key(seed), number)
            own = slice(piece.first, piece.first + len(piece.durations))
            heard = reference_of(found, piece.start, piece.stop, self.bundle.kind, self.spec)
            yield self.programs.transfer(heard, ratios, ids[own], piece.durations, source.vector, centroids, rng)

    def _vocode(self, mel: np.ndarray, source_mel: np.ndarray, ratios: np.ndarray, vocode: Vocoder) -> np.ndarray:
        """Samples [V, T * hop] of mels [V, T, M], at the melody that `self.melody` says."""
        melody = (source_mel, ratios) if self.melody == "source" else None
        return vocode_mels(vocode, mel, self.spec, melody, self.programs.bucket)

    def _analyse(
        self, recording: Recording, sample_rate: int | None, where: str, progress: Progress, **spoken
    ) -> Analysis | Survey:
        audio = self._read(recording, sample_rate)
        tracker = tracked_by(self.tracker)
        if isinstance(audio, signal.Audio) and len(audio.samples) <= WHOLE_S * audio.sample_rate:
            return analyse(audio, self.spec, tracker=tracker, where=where, **spoken)
        return survey(LongAudio(*audio), self.spec, tracker=tracker, where=where, progress=progress, **spoken)

    def _melody(self, found: Analysis | Survey, pieces: Sequence[Segment]) -> np.ndarray:
        """F0 in Hz, float32 [T], by what measured the registers of the voices."""
        if self.tracker != pitch.VOCODER:
            return found.f0_hz
        self.programs.await_compiled()
        parts, vocode = [(piece.start, piece.stop) for piece in pieces], self.vocoder(DEFAULT_VOCODER)
        return hear_f0(vocode, found.samples, self.spec, parts, int(found.durations.sum()), self.programs.bucket)

    def _pieces(self, found: Analysis | Survey) -> tuple[Segment, ...]:
        return cut_segments(found.phonemes, found.durations, found.words, self.spec.hop_s, LONGEST_S)

    def _read(self, recording: Recording, sample_rate: int | None) -> signal.Audio | LongAudio:
        """A recording as it came."""
        if isinstance(recording, str | Path):
            return read_long_audio(recording, WHOLE_S)
        if not isinstance(recording, signal.Audio):
            if sample_rate is None or sample_rate <= 0:
                raise UserError("samples without a sample rate", remedy="Give sample_rate in Hz.")
            if np.asarray(recording).dtype.kind != "f":
                raise UserError("samples are not floating point", remedy="Scale them to floats within [-1, 1].")
            recording = signal.Audio(np.asarray(recording, np.float32), sample_rate)
        signal.check_samples(recording.samples, "source")
        return recording


def load(path: str | Path | None = None, melody: str | None = None) -> Synthesizer:
    """A Synthesizer of the bundle at `path`, or of the one that ships; raises UserError if unusable."""
    return Synthesizer(read_transferring(shipped() if path is None else path), melody)
