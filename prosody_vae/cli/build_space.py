"""Encodes a corpus once: the table of prosody embeddings to choose from, with the linguistic vectors of its texts.

  prosody build-space --bundle BUNDLE --corpus DATA --out SPACE

On several hosts, start it on all of them as `copycat train` is started; one writes.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from copycat_jax import console
from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from prosody_vae.linguistics.protocols import Encoder, Parser

LONGEST_S = 86_400.0  # parsing a large corpus is one piece of work to the watch that ends what hangs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody build-space`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--bundle", required=True, metavar="BUNDLE", help="the model, from `prosody export`")
    parser.add_argument("--corpus", required=True, metavar="DATA", help="a folder made by `copycat build`")
    parser.add_argument("--out", required=True, metavar="SPACE", help="the space to write; an older one is replaced")
    parser.add_argument(
        "--encoder", metavar="DIR|NAME|none", help="sentence encoder (default: the installed one); none = no vectors"
    )
    parser.add_argument(
        "--parser",
        metavar="NAME|none",
        help="constituency parser: auto (default: the first installed one), its name, or none = no distances",
    )
    parser.add_argument("--trees", metavar="FILE", help="recorded trees {text: tree}, instead of a parser")
    parser.add_argument("--speakers", metavar="A,B", help="only these speakers of the corpus")
    parser.add_argument("--match", metavar="REGEX", help="only ids in which this regular expression is found")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="utterances at a time (64)")


def run(arguments: argparse.Namespace) -> None:
    """Builds the space and writes it; what is asked for is checked before any work starts."""
    from copycat_jax.train import distributed, watchdog

    if arguments.batch < 1:
        raise UserError(f"{arguments.batch}", "--batch", "Give a positive number.")
    with distributed.joined():  # before anything touches a device
        watchdog.limit(start_s=LONGEST_S)
        _build(arguments)
        distributed.barrier("space written")


def _build(arguments: argparse.Namespace) -> None:
    import jax

    from copycat_jax.bundle.bundle import read_bundle
    from copycat_jax.corpus.corpus import open_corpus
    from prosody_vae.space.build import build_space, choose_utterances
    from prosody_vae.space.files import check_space_folder, write_space
    from prosody_vae.space.table import KIND

    check_space_folder(arguments.out)
    bundle = read_bundle(arguments.bundle, KIND)
    corpus = open_corpus(arguments.corpus, with_vectors=False)
    speakers = None if arguments.speakers is None else [n.strip() for n in arguments.speakers.split(",") if n.strip()]
    indices = choose_utterances(corpus, speakers, arguments.match)
    space = build_space(
        bundle,
        corpus,
        encoder=_encoder(arguments.encoder),
        parser=_parser(arguments.parser, arguments.trees),
        indices=indices,
        batch=arguments.batch,
    )
    if jax.process_index() == 0:
        path = write_space(arguments.out, space)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file()) / 1e6
        encoder, parser = space.info.encoder or "no encoder", space.info.parser or "no parser"
        speakers = len(set(space.speakers))
        console.say(f"{path}: {len(space)} utterances of {speakers} speakers, {size:.1f} MB, {encoder}, {parser}")


def _encoder(name: str | None) -> "Encoder | None":
    if name == "none":
        return None
    from prosody_vae.linguistics.bert import find_encoder

    try:
        return find_encoder(name)
    except UserError as error:
        raise _or_none(error, "--encoder") from None


def _parser(name: str | None, trees: str | None) -> "Parser | None":
    from prosody_vae.linguistics.syntax import open_parser, recorded_parser

    if trees is not None:
        if name is not None:
            raise UserError("both --parser and --trees", remedy="Give one of them.")
        if not Path(trees).is_file():
            raise UserError("no such file", f"--trees {trees}", "Give a file of recorded trees.")
        return recorded_parser(trees)
    if name == "none":
        return None
    try:
        return open_parser("auto" if name is None else name)
    except UserError as error:
        raise _or_none(error, "--parser") from None


def _or_none(error: UserError, flag: str) -> UserError:
    """The same error; its remedy also names the way to do without."""
    return UserError(error.what, error.where, f"{error.remedy.rstrip('.')}. Or go without: {flag} none.".lstrip(". "))
