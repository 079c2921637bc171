"""A program made of verbs: `copycat <verb>`, `prosody <verb>`; each verb is one module, imported when it is asked for.

A verb module PACKAGE.VERB (dashes as underscores) has `add_arguments(parser)` and `run(arguments) -> int | None`, its
docstring is the verb's description, and it imports nothing heavy at its top, so that `<program> <verb> --help` stays
quick. It may have `rewrite(arguments)`, which turns other spellings of its flags into those of the parser.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from copycat_jax.console import run_command
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import names_store, not_local, user_cache_folder


class Program(NamedTuple):
    """What a program is.

    Attributes:
      name: of the command.
      version: that --version prints.
      description: one line about it.
      verbs: {verb: its purpose}.
      package: of the verb modules.
      elsewhere: {verb: its package} of those that lie in another one, which stands above this.
    """

    name: str
    version: str
    description: str
    verbs: Mapping[str, str]
    package: str
    elsewhere: Mapping[str, str] = MappingProxyType({})


def run_program(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Runs the verb named first in `arguments` and returns the exit code.

    Without `arguments` they are the process's own, which is ours then: what its output cannot encode is escaped, what
    is said where nobody listens is lost, and an interrupt ends it.
    """
    if arguments is not None:
        return run_command(program.name, lambda: _dispatch(program, arguments))
    _open_standard_streams()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return run_command(program.name, lambda: _dispatch(program, sys.argv[1:]), ours=True)


def _open_standard_streams() -> None:
    """Opens those to nowhere that whoever started this process closed.

    Else the next files would have their numbers, and what a library prints would go into them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (takes the lowest free number)


def keep_compiled() -> None:
    """Has JAX keep what it compiles in the user's cache, so that only the first command on a machine waits for it.

    To be called before JAX is imported. Where the cache cannot be written, or the environment names another, nothing
    changes.
    """
    folder = user_cache_folder() / "copycat_jax" / "compiled"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(message, remedy=f"See `{self.prog} --help`.")


def _dispatch(program: Program, arguments: Sequence[str]) -> int | None:
    parser = _make_parser(program)
    parsed = parser.parse_args(arguments)
    if parsed.version:
        print(program.version)
        return 0
    if parsed.verb is None:
        parser.print_help()
        return 0
    if parsed.verb not in program.verbs:
        remedy = nearest(parsed.verb, program.verbs) or f"See `{program.name} --help`."
        raise UserError(f"unknown verb '{parsed.verb}'", remedy=remedy)
    package = program.elsewhere.get(parsed.verb, program.package)
    module = importlib.import_module(f"{package}.{parsed.verb.replace('-', '_')}")
    verb_parser = _Parser(prog=f"{program.name} {parsed.verb}", description=module.__doc__, allow_abbrev=False)
    module.add_arguments(verb_parser)
    asked = verb_parser.parse_args(getattr(module, "rewrite", list)(parsed.rest))
    for value in vars(asked).values():
        if names_store(value):  # of any option: it would become a folder of that name
            raise not_local(value if isinstance(value, str) else next(filter(names_store, value)))
    return module.run(asked)


def _make_parser(program: Program) -> argparse.ArgumentParser:
    width = max(map(len, program.verbs)) + 2
    verbs = "\n".join(f"  {name:<{width}}{purpose}" for name, purpose in program.verbs.items())
    parser = argparse.ArgumentParser(
        prog=program.name,
        description=program.description,
        epilog=f"verbs:\n{verbs}\n\n`{program.name} <verb> --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.add_argument("verb", nargs="?", metavar="verb", help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def add_kinds(parser: argparse.ArgumentParser, kinds: Mapping[str, tuple]) -> None:
    """Declares the kinds of what a verb makes, {kind: (purpose, what declares its arguments, ...)}, as sub-verbs."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    below = parser.add_subparsers(dest="kind", metavar=f"{{{','.join(kinds)}}}", required=True)
    for name, (purpose, declare, *_) in kinds.items():
        declare(below.add_parser(name, help=purpose, description=purpose, allow_abbrev=False))


def with_kind(arguments: Iterable[str], kind: str) -> list[str]:
    """Puts `kind` first where no kind is named."""
    arguments = list(arguments)
    named = arguments[:1] and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help"))
    return arguments if named else [kind, *arguments]
