"""The speaker classifier's vector as an ONNX graph."""

from typing import Any

import numpy as np

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export import layers
from copycat_jax.export.graph import BOOL, FLOAT, Graph
from copycat_jax.models.speaker import SpeakerConfig


def speaker_graph(bundle: Bundle) -> Any:
    """The model of `speaker.onnx`, which is `models.speaker.embed`.

    Inputs: mel [B, T, M], mask bool [B, T]. Output: vector [B, E], of length 1.
    """
    config, spec, g = SpeakerConfig.from_dict(bundle.config["speaker"]), bundle.spec, Graph()
    mel, real = g.input("mel", FLOAT, ["B", "T", spec.mel_bins]), g.input("mask", BOOL, ["B", "T"])
    x = layers.to_network(g, mel, layers.mask_of(real))
    if config.cepstra:
        x = x @ lifter(spec.mel_bins, config.cepstra)
    vector = layers.encode_utterance(g, x, real, bundle.params["speaker"]["encoder"], config.to_dict())
    length = g.op("Max", (vector * vector).sum(-1), 1e-12).call("Sqrt")
    g.output(vector / length, "vector", FLOAT, ["B", config.embedding])
    return g.model("speaker", {"kind": "speaker", "bundle": bundle.fingerprint, "sample_rate": spec.sample_rate})


def lifter(bins: int, keep: int) -> np.ndarray:
    """Projection on the first cosines over the bins, as `models.speaker.lifter`."""
    order = np.arange(keep)
    angle = np.pi / bins * (np.arange(bins)[:, None] + 0.5) * order[None, :]
    basis = np.cos(angle) * np.where(order == 0, np.sqrt(1 / bins), np.sqrt(2 / bins))[None, :]
    return (basis @ basis.T).astype(np.float32)
