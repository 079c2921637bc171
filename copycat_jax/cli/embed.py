"""Writes the speaker vector of every utterance of a built corpus, as a trained speaker classifier hears it."""

import argparse
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `copycat embed`."""
    parser.add_argument("--bundle", required=True, metavar="SPK", help="a speaker or CopyCat bundle, or a run")
    parser.add_argument("--corpus", required=True, metavar="DATA", help="a folder made by `copycat build`")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="utterances at a time (default 32)")


def run(arguments: argparse.Namespace) -> int | None:
    """Embeds the corpus and writes the vectors beside its shards."""
    from copycat_jax.bundle.speaker_vectors import embed_corpus, read_classifier
    from copycat_jax.corpus.corpus import open_corpus, write_vectors
    from copycat_jax.corpus.description import VECTORS_FILE
    from copycat_jax.files import check_folder

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
    write_vectors(path / VECTORS_FILE, vectors, corpus.info.fingerprint, classifier.hash)
    console.say(f"{path / VECTORS_FILE}: {len(vectors)} vectors of width {vectors.shape[1]}")
