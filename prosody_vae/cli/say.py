"""Says a sentence or a few: the prosody chosen from the space, or that of one recording, in one sound file.

prosody say "Who ate the rest of my pizza?" --out pizza.wav
prosody say "Who ate the rest of my pizza?" --like ID --out pizza.mp3
prosody say "Who ate the rest of my pizza?" --emphasis my --pitch 2 --out mine.wav --prosody-out mine.json
prosody say --prosody mine.json --out edited.wav             (after mine.json was edited)
"""

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.errors import UserError
from prosody_vae.cli.read import FORMATS, add_speaking, add_timestamps, reader_of

if TYPE_CHECKING:
    from copycat_jax.prosody.values import Prosody


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody say`."""
    parser.add_argument(
        "text", nargs="?", metavar="TEXT", help="what is said ({HH AH0 L OW1}: phonemes); - for standard input"
    )
    parser.add_argument("--out", required=True, metavar="OUT.wav", help=f"where to write; {FORMATS}")
    add_speaking(parser)
    parser.add_argument("--like", metavar="ID", help="speak like this recording of the space, and choose none")
    parser.add_argument(
        "--prosody", metavar="FILE", help="speak with the prosody of this file; TEXT may be left out then"
    )
    parser.add_argument("--prosody-out", metavar="OUT.json", help="also write the prosody, to be edited and read back")
    parser.add_argument(
        "--pitch", type=float, default=0.0, metavar="SEMITONES", help="the whole melody higher or lower"
    )
    parser.add_argument(
        "--emphasis",
        action="append",
        default=[],
        metavar="WORD",
        help="this word longer, higher and louder; WORD:2 for the second of that spelling; may be given again",
    )
    add_timestamps(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody say`."""
    keep_compiled()
    from copycat_jax.audio.encoding import check_sound_file, write_sound
    from copycat_jax.prosody.edits import check_edits
    from copycat_jax.prosody.file import check_prosody_file, read_prosody, write_prosody
    from copycat_jax.prosody.timestamps import check_timestamps, write_timestamps
    from copycat_jax.prosody.values import times_of
    from prosody_vae.linguistics.document import read_text

    named = (arguments.trees, arguments.lexicon, arguments.parser, arguments.prosody)
    inputs = tuple(name for name in named if name)
    out = check_sound_file(arguments.out, inputs)
    written = arguments.prosody_out if arguments.prosody_out is None else check_prosody_file(arguments.prosody_out)
    times = arguments.timestamps
    times = times if times is None else check_timestamps(times, inputs, (written, arguments.prosody))
    check_edits(arguments.rate, arguments.pitch)
    if arguments.text is None and arguments.prosody is None:
        raise UserError("no text", remedy="Say what is spoken, or give a prosody file (--prosody FILE).")
    text = read_text("-") if arguments.text == "-" else arguments.text
    given = None if arguments.prosody is None else read_prosody(arguments.prosody)
    reader = reader_of(arguments, **_options(arguments, given))
    if given is None:
        said = reader.say(str(text), partial(_edited, arguments=arguments))
    else:
        _check_fits(given, text, reader.lexicon, str(arguments.prosody))
        said = reader.speak(_edited(given, arguments, arguments.rate))
    write_sound(out, said.samples, said.sample_rate)
    if written is not None:
        write_prosody(written, said.prosody)
    if times is not None:
        write_timestamps(times, times_of(said.prosody), len(said.samples) / said.sample_rate)
    for row in said.sentences:
        console.say(f"{row['text']}: {row.get('skipped') or _like(row, given)}")
    console.say(f"{out}: {len(said.samples) / said.sample_rate:.1f} s")


def _options(arguments: argparse.Namespace, given: "Prosody | None") -> dict[str, Any]:
    """What a reader need not do: choose for what is spoken like a given recording, or has its embedding in a file."""
    options: dict[str, Any] = {}
    if arguments.like:
        options = {"by": "centroid", "lock": arguments.like}
    if given is not None:
        options["rate"] = 1.0  # its times are edited instead
        if all(sentence.embedding for sentence in given.sentences):
            options = {"by": "centroid", **options, "speaker": arguments.speaker or given.speaker or None}
            if arguments.like:
                raise UserError("both --like and --prosody", remedy="The file says what each sentence is spoken like.")
    return options


def _edited(prosody: "Prosody", arguments: argparse.Namespace, speed: float = 1.0) -> "Prosody":
    from copycat_jax.prosody.edits import emphasised, faster, higher

    prosody = higher(faster(prosody, speed), arguments.pitch)
    for word in arguments.emphasis:
        prosody = emphasised(prosody, word)
    return prosody


def _check_fits(given: "Prosody", text: str | None, lexicon, path: str) -> None:
    from copycat_jax.prosody.file import check_words
    from copycat_jax.text.lexicon import words_of

    check_words(given, lambda said: [word.text for word in words_of(said, lexicon)], text, path)


def _like(row: dict[str, Any], given: "Prosody | None") -> str:
    if given is not None:
        return "as the prosody file has it"
    entry = next(iter(row.get("entries", ())), None)
    return "the mean of all recordings" if entry is None else f'like {entry["id"]} "{entry["text"]}"'
