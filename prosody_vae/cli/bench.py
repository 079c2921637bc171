"""Measures speed: sentence vectors, parsing, distances, search, synthesis, training."""

import argparse

from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `prosody bench`."""
    kinds = parser.add_subparsers(dest="kind", metavar="{encode,parse,distance,topk,synth,train}", required=True)

    def kind(name: str, purpose: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="JSON lines only")
        added.add_argument("--append", metavar="FILE", help="add the run to this history, see `copycat bench compare`")
        return added

    encode = kind("encode", "sentences per second of the sentence encoder")
    encode.add_argument("--encoder", metavar="FOLDER", help="a BERT folder or hub name; what is found by default")
    encode.add_argument("--batch", type=int, default=64, metavar="B", help="sentences of a batch (default 64)")
    parse = kind("parse", "sentences per second of the parser, without its cache")
    parse.add_argument("--parser", default="auto", help="which one; the first that is installed by default")
    distance = kind("distance", "syntactic distance vectors per second, from random bracketed trees")
    for added, count in ((encode, 2000), (parse, 200), (distance, 10_000)):
        added.add_argument("--sentences", type=int, default=count, metavar="N", help=f"how many (default {count:,})")
    for added in (encode, parse):
        added.add_argument("--text", metavar="FILE", help="take the sentences of this text; generated ones by default")
    topk = kind("topk", "exact search over a bank, against a peer's and against the memory bandwidth")
    topk.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="of the bank (default 1,000,000)")
    topk.add_argument("--queries", type=int, default=1000, metavar="Q", help="in one search (default 1,000)")
    topk.add_argument("--k", type=int, default=10, help="results of each (default 10)")
    topk.add_argument(
        "--dtype", nargs="+", default=["float32"], help="of the bank: float32 (default), bfloat16, float16; or several"
    )
    topk.add_argument(
        "--peer", default="auto", help="faiss or numpy on the CPU, or none; auto (default) takes faiss if installed"
    )
    topk.add_argument(
        "--tile", type=int, nargs="+", default=[], metavar="MIB", help="of scores that are there at once; or several"
    )
    synth = kind("synth", "seconds of speech per second of computing")
    synth.add_argument("--bundle", metavar="DIR", help="the trained voice; the one that ships by default")
    synth.add_argument("--text", default="Get scores, schedules, and listen to live audio streams.", help="a sentence")
    synth.add_argument("--speaker", help="the bundle's first by default")
    synth.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())
    synth.add_argument("--batch", type=int, nargs="+", default=[1, 8], metavar="B", help="sentences at a time")
    train = kind("train", "frames per second of a training step of the voice")
    train.add_argument(
        "--size", nargs="+", default=["shipped"], help="tiny, shipped (default), base, large; or several"
    )
    train.add_argument("--batch", type=int, default=32, metavar="B", help="rows of a batch (default 32)")
    train.add_argument("--frames", type=int, default=800, metavar="T", help="frames of every row (default 800)")
    train.add_argument("--phones", type=int, default=100, metavar="P", help="phonemes of every row (default 100)")
    train.add_argument("--dtype", help="float32 or bfloat16; the size's own by default")
    for added, count in ((encode, 3), (distance, 3), (topk, 5), (synth, 3), (train, 15)):
        text = f"timed runs after one that is not; their median counts (default {count})"
        added.add_argument("--repeats", type=int, default=count, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from copycat_jax.bench.history import report
    from copycat_jax.errors import UserError

    for name in ("repeats", "sentences", "rows", "queries", "k", "frames", "phones"):
        if getattr(arguments, name, 1) < 1:
            raise UserError(f"{getattr(arguments, name)}", f"--{name}", "Give a positive number.")
    for name in ("batch", "tile"):
        given = getattr(arguments, name, [])
        if any(n < 1 for n in (given if isinstance(given, list) else [given])):
            raise UserError("0 or less", f"--{name}", "Give positive numbers.")
    report(_MEASURE[arguments.kind](arguments), arguments.json, arguments.append)
    return 0


def _sentences(arguments: argparse.Namespace) -> list[str]:
    if not arguments.text:
        from prosody_vae.bench import example_sentences

        return example_sentences(arguments.sentences)
    from copycat_jax.errors import UserError
    from prosody_vae.linguistics.document import read_document

    document = read_document(arguments.text)
    paragraphs = [p for chapter in document.chapters for p in chapter.paragraphs]
    sentences = [s for paragraph in paragraphs for s in paragraph.sentences][: arguments.sentences]
    if not sentences:
        raise UserError("no sentences", arguments.text, "Give a text.")
    return sentences


def _encode(arguments: argparse.Namespace):
    from prosody_vae.bench import measure_encode
    from prosody_vae.linguistics.bert import find_encoder

    encoder = find_encoder(arguments.encoder)
    yield measure_encode(encoder, _sentences(arguments), arguments.batch, arguments.repeats)


def _parse(arguments: argparse.Namespace):
    from prosody_vae.bench import measure_parse
    from prosody_vae.linguistics.syntax import open_parser

    yield measure_parse(open_parser(arguments.parser, cache=""), _sentences(arguments))


def _distance(arguments: argparse.Namespace):
    from prosody_vae.bench import measure_distance, random_brackets

    yield measure_distance(random_brackets(arguments.sentences), arguments.repeats)


def _topk(arguments: argparse.Namespace):
    from prosody_vae.bench import measure_topk

    sizes = arguments.rows, arguments.queries, arguments.k
    for dtype in arguments.dtype:
        for tile in arguments.tile or [None]:
            yield measure_topk(*sizes, dtype, arguments.repeats, arguments.peer, tile)


def _synth(arguments: argparse.Namespace):
    from prosody_vae.bench import measure_synth

    for batch in arguments.batch:
        yield measure_synth(
            arguments.bundle, arguments.text, arguments.speaker, arguments.vocoder, batch, arguments.repeats
        )


def _train(arguments: argparse.Namespace):
    from copycat_jax import console
    from prosody_vae.bench import measure_train

    for size in console.progress(arguments.size, "train", unit="size"):
        yield measure_train(
            size,
            arguments.batch,
            arguments.frames,
            arguments.phones,
            arguments.repeats,
            arguments.dtype,
        )


_MEASURE = {"encode": _encode, "parse": _parse, "distance": _distance, "topk": _topk, "synth": _synth, "train": _train}
