"""Speaker vectors of a corpus, as the speaker classifier of a bundle or of a training run hears its utterances."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float32

from copycat_jax import console
from copycat_jax.bundle.bundle import read_bundle
from copycat_jax.bundle.export import read_run
from copycat_jax.data.batches import Corpus, make_evaluation
from copycat_jax.data.plan import make_batch_plan
from copycat_jax.errors import UserError
from copycat_jax.models.speaker import SpeakerConfig, embed
from copycat_jax.types import MelSpec


class Classifier(NamedTuple):
    """A speaker classifier and where it came from; `hash` names it for good."""

    params: dict[str, Any]
    fields: dict[str, Any]
    spec: MelSpec
    hash: str


def embed_corpus(corpus: Corpus, classifier: Classifier, batch: int) -> Float32[np.ndarray, "n E"]:
    """Speaker vectors of all utterances in corpus order.

    Raises:
      UserError: the classifier gives values that are not finite.
    """
    config = SpeakerConfig.from_dict(classifier.fields)
    apply = jax.jit(lambda params, mel, mask: embed(params, config, mel, mask))
    params = jax.device_put(classifier.params)
    buckets = 1 + min(5, len(corpus) // (8 * batch))  # each is compiled for: few where there is little to embed
    plan = make_batch_plan(corpus.lengths, corpus.phones, batch_size=batch, buckets=buckets)
    vectors = np.zeros((len(corpus), config.embedding), np.float32)
    for make in console.progress(make_evaluation(corpus, plan), "speaker vectors", unit="batch"):
        rows, counts = make()
        vectors[rows.index[counts]] = np.asarray(apply(params, rows.mel, rows.mask))[counts]
    if not np.isfinite(vectors).all():
        raise UserError("the classifier gives values that are not finite", "copycat embed", "Is it trained?")
    return vectors


def read_classifier(path: str | Path) -> Classifier:
    """The classifier of a bundle, or of a training run's last checkpoint (its weights rounded as a bundle would).

    Raises:
      UserError: neither a bundle nor a run, or one of something else.
    """
    path = Path(path)
    if (path / "manifest.json").is_file():
        bundle = read_bundle(path)
        if "speaker" not in bundle.params:
            raise UserError(f"a bundle of kind '{bundle.kind}' holds no speaker classifier", str(path))
        return Classifier(bundle.params["speaker"], bundle.config["speaker"], bundle.spec, bundle.fingerprint)
    if not path.is_dir():
        raise UserError("no such bundle or run", str(path), "Give a folder of `copycat export` or `copycat train`.")
    return _from_run(path)


def _from_run(path: Path) -> Classifier:
    trained = read_run(path, {"speaker": SpeakerConfig}, remedy="Give the speaker classifier's run.")
    rounded = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), trained.params)
    digest = hashlib.sha256(str(trained.step).encode())
    for leaf in jax.tree.leaves(rounded):
        digest.update(leaf.tobytes())
    widened = jax.tree.map(lambda leaf: leaf.astype(np.float32), rounded)
    return Classifier(widened, trained.fields, trained.spec, digest.hexdigest())
