"""A voice bundle of the `tiny` VAE TTS with random weights: everything of a real one but the sound."""

import copy
import dataclasses
import functools
import json
from pathlib import Path

import jax
import numpy as np

from copycat_jax.bundle.bundle import Bundle, Speaker, read_bundle, write_bundle
from copycat_jax.mel_spec import HIFIGAN
from prosody_vae.tts import model

SPEAKERS = {"reader": 182.6, "guest": 105.1}


def tiny_contents() -> dict:
    """Arguments of write_bundle for a voice of two speakers."""
    return copy.deepcopy(_contents())


@functools.cache
def _contents() -> dict:
    config = dataclasses.replace(model.SIZES["tiny"], mel_bins=80, embedding=128)
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    init = model.make_task(fields, {"mel_bins": 80, "embedding": 128}).init
    shaped = jax.eval_shape(lambda key: init(key, None)["model"], jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: 0.1 * rng.standard_normal(leaf.shape, dtype=np.float32), shaped)
    speakers = {
        name: Speaker(tuple(rng.standard_normal(128).tolist()), register, 3.5, 10, 60.0)
        for name, register in SPEAKERS.items()
    }
    return {
        "params": {"prosody_vae": params},
        "config": {"prosody_vae": fields},
        "spec": HIFIGAN,
        "speakers": speakers,
        "card": "# A card\n",
    }


def write_tiny_voice(path: Path) -> Path:
    """Writes the bundle at `path`."""
    return write_bundle(path, "prosody_vae", **tiny_contents())


@functools.cache
def tiny_bundle() -> Bundle:
    """The bundle in memory; read once for all tests of a process."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return read_bundle(write_tiny_voice(Path(folder) / "voice"))


TREES = (
    "(S (VBD Did) (NP you) (VP see (NP the old house) (CC or) (NP the new one)) (. ?))",
    "(S (WP Who) (VP wrote (NP the letter) (PP on (NP the table))) (. ?))",
    "(S (VP Buy (NP bread) (, ,) (NP butter) (, ,) (CC and) (NP a bottle (PP of milk))) (. .))",
    "(S (NP The ship) (VP left (NP the harbour) (PP at dawn)) (. .))",
    "(S (NP It) (VP rains) (. .))",
    "(S (NP She) (VP never said (SBAR why (S (NP she) (VP had come)))) (. .))",
)
TEXTS = (
    "Did you see the old house or the new one?",
    "Who wrote the letter on the table?",
    "Buy bread, butter, and a bottle of milk.",
    "The ship left the harbour at dawn.",
    "It rains.",
    "She never said why she had come.",
)
ENCODER, ENCODER_FINGERPRINT, PARSER = "stub-8", "f" * 64, "stub-parser 1"


def tiny_space(bundle: Bundle):
    """A space of six entries with vectors and trees, as if built with `bundle`."""
    from prosody_vae.features import FEATURES
    from prosody_vae.linguistics.tree_distance import syntactic_distance
    from prosody_vae.space.table import Distances, ProsodySpace, SpaceInfo

    latent, texts = bundle.config["prosody_vae"]["latent"], TEXTS
    rng = np.random.default_rng(1)
    info = SpaceInfo(
        bundle=bundle.fingerprint,
        corpus="c" * 64,
        encoder=ENCODER,
        encoder_fingerprint=ENCODER_FINGERPRINT,
        parser=PARSER,
        latent=latent,
        entries=len(texts),
    )
    return ProsodySpace(
        info=info,
        ids=tuple(f"reader_{i:03d}" for i in range(len(texts))),
        texts=texts,
        speakers=("reader",) * len(texts),
        mean=rng.standard_normal((len(texts), latent)).astype(np.float32),
        variance=np.ones((len(texts), latent), np.float32),
        features={name: np.ones(len(texts), np.float32) for name in FEATURES},
        sentence_vectors=rng.standard_normal((len(texts), 8)).astype(np.float32),
        distances=Distances.from_rows([syntactic_distance(tree) for tree in TREES]),
        trees=TREES,
    )
