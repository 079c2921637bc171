"""Bundle, text and embedding in, waveform out: the voice of the prosody space (Tyagi et al. section 2, last step).

    voice = open_voice("bundle")
    speech = voice.speak("Who ate the rest of my pizza?", embedding)

A sentence becomes phonemes (the first pronunciation of each word) with what follows each of them, then a `Plan`: a
duration and F0 for every phoneme and the pauses between words, all under the embedding; then a log-mel and samples.
A long text is spoken in pieces (see `plan`); each fades in and out within its own silence, so that nothing clicks where
they meet. Shapes are padded to few static buckets, so that each function is compiled a handful of times.
"""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from copycat_jax.audio.loudness import limit
from copycat_jax.bundle.bundle import Bundle, read_bundle
from copycat_jax.errors import UserError, nearest
from copycat_jax.mel_spec import MelSpec
from copycat_jax.text.lexicon import Lexicon
from copycat_jax.text.phonemes import to_symbols
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, Vocoder, open_vocoder
from prosody_vae.features import prosodic_features
from prosody_vae.space.table import KIND
from prosody_vae.tts import model
from prosody_vae.tts.plan import (
    SpeechPlan,
    TextPiece,
    check_known,
    check_rate,
    curve,
    cut_text,
    join_plans,
    make_speech_plan,
    split_plan,
)

SHIPPED_VOICE = Path(__file__).parents[1] / "pretrained" / "voice"
FADE_S = 0.005


class Speech(NamedTuple):
    """A spoken text; T frames, P phonemes as in `Plan`."""

    samples: np.ndarray  # float32 [T * hop], within [-1, 1]
    sample_rate: int
    mel: np.ndarray  # float32 [T, M], natural log
    phonemes: tuple[str, ...]
    durations: np.ndarray
    pauses: np.ndarray
    log_f0: np.ndarray

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.sample_rate


class Voice:
    """The text-to-speech model of one bundle, compiled as needed; what it says is a function of its arguments."""

    def __init__(self, bundle: Bundle, vocoder: str | Path = DEFAULT_VOCODER):
        if not bundle.speakers:
            raise UserError("the bundle has no speaker", remedy="Export it again.")
        self.bundle = bundle
        self.spec: MelSpec = bundle.spec
        self.sample_rate, self.fingerprint, self.speakers = bundle.spec.sample_rate, bundle.fingerprint, bundle.speakers
        # float32: weights are shipped as float16 anyway, and bfloat16 does not pay on a CPU.
        config = model.VaeConfig.from_dict(bundle.config[KIND] | {"compute_dtype": "float32"})
        self.latent: int = config.latent
        self._reads_variance = config.variance
        self._params = jax.device_put(bundle.params[KIND])
        self._predict = jax.jit(lambda params, *inputs: model.predict(params, config, *inputs))
        self._render = jax.jit(partial(_rendered, config=config), static_argnames="frames")
        self._vocoders: dict[str, Vocoder] = {}
        self._vocoder = str(vocoder)
        self.vocoder(vocoder)

    def speak(
        self,
        text: str,
        embedding: Float[np.ndarray, " Z"],
        speaker: str | None = None,
        rate: float = 1.0,
        vocoder: str | Path | None = None,
        lexicon: Lexicon | None = None,
    ) -> Speech:
        """Speaks `text` with the prosody that `embedding` stands for.

        Args:
          text: written English; a sentence, or more of them.
          embedding: of the prosody space, float32 [Z].
          speaker: a name of `self.speakers`; the first one if None.
          rate: how many times faster than the model would speak.
          vocoder: as in `open_vocoder`; the one the voice was opened with if None.
          lexicon: a `text.lexicon.Lexicon` looked into before all else.

        Raises:
          UserError: nothing in the text can be spoken, unknown speaker, an embedding of another space, a bad rate.
        """
        return self.speak_all([text], [embedding], speaker, rate, vocoder, 1, lexicon)[0]

    def speak_all(
        self,
        texts: Sequence[str],
        embeddings: Sequence[np.ndarray] | Float[np.ndarray, "B Z"],
        speaker: str | None = None,
        rate: float = 1.0,
        vocoder: str | Path | None = None,
        batch: int = 8,
        lexicon: Lexicon | None = None,
    ) -> list[Speech]:
        """Speaks many texts, `batch` pieces of like length at a time; arguments as in `speak`."""
        self.vocoder(vocoder or self._vocoder)
        plans = self.predict(texts, embeddings, speaker, rate, lexicon)
        return self.render(plans, embeddings, speaker, vocoder, batch)

    def render(
        self,
        plans: Sequence[SpeechPlan],
        embeddings: Sequence[np.ndarray] | Float[np.ndarray, "B Z"],
        speaker: str | None = None,
        vocoder: str | Path | None = None,
        batch: int = 8,
    ) -> list[Speech]:
        """Speaks plans, as `predict` makes them or changed; arguments as in `speak_all`.

        Raises:
          UserError: as there, or a phone has no F0 or no energy although the voice is told them.
        """
        vocode = self.vocoder(vocoder or self._vocoder)
        vector, rows = self._speaker(speaker), self._embeddings(embeddings, len(plans))
        if self._reads_variance:
            for plan in plans:
                check_known(plan)
        pieces = [split_plan(plan) for plan in plans]
        flat = [(piece, rows[i]) for i, parts in enumerate(pieces) for piece in parts]
        sounds = iter(self._sounds(flat, vector, vocode, batch))
        speeches = []
        for plan, parts in zip(plans, pieces, strict=True):
            mels, samples = zip(*(next(sounds) for _ in parts), strict=True)
            speeches.append(
                Speech(
                    samples=np.concatenate(samples),
                    sample_rate=self.sample_rate,
                    mel=np.concatenate(mels),
                    phonemes=tuple(to_symbols(plan.phonemes)),
                    durations=plan.durations,
                    pauses=plan.pauses,
                    log_f0=plan.log_f0,
                )
            )
        return speeches

    def predict(
        self,
        texts: Sequence[str],
        embeddings: Sequence[np.ndarray] | Float[np.ndarray, "B Z"],
        speaker: str | None = None,
        rate: float = 1.0,
        lexicon: Lexicon | None = None,
    ) -> list[SpeechPlan]:
        """How the texts would be spoken, without rendering them: one Plan each; arguments as in `speak`."""
        rows = self._embeddings(embeddings, len(texts))
        return [join_plans(pieces) for pieces in self._plans(texts, rows, self._speaker(speaker), rate, lexicon)]

    def features(self, plan: SpeechPlan) -> dict[str, float]:
        """The prosody of a plan in a few numbers: `features.summarise` of its `curve`."""
        return prosodic_features(*curve(plan), self.spec.frame_rate_hz)

    def vocoder(self, name: str | Path) -> Vocoder:
        """Opens a vocoder, once; raises UserError where it is unknown, corrupt or of another mel convention."""
        if str(name) not in self._vocoders:
            self._vocoders[str(name)] = open_vocoder(str(name), self.spec)
        return self._vocoders[str(name)]

    def check_speaker(self, name: str | None) -> str:
        """The name of a speaker of this voice, the first for None; raises UserError with all names for another."""
        if name is None:
            return next(iter(self.speakers))
        if name not in self.speakers:
            known = f"{nearest(name, self.speakers)} This bundle speaks as: {', '.join(self.speakers)}."
            raise UserError(f"unknown speaker '{name}'", remedy=known)
        return name

    def _speaker(self, name: str | None) -> np.ndarray:
        return np.array(self.speakers[self.check_speaker(name)].centroid, np.float32)

    def _embeddings(self, embeddings, count: int) -> np.ndarray:
        rows = np.asarray(embeddings, np.float32)
        if rows.shape != (count, self.latent):
            what = f"embeddings of shape {rows.shape} for {count} texts"
            raise UserError(what, remedy=f"Give one row of {self.latent} for each.")
        if not np.isfinite(rows).all():
            raise UserError("an embedding is not finite", remedy="Take one from a prosody space.")
        return rows

    def _plans(self, texts, rows: np.ndarray, speaker: np.ndarray, rate: float, lexicon) -> list[list[SpeechPlan]]:
        """The pieces of every text with their prosody, predicted in batches of one static shape."""
        check_rate(rate)
        pieces = [cut_text(text, lexicon) for text in texts]
        flat = [(piece, rows[i]) for i, parts in enumerate(pieces) for piece in parts]
        predicted: list = [None] * len(flat)
        for places, size in _batches([len(piece.phonemes) for piece, _ in flat], _phoneme_bucket, 32):
            count = _rows_bucket(len(places), 32)
            inputs = _tokens([flat[i][0] for i in places], size, count)
            embedding = _wide([flat[i][1] for i in places], self.latent, count)
            speakers = np.broadcast_to(speaker, (count, len(speaker)))
            prosody = [np.asarray(x, np.float32) for x in self._predict(self._params, *inputs, embedding, speakers)]
            for row, i in enumerate(places):
                predicted[i] = [values[row, : len(flat[i][0].phonemes)] for values in prosody]
        planned = iter(zip((piece for piece, _ in flat), predicted, strict=True))
        return [
            [
                make_speech_plan(*next(planned), rate, self.spec.frame_rate_hz, n == len(parts))
                for n in range(1, len(parts) + 1)
            ]
            for parts in pieces
        ]

    def _sounds(self, flat: Sequence[tuple[SpeechPlan, np.ndarray]], speaker: np.ndarray, vocode: Vocoder, batch: int):
        """(mel [T, M], samples [T * hop]) of each plan with its embedding."""
        hop, sounds = self.spec.hop_samples, [(np.zeros(0), np.zeros(0))] * len(flat)
        for places, frames in _batches([plan.frames for plan, _ in flat], _frame_bucket, batch):
            plans, count = [flat[i][0] for i in places], _rows_bucket(len(places), batch)
            longest = max(len(plan.phonemes) for plan in plans)
            tokens = next(size for size in (frames // 4, frames // 2, frames) if longest <= size)
            phonemes, breaks, _ = _tokens(plans, tokens, count)
            fields = [_wide([getattr(p, name) for p in plans], tokens, count) for name in SpeechPlan._fields[2:]]
            embedding = _wide([flat[i][1] for i in places], self.latent, count)
            speakers = np.broadcast_to(speaker, (count, len(speaker)))
            inputs = (phonemes, breaks, *fields, embedding, speakers)
            mel, real = self._render(self._params, *inputs, frames=frames)
            padded: Any = jnp.where(real[..., None], mel, math.log(self.spec.floor))
            samples, mel = np.asarray(vocode(padded), np.float32), np.asarray(mel)
            for row, (i, plan) in enumerate(zip(places, plans, strict=True)):
                sound = faded(limit(samples[row, : plan.frames * hop]), self.sample_rate)
                sounds[i] = (mel[row, : plan.frames].copy(), sound)
        return sounds


def open_voice(bundle: str | Path | Bundle | None = None, vocoder: str | Path = DEFAULT_VOCODER) -> Voice:
    """The voice of a bundle (its folder, or read already), or of the one that ships; UserError if unusable."""
    if isinstance(bundle, Bundle):
        if bundle.kind != KIND:
            raise UserError(f"a bundle of kind '{bundle.kind}'", remedy=f"Give one of kind '{KIND}'.")
        return Voice(bundle, vocoder)
    if bundle is None and not (SHIPPED_VOICE / "manifest.json").is_file():
        raise UserError("this installation carries no trained voice", remedy="Give the folder of one (--bundle DIR).")
    return Voice(read_bundle(SHIPPED_VOICE if bundle is None else bundle, KIND), vocoder)


def faded(samples: np.ndarray, rate: int) -> np.ndarray:
    """A copy that begins and ends at zero, by ramps of FADE_S."""
    size = min(round(FADE_S * rate), len(samples) // 2)
    ramp, out = np.linspace(0.0, 1.0, size, dtype=np.float32), samples.copy()
    out[:size] *= ramp
    out[len(out) - size :] *= ramp[::-1]
    return out


def _rendered(params, phonemes, breaks, durations, pauses, log_f0, energy, z, speaker, *, config, frames: int):
    """`model.render_mel` in float32."""
    mel, mask = model.render_mel(
        params, config, phonemes, breaks, durations, pauses, log_f0, energy, z, speaker, frames=frames
    )
    return mel.astype(jnp.float32), mask


def _batches(lengths: Sequence[int], bucket, most: int) -> Iterable[tuple[list[int], int]]:
    """(indices, padded length): every index once, at most `most` of one padded length together."""
    order = sorted(range(len(lengths)), key=lambda i: (bucket(lengths[i]), i))
    start = 0
    while start < len(order):
        size = bucket(lengths[order[start]])
        stop = start
        while stop < len(order) and stop - start < most and bucket(lengths[order[stop]]) == size:
            stop += 1
        yield order[start:stop], size
        start = stop


def _rows_bucket(count: int, most: int) -> int:
    """Batches have one row, eight or `most`: few shapes to compile."""
    return next((size for size in (1, 8) if count <= size < most), most)


def _phoneme_bucket(count: int) -> int:
    return -(-count // 48) * 48


def _frame_bucket(frames: int) -> int:
    step = 128 if frames <= 512 else 256
    return -(-frames // step) * step


def _wide(rows: Sequence[np.ndarray], size: int, count: int) -> np.ndarray:
    """Rows of any length in one zero-padded array [count, size]; the first one again where rows are missing."""
    out = np.zeros((count, size), rows[0].dtype)
    for i, row in enumerate([*rows, *[rows[0]] * (count - len(rows))]):
        out[i, : len(row)] = row
    return out


def _tokens(
    pieces: Sequence[TextPiece | SpeechPlan], size: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(phonemes, breaks, mask), each [count, size]."""
    mask = _wide([np.ones(len(p.phonemes), bool) for p in pieces], size, count)
    return _wide([p.phonemes for p in pieces], size, count), _wide([p.breaks for p in pieces], size, count), mask
