"""What the model says with an embedding, phone by phone, against what the speaker said: the gate, and features.

The *gate* asks whether an embedding says anything about held-out speech at all: with the encoder's own embedding of a
test recording the predicted durations and F0 of its phones must come closer to the recording's than with the centroid.
The recording's own phones are used, so that nothing but prosody differs.

Features of what is said are those of the F0 that the vocoder hears in the mel that is made, which is the F0 it speaks
at: one value a phone would not tell a question that rises within its last vowel. What these ears alone lose is the same
for every system and shown beside them (`heard_features`).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.bundle.bundle import Bundle
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.errors import UserError
from copycat_jax.evaluate.statistics import bootstrap_interval
from copycat_jax.mel_spec import MelSpec
from copycat_jax.text.phonemes import SIL_ID
from copycat_jax.vocoder.hearing import hear_mel
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, open_vocoder
from prosody_vae.features import prosodic_features
from prosody_vae.space.table import KIND
from prosody_vae.tts import model
from prosody_vae.tts.pauses import drop_pauses
from prosody_vae.tts.plan import SpeechPlan, curve, whole_frames

ERRORS = {
    "f0_rmse_st": "RMSE of F0, st per phone",
    "f0_correlation": "F0 correlation over phones",
    "duration_error": "mean absolute log duration ratio per phone",
    "rate_error": "absolute log ratio of the total duration",
}
GATE_SHARE = 0.02  # of the centroid's error that must be gained: an untrained model differs by 1e-5, and surely so
MIN_PHONES = 5  # voiced ones, below which F0 errors of a sentence are not given
_BUCKET, _FRAMES = 32, 128


class PhoneTrack(NamedTuple):
    """A recording phone by phone: the tokens of `prosody_vae.tts.pauses`, and what was measured on each."""

    phonemes: Int[np.ndarray, " P"]
    breaks: Int[np.ndarray, " P"]
    durations: Int[np.ndarray, " P"]
    pauses: Int[np.ndarray, " P"]
    log_f0: Float[np.ndarray, " P"]  # mean natural log Hz over the phone's voiced frames, NaN without any
    energy: Float[np.ndarray, " P"]


def voice_vectors(bundle: Bundle, utterances: Sequence[Utterance]) -> Float[np.ndarray, "q E"]:
    """The speaker vector of every utterance, float32; raises UserError where the bundle does not know its speaker."""
    for name in dict.fromkeys(u.speaker for u in utterances):
        if name not in bundle.speakers:
            remedy = f"It speaks as: {', '.join(bundle.speakers)}. Without --bundle only the choices are measured."
            raise UserError(f"the model does not know speaker '{name}'", "--test", remedy)
    return np.array([bundle.speakers[u.speaker].centroid for u in utterances], np.float32)


def phones_of(utterances: Sequence[Utterance]) -> list[PhoneTrack]:
    """The phones of recordings, their pauses as attributes."""
    size = max(len(u.phonemes) for u in utterances)

    def padded(name: str) -> np.ndarray:
        rows = np.zeros((len(utterances), size), np.int32)
        for row, utterance in zip(rows, utterances, strict=True):
            row[: len(utterance.phonemes)] = getattr(utterance, name)
        return rows

    mask = np.arange(size)[None, :] < np.array([[len(u.phonemes)] for u in utterances])
    phonemes, durations, breaks = (jnp.asarray(padded(n)) for n in ("phonemes", "durations", "breaks"))
    tokens = drop_pauses(phonemes, durations, breaks, jnp.asarray(mask))
    tokens = [np.asarray(values) for values in tokens]
    out = []
    for row, utterance in enumerate(utterances):
        count = int(tokens[-1][row].sum())
        phonemes, durations, pauses, breaks = (values[row, :count] for values in tokens[:-1])
        starts = np.cumsum(durations + pauses) - (durations + pauses)
        log_f0, energy = np.full(count, np.nan), np.zeros(count)
        for i, (start, length) in enumerate(zip(starts, durations, strict=True)):
            f0 = utterance.f0_hz[start : start + length]
            if phonemes[i] != SIL_ID and (f0 > 0).any():
                log_f0[i] = np.log(f0[f0 > 0]).mean()
            energy[i] = utterance.energy[start : start + length].mean() if length else 0.0
        out.append(PhoneTrack(phonemes, breaks, durations, pauses, log_f0, energy))
    return out


def heard_features(utterances: Sequence[Utterance], spec: MelSpec) -> list[dict[str, float]]:
    """`features.summarise` of recordings whose F0 is what the vocoder hears in their mels."""
    ears = open_vocoder(DEFAULT_VOCODER, spec)
    return [
        prosodic_features(hear_mel(ears, u.mel, spec), u.energy, u.phonemes, u.durations, spec.frame_rate_hz)
        for u in utterances
    ]


def predict_phones(
    bundle: Bundle,
    phones: Sequence[PhoneTrack],
    embeddings: Float[np.ndarray, "q Z"],
    speakers: Float[np.ndarray, "q E"],
    batch: int = 32,
    label: str = "predicting",
) -> list[model.Prosody]:
    """What is predicted for each recording's own phones ([P] each) under the embedding of its row."""
    config = model.VaeConfig.from_dict(bundle.config[KIND] | {"compute_dtype": "float32"})
    predict = _predictor(config)
    order = sorted(range(len(phones)), key=lambda i: len(phones[i].phonemes))
    out: dict[int, model.Prosody] = {}
    starts = range(0, len(order), batch)
    for start in console.progress(starts, label, total=len(starts), unit="batch"):
        places = order[start : start + batch]
        longest = len(phones[places[-1]].phonemes)
        size = _up(longest, _BUCKET)
        ids, breaks = np.zeros((2, batch, size), np.int32)
        mask = np.zeros((batch, size), bool)
        mask[:, 0] = True  # rows that fill the batch up have one token, never none
        for row, i in enumerate(places):
            count = len(phones[i].phonemes)
            ids[row, :count], breaks[row, :count], mask[row, :count] = phones[i].phonemes, phones[i].breaks, True
        rows = [places[min(r, len(places) - 1)] for r in range(batch)]
        z, voice = embeddings[rows].astype(np.float32), speakers[rows].astype(np.float32)
        prosody: list[Any] = [
            np.asarray(v, np.float64) for v in predict(bundle.params[KIND], ids, breaks, mask, z, voice)
        ]
        for row, i in enumerate(places):
            out[i] = model.Prosody(*(values[row, : len(phones[i].phonemes)] for values in prosody))
    return [out[i] for i in range(len(phones))]


@functools.cache
def _predictor(config: model.VaeConfig) -> Callable[..., model.Prosody]:
    """Compiled once for all systems."""
    return jax.jit(lambda params, *inputs: model.predict(params, config, *inputs))


def said_plan(phones: PhoneTrack, prosody: model.Prosody) -> SpeechPlan:
    """What is said: predicted phones and pauses, silence at the edges left as it was.

    A pause is made where its probability exceeds one half, as in synthesis.
    """
    durations = whole_frames(np.asarray(prosody.frames))
    if phones.phonemes[0] == SIL_ID:
        durations[0] = phones.durations[0]
    lengths = np.maximum(np.floor(np.asarray(prosody.pause_frames) + 0.5), 1)
    pauses = np.where(np.asarray(prosody.pause_probability) > 0.5, lengths, 0).astype(np.int32)
    pauses[-1] = phones.pauses[-1]
    log_f0, energy = (np.asarray(x, np.float32) for x in (prosody.log_f0, prosody.energy))
    return SpeechPlan(phones.phonemes, phones.breaks, durations, pauses, log_f0, energy)


def said_features(
    bundle: Bundle,
    plans: Sequence[SpeechPlan],
    embeddings: Float[np.ndarray, "q Z"],
    speakers: Float[np.ndarray, "q E"],
    batch: int = 8,
) -> list[dict[str, float]]:
    """`features.summarise` of what is said with each plan and embedding, its F0 as the vocoder hears it in the mel."""
    render = _renderer(model.VaeConfig.from_dict(bundle.config[KIND] | {"compute_dtype": "float32"}))
    order = sorted(range(len(plans)), key=lambda i: plans[i].frames)
    mels: dict[int, np.ndarray] = {}
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        rows = [places[min(r, len(places) - 1)] for r in range(batch)]
        frames = _up(max(plans[i].frames for i in places), _FRAMES)
        size = _up(max(len(plans[i].phonemes) for i in places), _BUCKET)
        fields = [np.stack([_ended(x, size) for x in column]) for column in zip(*(plans[i] for i in rows), strict=True)]
        z, voice = embeddings[rows].astype(np.float32), speakers[rows].astype(np.float32)
        made = np.asarray(render(bundle.params[KIND], *fields, z, voice, frames))
        for row, i in enumerate(places):
            mels[i] = made[row, : plans[i].frames]
    ears, found = open_vocoder(DEFAULT_VOCODER, bundle.spec), []
    for i, said in enumerate(map(curve, plans)):
        f0_hz = hear_mel(ears, mels[i], bundle.spec)
        found.append(prosodic_features(f0_hz, said.energy, said.phonemes, said.durations, bundle.spec.frame_rate_hz))
    return found


@functools.cache
def _renderer(config: model.VaeConfig) -> Callable[..., jax.Array]:
    """The mel alone; compiled once for all systems and each length."""

    def render(params: Any, *inputs: Any) -> jax.Array:
        *rest, frames = inputs
        return model.render_mel(params, config, *rest, frames=frames)[0]

    return jax.jit(render, static_argnums=9)


def _up(length: int, step: int) -> int:
    return -(-length // step) * step


def _ended(values: np.ndarray, size: int) -> np.ndarray:
    """Padded with zeros to `size`."""
    return np.pad(values, (0, size - len(values)))


def phone_errors(
    truth: PhoneTrack, frames: Float[np.ndarray, " P"], log_f0: Float[np.ndarray, " P"]
) -> dict[str, float]:
    """The figures of `ERRORS` for one sentence; silences do not count, F0 only where the recording is voiced."""
    spoken = truth.phonemes != SIL_ID
    voiced = spoken & np.isfinite(truth.log_f0)
    nan = float("nan")
    errors = dict.fromkeys(ERRORS, nan)
    if spoken.any():
        ratio = np.log(np.maximum(frames[spoken], 1e-3) / np.maximum(truth.durations[spoken], 1))
        errors["duration_error"] = float(np.abs(ratio).mean())
        errors["rate_error"] = float(abs(np.log(frames[spoken].sum() / truth.durations[spoken].sum())))
    if voiced.sum() >= MIN_PHONES:
        a, b = log_f0[voiced] * 12 / np.log(2), truth.log_f0[voiced] * 12 / np.log(2)
        errors["f0_rmse_st"] = float(np.sqrt(np.mean((a - b) ** 2)))
        if a.std() > 1e-6 and b.std() > 1e-6:
            errors["f0_correlation"] = float(np.corrcoef(a, b)[0, 1])
    return errors


def gate(
    errors: Mapping[str, Sequence[Mapping[str, float]]], clusters: Sequence[str], draws: int = 1000
) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of every system with intervals, and of each its paired difference to the centroid's.

    Args:
      errors: system ("own", "centroid", ...) -> `phone_errors` of each sentence, in one order.
      clusters: sentences; takes of one are drawn together.
      draws: bootstrap samples.

    Returns:
      {system: {error: {value, low, high, difference, difference_low, difference_high}}}.
    """
    table: dict[str, dict[str, dict[str, float]]] = {}
    columns = {s: {n: np.array([row[n] for row in rows], np.float64) for n in ERRORS} for s, rows in errors.items()}
    for system, found in columns.items():
        table[system] = {}
        for name in ERRORS:
            figure = bootstrap_interval(found[name], clusters=clusters, draws=draws)._asdict()
            gap = bootstrap_interval(found[name] - columns["centroid"][name], clusters=clusters, draws=draws)
            figure |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high}
            table[system][name] = figure
    return table


def gate_passed(table: Mapping[str, Mapping[str, Mapping[str, float]]], system: str = "own") -> dict[str, bool]:
    """Whether a system beats the centroid on F0 and on duration.

    The interval of the paired difference must lie beyond `GATE_SHARE` of the centroid's error (of a correlation: beyond
    that share of 1).
    """
    errors, centroid = table[system], table["centroid"]
    passed = {
        name: bool(errors[name]["difference_high"] < -GATE_SHARE * centroid[name]["value"])
        for name in ("f0_rmse_st", "duration_error", "rate_error")
    }
    return passed | {"f0_correlation": bool(errors["f0_correlation"]["difference_low"] > GATE_SHARE)}
