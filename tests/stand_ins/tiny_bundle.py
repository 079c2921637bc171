"""A bundle of `tiny` models with random weights: everything of a real one but the sound."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np

from copycat_jax.bundle.bundle import Speaker, write_bundle
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import baseline, copycat, speaker

VOICES = {"af_heart": 182.6, "am_michael": 105.1, "bf_emma": 173.3}


def plain(config) -> dict:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def tiny_contents(kind: str = "copycat") -> dict:
    """Arguments of write_bundle for a bundle that transfers."""
    shapes = {"mel_bins": 80, "speakers": 3, "embedding": 128}
    module = {"copycat": copycat, "baseline": baseline}[kind]
    models = {
        kind: (module, dataclasses.replace(module.SIZES["tiny"], mel_bins=80, embedding=128)),
        "speaker": (speaker, dataclasses.replace(speaker.SIZES["tiny"], speakers=3)),
    }
    rng = np.random.default_rng(0)
    params = {}
    for name, (module, config) in models.items():
        init = module.make_task(plain(config), shapes).init
        shaped = jax.eval_shape(lambda key, init=init: init(key, None)["model"], jax.random.key(0))
        params[name] = jax.tree.map(lambda leaf: 0.2 * rng.standard_normal(leaf.shape, dtype=np.float32), shaped)
    speakers = {
        name: Speaker(tuple(rng.standard_normal(128).tolist()), register, 3.5, 10, 60.0)
        for name, register in VOICES.items()
    }
    fields = {name: plain(config) for name, (_, config) in models.items()}
    return {"params": params, "config": fields, "spec": HIFIGAN, "speakers": speakers, "card": "# A card\n"}


def write_tiny(path: Path, kind: str = "copycat") -> Path:
    return write_bundle(path, kind, **tiny_contents(kind))
