"""F0 as the vocoder that ships hears it in a mel: what the registers of voices and sources are measured by.

Its network learnt the exact curves of rendered speech and follows soft and creaky voices where trackers fall silent.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float, Float32

from copycat_jax import console
from copycat_jax.audio.mel import extract_mel_part
from copycat_jax.audio.pitch import MARGIN_S, register_hz, spread_semitones
from copycat_jax.audio.signal import speech_mask, voice_band
from copycat_jax.audio.spool import Samples
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.mel_spec import MelSpec
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, Vocoder, open_vocoder

_BUCKET = 256  # frames, to multiples of which mels are padded


def hear_f0(
    vocode: Vocoder,
    samples: Samples,
    spec: MelSpec,
    parts: Iterable[tuple[int, int]],
    frames: int,
    bucket: Callable[[int], int] = lambda frames: frames,
) -> Float32[np.ndarray, " T"]:
    """F0 in Hz on all frames of a recording, 0 where unvoiced and outside of `parts`; hum is not heard.

    Args:
      vocode: the vocoder that ships.
      samples: the recording at the spec's rate.
      spec: the mel convention.
      parts: [start, stop) of the recording, in frames, that are listened to.
      frames: T, of the whole recording.
      bucket: how many frames so many are padded to; each is compiled for.
    """
    margin, heard = round(MARGIN_S / spec.hop_s), np.zeros(frames, np.float32)
    for start, stop in parts:
        first = max(0, start - margin)
        part = samples[first * spec.hop_samples : (stop + margin) * spec.hop_samples]
        voice = voice_band(part, spec.sample_rate)
        mel = extract_mel_part(voice, spec, start - first, stop - first)
        f0_hz = hear_mel(vocode, mel, spec, bucket)
        if voice is not part:  # what is left of a hum has a pitch, too
            centres = (np.arange(start - first, stop - first) + 0.5) * spec.hop_samples
            f0_hz[~speech_mask(voice, spec.sample_rate)[np.minimum(centres.astype(int), len(voice) - 1)]] = 0.0
        heard[start:stop] = f0_hz
    return heard


def hear_speakers(corpus: Corpus, names: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """(register in Hz, spread in semitones) of speakers of a corpus, all by default and none that it has not.

    Hum would be heard: mels hold it.

    Raises:
      UserError: its mels are of another convention than those the vocoder hears.
    """
    vocode, found = open_vocoder(DEFAULT_VOCODER, corpus.spec), {}
    known = [name for name in names or corpus.speakers if name in corpus.speakers]
    for name in console.progress(known, "registers", unit="voice"):
        own = np.flatnonzero(corpus.speaker == corpus.speakers.index(name))
        mels = (corpus.utterance(row).mel for row in own)
        f0_hz = np.concatenate([hear_mel(vocode, mel, corpus.spec) for mel in mels])
        found[name] = register_hz(f0_hz), spread_semitones(f0_hz)
    return found


def vocode_mels(
    vocode: Vocoder,
    mels: Float[np.ndarray, "V T M"],
    spec: MelSpec,
    melody: tuple[Float[np.ndarray, "T M"], Float[np.ndarray, " V"]] | None = None,
    bucket: Callable[[int], int] = lambda frames: frames,
) -> Float[np.ndarray, "V N"]:
    """Samples of mels on the frames of one recording.

    Args:
      vocode: any vocoder.
      mels: natural log-mels.
      spec: the mel convention.
      melody: the recording's mel and a ratio for every row: the vocoder speaks at the melody that it hears there, times
        the ratio. It hears a recording's mel better than a network's: on 24 development clips the F0 correlation is
        0.996 with 0.3 % gross errors, with the melody of the mels that are spoken (None) 0.980 with 5.6 %; DistillMOS
        4.35 and 4.42.
      bucket: how many frames so many are padded to; each is compiled for.
    """
    frames = mels.shape[1]
    room = ((0, 0), (0, bucket(frames) - frames), (0, 0))
    padded, f0_hz = np.pad(mels, room, constant_values=np.log(spec.floor)), None
    if melody is not None and vocode.read_f0 is not None:
        heard = np.pad(melody[0][None], room, constant_values=np.log(spec.floor))
        f0_hz = np.asarray(vocode.read_f0(heard)) * melody[1][:, None]
    return np.array(vocode(padded, f0_hz))[:, : frames * spec.hop_samples]


def hear_mel(
    vocode: Vocoder,
    mel: Float[np.ndarray, "T M"],
    spec: MelSpec,
    bucket: Callable[[int], int] = lambda frames: -(-frames // _BUCKET) * _BUCKET,
) -> Float32[np.ndarray, " T"]:
    """F0 in Hz, 0 where unvoiced, of a natural log-mel; arguments as in `hear_f0`."""
    assert vocode.read_f0 is not None
    padded = np.full((1, bucket(len(mel)), spec.mel_bins), np.log(spec.floor), np.float32)
    padded[0, : len(mel)] = mel
    return np.array(vocode.read_f0(padded))[0, : len(mel)]
