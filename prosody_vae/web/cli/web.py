"""Writes a page that runs the models in the browser: a folder of static files, for any server of files, offline too.

copycat web --out page && python -m http.server --bind 127.0.0.1 --directory page

Two rooms: a recording in another voice, and a text with its prosody to choose and to edit. Own recordings and texts
need `copycat serve`.
"""

import argparse

from copycat_jax import console
from copycat_jax.command_line import keep_compiled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat web`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write; an older page is replaced")
    add_models(parser)


def add_models(parser: argparse.ArgumentParser) -> None:
    """Declares which models the page speaks with."""
    parser.add_argument("--bundle", metavar="DIR", help="the models of transfer; those that ship by default")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat web`."""
    keep_compiled()
    from prosody_vae.web.site import check_site, open_models, write_site

    out = check_site(arguments.out)
    write_site(out, open_models(arguments.bundle))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    console.say(f"{out}: {size:.0f} MB; to see it: python -m http.server --bind 127.0.0.1 --directory {out}")
