"""Reads a text aloud: the prosody of every sentence chosen from the space, one recording, and a JSON that says why.

The bundle's voice speaks (--bundle; the one that ships by default); the space must have been built with that bundle.
What is no part of the text (page marks, footnotes, pictures, tables, a contents list, Project Gutenberg's own words) is
left out, and --dry-run says what. A killed run goes on with the paragraph it was in when the same command is given
again.
"""

import argparse
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names
from prosody_vae.cli.select import add_choosing, add_ties, names_in, selector_of

if TYPE_CHECKING:
    from prosody_vae.linguistics.document import Document
    from prosody_vae.reading.aloud import ReadAloud

FORMATS = "its ending says the format: wav, flac, mp3, opus or ogg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody read`."""
    parser.add_argument("document", help="a file of text, Markdown (.md), HTML or EPUB; - for standard input")
    parser.add_argument("--out", metavar="OUT.wav", help=f"where to write; {FORMATS}; OUT.json is put beside it")
    parser.add_argument("--dry-run", action="store_true", help="list what would be read and what would not, no more")
    add_speaking(parser)
    add_timestamps(parser)
    parser.add_argument(
        "--lock",
        metavar="[N=]ID,...",
        default="",
        help="speak sentence N, as --dry-run numbers them, like this recording; without N, every sentence",
    )


def add_speaking(parser: argparse.ArgumentParser) -> None:
    """Declares what the verbs that choose and speak have in common."""
    add_choosing(parser, "syntactic")
    add_ties(parser, "vector where an encoder is installed")
    parser.add_argument(
        "--lsw", type=float, default=0.9, metavar="W", help="weight of language against continuity (default 0.9)"
    )
    parser.add_argument("--exact", action="store_true", help="the best path over each paragraph, not the greedy one")
    parser.add_argument("--scaled", action="store_true", help="acoustic distances in units of the space's mean one")
    parser.add_argument("--exclude", metavar="ID,...", default="", help="recordings never to choose")
    parser.add_argument("--lexicon", metavar="FILE", help="pronunciations that go first: lines of word PH ON EMES")
    parser.add_argument(
        "--speed", "--rate", dest="rate", type=float, default=1.0, help="times faster than the voice speaks (default 1)"
    )
    parser.add_argument("--voice", "--speaker", dest="speaker", metavar="NAME", help="of the bundle; the space's own")
    parser.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())


def add_timestamps(parser: argparse.ArgumentParser) -> None:
    """Declares where the times of what is spoken go."""
    parser.add_argument(
        "--timestamps",
        metavar="FILE",
        help="also write when every word and phone is spoken; its ending says how: srt, vtt, TextGrid or json",
    )


def reader_of(arguments: argparse.Namespace, **options: Any) -> "ReadAloud":
    """The reader that the arguments of `add_speaking` ask for; `options` are further ones of `ReadAloud`."""
    from copycat_jax.text.lexicon import read_lexicon
    from prosody_vae.reading.aloud import ReadAloud

    lexicon = read_lexicon(arguments.lexicon) if arguments.lexicon else None
    own = {"by": arguments.by, "rate": arguments.rate, "speaker": arguments.speaker}
    options = own | {"selector": selector_of(arguments)} | options
    return ReadAloud(
        arguments.bundle,
        lsw=arguments.lsw,
        exact=arguments.exact,
        scaled=arguments.scaled,
        ties=arguments.ties,
        exclude=names_in(arguments.exclude),
        lexicon=lexicon,
        vocoder=arguments.vocoder,
        **options,
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody read`."""
    keep_compiled()
    from copycat_jax.audio.encoding import check_sound_file
    from copycat_jax.errors import UserError
    from copycat_jax.prosody.timestamps import check_timestamps
    from prosody_vae.linguistics.document import read_document
    from prosody_vae.reading.account import check_account

    inputs = tuple(name for name in (arguments.document, arguments.trees, arguments.lexicon, arguments.parser) if name)
    if arguments.out is not None:  # what is quickly refused comes first
        account = check_account(check_sound_file(arguments.out, inputs), inputs)
        if arguments.timestamps is not None:
            check_timestamps(arguments.timestamps, inputs, (account,))
    elif not arguments.dry_run:
        raise UserError("no --out", remedy="Say where to write: --out OUT.wav.")
    document = read_document(arguments.document)
    if arguments.dry_run:
        _show(document)
    reader = reader_of(arguments, lock=_locks(arguments.lock))
    if arguments.dry_run or arguments.out is None:
        reader.choose(document)
        return
    _say_unread(document)
    result = reader.read(document, arguments.out, inputs, arguments.timestamps)
    if result.resumed:
        console.say(f"paragraphs found finished: {result.resumed}")
    if result.skipped:
        console.warn(f"sentences without a word, left out: {result.skipped}")
    minutes, seconds = divmod(round(result.seconds), 60)
    spoken = f"{result.sentences} sentence{'s' * (result.sentences != 1)}"
    console.say(f"{result.path}: {spoken}, {minutes} min {seconds:02d} s, by {arguments.by}")
    console.say(f"{result.about}: what was chosen for each sentence, and why")


def _locks(given: str) -> str | dict[int, str] | None:
    """`[N=]ID,...`: one id for all, or {number: id}."""
    from copycat_jax.errors import UserError

    names = names_in(given)
    if len(names) == 1 and not re.match(r"\d+=", names[0]):
        return names[0]
    locks = {}
    for name in names:
        number, _, utterance = name.partition("=")
        if not (number.isdecimal() and utterance):
            raise UserError(f"'{name}' among several", "--lock", "Write N=ID, N the number of the sentence.")
        locks[int(number)] = utterance
    return locks or None


def _show(document: "Document") -> None:
    """Prints chapters and sentences, each with its number, and what will not be read."""
    from prosody_vae.reading.passages import chapter_titles, is_speakable, passages_of

    number, chapter = 0, -1
    for passage in passages_of(document):
        if passage.chapter != chapter:
            chapter = passage.chapter
            console.say(f"== {chapter_titles(document)[chapter] or '(no heading)'}")
        for text in passage.sentences:
            number += is_speakable(text)
            console.say(f"{number if is_speakable(text) else '-':>6}  {text}")
        console.say("")
    chapters = len(document.chapters)
    console.say(f"{chapters} chapter{'s' * (chapters != 1)}, {number} sentence{'s' * (number != 1)} to speak")
    for part in document.unread:
        console.say(f"not read: {part.kind}: {part.text}")


def _say_unread(document: "Document") -> None:
    counts = Counter(part.kind for part in document.unread)
    if counts:
        console.warn(f"not read (--dry-run lists it): {', '.join(f'{kind} ({n})' for kind, n in counts.items())}")
