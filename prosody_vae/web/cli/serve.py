"""Serves the page of `copycat web` on this machine, 127.0.0.1 only, with recordings and texts of your own.

copycat serve

A recording is aligned, and a text is chosen for, by Python on this machine; nothing leaves it. Ctrl-C ends it.
"""

import argparse
import tempfile
from pathlib import Path

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.errors import UserError
from prosody_vae.web.cli.web import add_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat serve`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=8017, help="where it listens (8017); 0 takes a free one")
    add_models(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat serve`."""
    keep_compiled()
    if not 0 <= arguments.port <= 65535:
        raise UserError(f"port {arguments.port}", "--port", "Give 0 to 65535.")
    from prosody_vae.selection.opening import open_selector
    from prosody_vae.web.server import PageServer, sentence_work, source_work
    from prosody_vae.web.site import open_models, write_site

    with tempfile.TemporaryDirectory() as place:
        models = open_models(arguments.bundle)
        folder = write_site(Path(place) / "page", models, serving=True)
        works = {"/api/source": source_work(models.synthesizer), "/api/sentence": sentence_work(open_selector())}
        with PageServer(folder, works, arguments.port) as server:
            console.say(f"{server.address}: open it in a browser of this machine; Ctrl-C ends it")
            server.serve_forever()
