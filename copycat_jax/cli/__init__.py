"""`copycat <verb>`: one small module per verb, imported only when its verb is asked for.

A verb module `copycat_jax/cli/<verb>.py` has `add_arguments(parser)` and `run(arguments) -> int | None`; it imports
nothing heavy at its top, so that `copycat <verb> --help` stays quick.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from copycat_jax.console import run_command
from copycat_jax.errors import UserError, nearest

VERBS = {
    "demo": "hear it: one recording, three voices, a picture",
    "transfer": "speak a recording's words in another voice with the recording's prosody",
    "voices": "list the voices of a bundle",
    "align": "find where every phone lies in a folder of recordings with text",
    "build": "turn a speech corpus into training shards",
    "embed": "write the speaker vectors of a built corpus",
    "train": "train a model from a configuration",
    "export": "turn a training run into a bundle",
    "evaluate": "measure transfers against the truth or the source",
    "bench": "measure training and synthesis speed",
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of `copycat` itself: verbs and their one-line purposes."""
    verbs = "\n".join(f"  {name:<10}{purpose}" for name, purpose in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="copycat",
        description="Prosody transfer between voices, after CopyCat (Karlapati et al., Interspeech 2020).",
        epilog=f"verbs:\n{verbs}\n\n`copycat <verb> --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.add_argument("verb", nargs="?", metavar="verb", help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(message, remedy=f"See `{self.prog} --help`.")


def dispatch(arguments: Sequence[str]) -> int | None:
    """Runs the verb named first in `arguments`; raises UserError for an unknown one."""
    parsed = make_parser().parse_args(arguments)
    if parsed.version:
        from copycat_jax import __version__

        print(__version__)
        return 0
    if parsed.verb is None:
        make_parser().print_help()
        return 0
    if parsed.verb not in VERBS:
        raise UserError(f"unknown verb '{parsed.verb}'", remedy=nearest(parsed.verb, VERBS) or "See `copycat --help`.")
    module = importlib.import_module(f"copycat_jax.cli.{parsed.verb}")
    parser = _Parser(prog=f"copycat {parsed.verb}", description=module.__doc__, allow_abbrev=False)
    module.add_arguments(parser)
    rewrite = getattr(module, "rewrite", list)  # a verb may accept other spellings of its flags
    return module.run(parser.parse_args(rewrite(parsed.rest)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `copycat` program; returns the exit code."""
    return run_command("copycat", lambda: dispatch(sys.argv[1:] if arguments is None else arguments))
