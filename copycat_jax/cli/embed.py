"""Write the speaker vector of every utterance of a built corpus, as a trained speaker classifier hears it."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.types import MelSpec


class Classifier(NamedTuple):
    """A speaker classifier and where it came from; `hash` names it for good."""

    params: dict[str, Any]
    fields: dict[str, Any]
    spec: MelSpec
    hash: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `copycat embed`."""
    parser.add_argument("--bundle", required=True, metavar="SPK", help="a speaker or CopyCat bundle, or a run")
    parser.add_argument("--corpus", required=True, metavar="DATA", help="a folder made by `copycat build`")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="utterances at a time (default 32)")


def run(arguments: argparse.Namespace) -> int | None:
    """Embeds the corpus and writes the vectors beside its shards."""
    from copycat_jax.cli.outputs import check_folder
    from copycat_jax.corpus.corpus import open_corpus, write_vectors
    from copycat_jax.corpus.description import VECTORS_FILE

    if arguments.batch < 1:
        raise UserError(f"{arguments.batch}", "--batch", "Give a positive number.")
    path = Path(arguments.corpus)
    corpus = open_corpus(path, with_vectors=False)  # whatever is there is about to be replaced
    check_folder(path)
    classifier = read_classifier(arguments.bundle)
    if classifier.spec != corpus.spec:
        what = f"made for mel convention '{classifier.spec.name}', the corpus has '{corpus.spec.name}'"
        raise UserError(what, arguments.bundle, "Build the corpus with the same --spec.")
    vectors = embed_corpus(corpus, classifier, arguments.batch)
    write_vectors(path / VECTORS_FILE, vectors, corpus.fingerprint, classifier.hash)
    console.say(f"{path / VECTORS_FILE}: {len(vectors)} vectors of width {vectors.shape[1]}")


def embed_corpus(corpus: Any, classifier: Classifier, batch: int):
    """Speaker vectors of all utterances in corpus order, float32 [n, E].

    Raises:
      UserError: the classifier gives values that are not finite.
    """
    import jax
    import numpy as np

    from copycat_jax.data.batches import make_evaluation
    from copycat_jax.data.plan import make_batch_plan
    from copycat_jax.models.speaker import SpeakerConfig, embed

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
        from copycat_jax.bundle.bundle import read_bundle

        bundle = read_bundle(path)
        if "speaker" not in bundle.params:
            raise UserError(f"a bundle of kind '{bundle.kind}' holds no speaker classifier", str(path))
        return Classifier(bundle.params["speaker"], bundle.config["speaker"], bundle.spec, bundle.fingerprint)
    if not path.is_dir():
        raise UserError("no such bundle or run", str(path), "Give a folder of `copycat export` or `copycat train`.")
    return _from_run(path)


def _from_run(path: Path) -> Classifier:
    import hashlib

    import jax
    import numpy as np

    from copycat_jax.train.checkpoint import restore_params

    params, config, step = restore_params(path)
    if config.get("task") != "copycat_jax.models.speaker:make_task":
        raise UserError(f"a run of '{config.get('task')}'", str(path), "Give the speaker classifier's run.")
    rounded = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), params["model"])
    digest = hashlib.sha256(str(step).encode())
    for leaf in jax.tree.leaves(rounded):
        digest.update(leaf.tobytes())
    widened = jax.tree.map(lambda leaf: leaf.astype(np.float32), rounded)
    fields = config["model"] | {name: config["shapes"][name] for name in ("mel_bins", "speakers", "embedding")}
    return Classifier(widened, fields, MelSpec.from_dict(config["mel_spec"]), digest.hexdigest())
