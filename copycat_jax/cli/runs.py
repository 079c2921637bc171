"""Shows where a run's time went (`copycat runs show`), or how two runs differ (`copycat runs compare`)."""

import argparse

from copycat_jax import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat runs`."""
    kinds = parser.add_subparsers(dest="kind", metavar="{show,compare}", required=True)
    show = kinds.add_parser("show", help="goodput, restarts, slow hosts", allow_abbrev=False)
    show.add_argument("run", metavar="RUN", help="a run folder of `copycat train`")
    compare = kinds.add_parser("compare", help="configurations, curves, last figures", allow_abbrev=False)
    compare.add_argument("run", metavar="A", help="a run folder")
    compare.add_argument("other", metavar="B", help="another")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat runs`."""
    from copycat_jax.runs.compare import compare
    from copycat_jax.runs.show import show

    if arguments.kind == "show":
        console.say(show(arguments.run))
    else:
        console.say(compare(arguments.run, arguments.other))
