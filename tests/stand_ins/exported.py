"""Inputs and measures that the tests of all exports share."""

import dataclasses
import json

import jax
import numpy as np

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.bundle.bundle import Bundle
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import copycat, speaker, vocoder

NATS, DECIBEL = 1e-4, 60.0  # what every runtime must reach


def random_params(init, seed: int = 0, spread: float = 0.3):
    """Parameters in the shapes that `init(key)` gives, none of them zero, rounded as a bundle rounds them."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: (spread * rng.standard_normal(leaf.shape)).astype(np.float16).astype(np.float32), shapes
    )


def bundle_of(kind: str, params: dict, configs: dict, spec=HIFIGAN) -> Bundle:
    """A bundle in memory, without voices."""
    plain = {name: json.loads(json.dumps(dataclasses.asdict(config))) for name, config in configs.items()}
    return Bundle(kind, params, plain, spec, {}, "", "f" * 64)


def mixed_rows(frames=45, phonemes=9, lengths=(45, 29, 8), bins=80, vector=128) -> dict[str, np.ndarray]:
    """Inputs of a transfer whose rows are of mixed length; what stands on padding is noise like the rest."""
    rng, rows = np.random.default_rng(1), len(lengths)
    durations = np.zeros((rows, phonemes), np.int32)
    for row, length in enumerate(lengths):
        count = min(phonemes - row, length)
        durations[row, :count] = length // count
        durations[row, 0] += length % count
    return {
        "mel": (2 * rng.standard_normal((rows, frames, bins)) - 5).astype(np.float32),
        "ratio": np.geomspace(0.5, 2.2, rows).astype(np.float32),
        "phonemes": rng.integers(1, 72, (rows, phonemes)).astype(np.int32),
        "durations": durations,
        "mask": np.arange(frames)[None] < np.array(lengths)[:, None],
        "source": rng.standard_normal((rows, vector)).astype(np.float32),
        "target": rng.standard_normal((rows, vector)).astype(np.float32),
    }


def decibel(wanted: np.ndarray, got: np.ndarray) -> float:
    """Signal to error."""
    error = np.mean(np.square(np.asarray(wanted, np.float64) - got))
    return float(10 * np.log10(np.mean(np.square(np.asarray(wanted, np.float64))) / max(error, 1e-30)))


# Every value of every option of a transfer at least once, and an even kernel.
OPTIONS = (
    {},
    {"speaker_in_phoneme_encoder": True, "decoder_norm": "instance", "instance_norm": False, "variational": False},
    {"decoder_norm": "none", "kernel": 4, "tau": 5},
    {"speaker_in_phoneme_encoder": True, "instance_norm": False, "kernel": 3, "latent": 6},
)
SPEAKER_OPTIONS = ({}, {"pooling": "mean", "cepstra": 13, "time_strides": (2, 3)})
VOCODER_OPTIONS = ({}, {"spectra": 1, "kernel": 4, "blocks": 2})


def tiny_copycat(options=(), heard=()) -> Bundle:
    """A CopyCat bundle of random weights; options of the transfer and of the speaker classifier."""
    configs = {
        "copycat": dataclasses.replace(copycat.SIZES["tiny"], **dict(options)),
        "speaker": dataclasses.replace(speaker.SIZES["tiny"], **dict(heard)),
    }
    tasks = {"copycat": copycat.make_task, "speaker": speaker.make_task}
    inits = {name: tasks[name](config.to_dict(), {}).init for name, config in configs.items()}
    params = {name: random_params(lambda key, i=init: i(key, None)["model"]) for name, init in inits.items()}
    return bundle_of("copycat", params, configs)


def tiny_vocoder(options=(), spec=HIFIGAN) -> Bundle:
    """A vocoder's bundle of random weights."""
    config = dataclasses.replace(vocoder.SIZES["tiny"], **dict(options))
    task = vocoder.make_task(config.to_dict(), {"mel_spec": spec.to_dict()})
    params = random_params(lambda key: task.init(key, None)["model"], spread=0.1)
    return bundle_of("vocoder", {"vocoder": params}, {"vocoder": config}, spec)


def expected_transfer(bundle: Bundle, inputs: dict) -> np.ndarray:
    """What JAX makes of the inputs of a transfer."""
    config = copycat.CopyCatConfig.from_dict(bundle.config["copycat"])

    @jax.jit
    def move(params, mel, ratio, phonemes, durations, mask, source, target):
        aligned = AlignedPhonemes(phonemes, durations, mask)
        return copycat.transfer_mel(params, config, mel, ratio, aligned, source, target, bundle.spec)

    return np.asarray(move(bundle.params["copycat"], **inputs))


def expected_vector(bundle: Bundle, mel: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The speaker vector that JAX makes."""
    config = speaker.SpeakerConfig.from_dict(bundle.config["speaker"])
    return np.asarray(jax.jit(lambda *i: speaker.embed(i[0], config, *i[1:]))(bundle.params["speaker"], mel, mask))


def expected_samples(bundle: Bundle, mel: np.ndarray, f0_hz: np.ndarray) -> np.ndarray:
    """The samples that JAX makes."""
    config, spec = vocoder.VocoderConfig.from_dict(bundle.config["vocoder"]), bundle.spec
    make = jax.jit(lambda params, mel, f0_hz: vocoder.synthesize(params, config, mel, f0_hz, spec))
    return np.asarray(make(bundle.params["vocoder"], mel, f0_hz))


def tolerance(wanted: np.ndarray) -> float:
    """NATS, for outputs of the size that mels have; of random networks, in proportion."""
    return NATS * max(1.0, float(np.abs(wanted).max()) / 10)
