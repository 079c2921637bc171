"""Generated, speech-like utterances for tests, smoke runs and benchmarks: no recording, no licence, exact truth.

A voice is a register (F0) and a scale of the vocal tract (formants). An utterance is silence, syllables of consonant
and vowel in short words, silence; vowels are harmonics under three formants, consonants filtered noise (voiced ones a
murmur too); the melody declines with an accent on stressed syllables. Durations, F0 and phonemes are known exactly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32

from copycat_jax.batch import Batch
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.mel_spec import HIFIGAN, MelSpec
from copycat_jax.records import allocate, pad_rows
from copycat_jax.text.phonemes import CONSONANTS, SIL, VOWELS, base, is_vowel, to_ids, to_symbols
from copycat_jax.text.phrasing import SENTENCE, WORD
from copycat_jax.types import Alignment, Interval

# First three formants of a man's vowels, Hz: monophthongs after Peterson and Barney (1952), diphthongs by their onset.
_FORMANTS = {
    "AA": (730, 1090, 2440), "AE": (660, 1720, 2410), "AH": (640, 1190, 2390), "AO": (570, 840, 2410),
    "AW": (680, 1060, 2380), "AY": (660, 1200, 2550), "EH": (530, 1840, 2480), "ER": (490, 1350, 1690),
    "EY": (480, 2000, 2570), "IH": (390, 1990, 2550), "IY": (270, 2290, 3010), "OW": (450, 1000, 2300),
    "OY": (500, 900, 2400), "UH": (440, 1020, 2240), "UW": (300, 870, 2240),
}  # fmt: skip
_VOICED = frozenset(["B", "D", "DH", "G", "JH", "L", "M", "N", "NG", "R", "V", "W", "Y", "Z", "ZH"])
_BANDWIDTHS = np.array([90.0, 120.0, 180.0])
_NOISE_HZ = dict(zip(CONSONANTS, np.linspace(900.0, 6500.0, len(CONSONANTS)), strict=True))


class SyntheticVoice(NamedTuple):
    """A synthetic speaker: geometric mean of F0, size of the melody, scale of the formants."""

    name: str
    register_hz: float
    range_semitones: float
    formant_scale: float


class Score(NamedTuple):
    """What is to be spoken: phonemes with their durations, and the F0 of every frame (0 = unvoiced)."""

    symbols: list[str]
    durations: np.ndarray  # int32 [P] frames
    f0_hz: np.ndarray  # float64 [T]


def synthetic_voices(count: int) -> list[SyntheticVoice]:
    """`count` voices, low and large to high and small, each unlike the others in register and formants."""
    where = [0.5] if count == 1 else np.linspace(0.0, 1.0, count)
    return [
        SyntheticVoice(f"synthetic{i:02d}", 95.0 * 2 ** (1.2 * x), 2.0 + 2.0 * ((i * 7) % 3), 0.95 + 0.25 * x)
        for i, x in enumerate(where)
    ]


def synthetic_utterances(
    count: int,
    spec: MelSpec = HIFIGAN,
    seed: int = 0,
    speakers: int = 4,
    seconds: tuple[float, float] = (1.0, 3.0),
    audio: bool = False,
) -> list[Utterance]:
    """`count` utterances by `speakers` voices in turn, deterministic in all arguments; mels come from their audio.

    With `audio` the samples are stored in them too.
    """
    made = synthetic_recordings(count, spec, seed, speakers, seconds)
    if not audio:
        return [utterance for utterance, _ in made]
    return [u._replace(samples=np.round(np.clip(s * 32768, -32768, 32767)).astype(np.int16)) for u, s in made]


def synthetic_recordings(
    count: int, spec: MelSpec = HIFIGAN, seed: int = 0, speakers: int = 4, seconds: tuple[float, float] = (1.0, 3.0)
) -> list[tuple[Utterance, Float32[np.ndarray, " N"]]]:
    """Like `synthetic_utterances`, each with its samples at the spec's rate."""
    return [_utterance(i, spec, seed, speakers, seconds) for i in range(count)]


def write_plain_corpus(
    folder: str | Path,
    count: int,
    spec: MelSpec = HIFIGAN,
    seed: int = 0,
    speakers: int = 4,
    seconds: tuple[float, float] = (1.0, 3.0),
) -> list[Utterance]:
    """Writes generated recordings in the layout `plain` (16-bit wav, metadata.csv, TextGrids) and returns them."""
    from copycat_jax.align.textgrid import write_textgrid
    from copycat_jax.audio.signal import write_wav

    folder = Path(folder)
    for name in ("audio", "alignments"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines, utterances = ["id|speaker|text"], []
    for utterance, samples in synthetic_recordings(count, spec, seed, speakers, seconds):
        edges = np.concatenate([[0], np.cumsum(utterance.durations)]) * spec.hop_s
        spans = zip(edges[:-1].tolist(), edges[1:].tolist(), to_symbols(utterance.phonemes), strict=True)
        phones = tuple(Interval(*span) for span in spans)
        words = _words(phones, utterance.breaks)
        write_wav(folder / "audio" / f"{utterance.id}.wav", samples, spec.sample_rate)
        write_textgrid(folder / "alignments" / f"{utterance.id}.TextGrid", Alignment(phones, words, float("nan")))
        lines.append(f"{utterance.id}|{utterance.speaker}|{utterance.text}")
        utterances.append(utterance)
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return utterances


def synthetic_batch(
    rows: int, frames: int, phones: int, spec: MelSpec = HIFIGAN, seed: int = 0, speakers: int = 4, embedding: int = 128
) -> Batch:
    """A Batch of exactly `frames` x `phones` without making audio: quick at any size, the same for the same arguments.

    Row 0 fills its frames and phones; the others are up to a third shorter.
    """
    rng = np.random.default_rng((seed, rows, frames, phones))
    voices = synthetic_voices(speakers)
    vectors = rng.standard_normal((speakers, embedding)).astype(np.float32) / np.sqrt(np.float32(embedding))
    spoken = []
    for row in range(rows):
        real = frames if row == 0 else int(rng.integers(max(frames * 2 // 3, 1), frames + 1))
        count = max(1, min(phones * real // frames, real))
        score = make_score(rng, voices[row % speakers], count, real)
        mel = mel_of(score, voices[row % speakers], spec, rng)
        spoken.append(_stored(score, mel, mel.mean(axis=1), id=str(row), speaker=voices[row % speakers].name))
    speaker = np.arange(rows, dtype=np.int32) % speakers
    own, other = (vectors[speaker] + 0.02 * rng.standard_normal((rows, embedding)).astype(np.float32) for _ in range(2))
    return pad_rows(
        Batch,
        spoken,
        {"T": frames, "P": phones, "M": spec.mel_bins},
        index=np.arange(rows, dtype=np.int32),
        mask=np.arange(frames) < np.array([len(utterance.mel) for utterance in spoken])[:, None],
        phoneme_mask=np.arange(phones) < np.array([len(utterance.phonemes) for utterance in spoken])[:, None],
        speaker=speaker,
        speaker_vector=own,
        other_vector=other,
        centroid=vectors[speaker],
    )


def make_score(rng: np.random.Generator, voice: SyntheticVoice, phones: int, frames: int) -> Score:
    """A random text of `phones` phonemes over `frames` frames with a melody; silence at both ends."""
    symbols = []
    for i in range(phones):
        if phones > 4 and i in (0, phones - 1):
            symbols.append(SIL)
        elif i % 2:
            symbols.append(str(rng.choice(VOWELS)) + "120"[int(rng.integers(3))])
        else:
            symbols.append(str(rng.choice(CONSONANTS)))
    weights = np.array([1.6 if is_vowel(s) else 1.0 for s in symbols]) * rng.uniform(0.6, 1.4, phones)
    edges = np.arange(phones) + 1 + np.round(np.cumsum(weights) / weights.sum() * (frames - phones)).astype(int)
    durations = np.diff(np.concatenate([[0], edges])).astype(np.int32)
    centre = np.linspace(1.0, -1.0, frames) * 0.5  # declination
    for symbol, stop, length in zip(symbols, edges, durations, strict=True):
        if symbol.endswith("1"):
            centre[stop - length : stop] += np.hanning(length + 2)[1:-1] * rng.uniform(0.5, 1.0)
    f0_hz = voice.register_hz * 2.0 ** (voice.range_semitones * (centre - 0.2) / 12.0)
    voiced = np.repeat([is_vowel(s) or s in _VOICED for s in symbols], durations)
    return Score(symbols, durations, np.where(voiced, f0_hz, 0.0))


def _words(phones: Sequence[Interval], breaks: Int32[np.ndarray, " P"]) -> tuple[Interval, ...]:
    """The words that end where `breaks` says, written as their phones, from the first that is not silence."""
    words, spoken = [], []
    for phone, kind in zip(phones, breaks.tolist(), strict=True):
        if phone.label != SIL:
            spoken.append(phone)
        if kind and spoken:
            words.append(Interval(spoken[0].start_s, phone.end_s, "".join(part.label for part in spoken)))
            spoken = []
    return tuple(words)


def word_ends(symbols: Sequence[str]) -> Int32[np.ndarray, " P"]:
    """Breaks of a made-up text (values of `text.phrasing`): words of four phonemes, the last one ends a sentence."""
    spoken = np.flatnonzero([symbol != SIL for symbol in symbols])
    breaks = np.zeros(len(symbols), np.int32)
    breaks[spoken[3::4]] = WORD
    breaks[spoken[-1:]] = SENTENCE
    return breaks


def mel_of(score: Score, voice: SyntheticVoice, spec: MelSpec, rng: np.random.Generator) -> Float32[np.ndarray, "T M"]:
    """A log-mel as the score would have: formants, harmonics where the bins resolve them, noise; no audio is made."""
    top = 2595.0 * np.log10(1.0 + spec.fmax_hz / 700.0)
    bins_hz = 700.0 * (10.0 ** (np.linspace(0.02, 1.0, spec.mel_bins) * top / 2595.0) - 1.0)
    envelopes = np.stack([_envelope(symbol, voice, bins_hz) for symbol in score.symbols])
    mel = np.log(np.maximum(np.repeat(envelopes, score.durations, axis=0), spec.floor))
    f0_hz = np.maximum(score.f0_hz, 1.0)[:, None]
    resolved = np.exp(-((np.gradient(bins_hz)[None, :] / f0_hz) ** 2))
    comb = 1.5 * np.cos(2.0 * np.pi * bins_hz[None, :] / f0_hz) * resolved
    mel += np.where(score.f0_hz[:, None] > 0, comb, 0.4 * rng.standard_normal(mel.shape))
    return np.maximum(mel, np.log(spec.floor)).astype(np.float32)


def render_score(
    score: Score, voice: SyntheticVoice, spec: MelSpec, rng: np.random.Generator
) -> Float32[np.ndarray, " N"]:
    """The score as audio at the spec's rate: N = frames x hop, peak below 0.6."""
    hop, rate = spec.hop_samples, spec.sample_rate
    samples = len(score.f0_hz) * hop
    frame_times, times = (np.arange(len(score.f0_hz)) + 0.5) * hop, np.arange(samples) + 0.5
    known = score.f0_hz > 0
    audio = 1e-4 * rng.standard_normal(samples)
    if known.any():
        f0_hz = np.interp(times, frame_times[known], score.f0_hz[known])
        phase = 2.0 * np.pi * np.cumsum(f0_hz) / rate
        gain = np.interp(times, frame_times, known.astype(float))
        harmonics = np.arange(1, int(min(rate / 2 - 500, 5000.0) / f0_hz.max()) + 1)
        tones = harmonics * np.median(f0_hz)
        levels = np.repeat(
            [_envelope(s, voice, tones) * (s in _VOICED or is_vowel(s)) for s in score.symbols], score.durations, axis=0
        )
        for k, level in zip(harmonics, levels.T, strict=True):
            audio += gain * np.interp(times, frame_times, level) * np.sin(k * phase)
    start = 0
    for symbol, duration in zip(score.symbols, score.durations, strict=True):
        length = int(duration) * hop
        if symbol in _NOISE_HZ:
            level = 0.02 if symbol in _VOICED else 0.08
            audio[start : start + length] += level * _noise(rng, symbol, voice, length, rate)
        start += length
    return (0.55 * audio / max(np.abs(audio).max(), 1e-3)).astype(np.float32)


def _utterance(index: int, spec: MelSpec, seed: int, speakers: int, seconds: tuple[float, float]):
    from copycat_jax.audio.mel import extract_mel
    from copycat_jax.audio.pitch import frame_energy

    rng = np.random.default_rng((seed, index))
    voice = synthetic_voices(speakers)[index % speakers]
    frames = max(8, round(rng.uniform(*seconds) * spec.frame_rate_hz))
    score = make_score(rng, voice, max(1, round(frames / spec.frame_rate_hz * 10)), frames)
    samples = render_score(score, voice, spec, rng)
    energy = frame_energy(samples, spec)
    identity = f"synthetic-{seed}-{index:05d}"
    return _stored(score, extract_mel(samples, spec), energy, id=identity, speaker=voice.name), samples


def _stored(score: Score, mel: Float[np.ndarray, "T M"], energy: Float[np.ndarray, " T"], **names: Any) -> Utterance:
    """The utterance as a corpus stores it; fields without a value for generated speech are zeros."""
    return allocate(
        Utterance,
        {"T": len(mel), "P": len(score.symbols), "M": mel.shape[1], "N": 0},
        text=" ".join(symbol for symbol in score.symbols if symbol != SIL),
        mel=mel.astype(np.float16),
        phonemes=to_ids(score.symbols),
        durations=score.durations,
        breaks=word_ends(score.symbols),
        f0_hz=score.f0_hz.astype(np.float32),
        energy=energy.astype(np.float32),
        **names,
    )


def _envelope(
    symbol: str, voice: SyntheticVoice, frequencies_hz: Float64[np.ndarray, " F"]
) -> Float64[np.ndarray, " F"]:
    """Magnitude of the sound of `symbol` at the frequencies: resonances for a vowel, a hump for a consonant."""
    if symbol == SIL:
        return np.full(len(frequencies_hz), 1e-5)
    if is_vowel(symbol):
        formants = np.array(_FORMANTS[base(symbol)]) * voice.formant_scale
        peaks = 1.0 / (1.0 + ((frequencies_hz[:, None] - formants) / _BANDWIDTHS) ** 2)
        return 0.02 + peaks @ np.array([1.0, 0.5, 0.25])
    hump = np.exp(-0.5 * ((frequencies_hz - _NOISE_HZ[symbol] * voice.formant_scale) / 900.0) ** 2)
    murmur = np.exp(-frequencies_hz / 400.0) if symbol in _VOICED else 0.0
    return 1e-3 + 0.1 * hump + 0.3 * murmur


def _noise(
    rng: np.random.Generator, symbol: str, voice: SyntheticVoice, length: int, rate: int
) -> Float64[np.ndarray, " N"]:
    """Noise of unit RMS shaped like a consonant, faded in and out over 5 ms."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hump = (np.fft.rfftfreq(length, 1.0 / rate) - _NOISE_HZ[symbol] * voice.formant_scale) / 900.0
    shaped = np.fft.irfft(spectrum * np.exp(-0.5 * hump**2), length)
    fade = np.minimum(1.0, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.005 * rate))
    return fade * shaped / max(np.sqrt(np.mean(shaped**2)), 1e-9)
