"""Verifies a bundle, or a folder of `copycat export` or `prosody export`: hashes, shapes, whether it is the same model.

A CopyCat bundle is exported to every runtime that is installed, an export is run by its own, and what they make of one
recording is compared with what JAX makes: at most 1e-4 nats of mel, at least 60 dB of wave.
"""

import argparse
import tempfile
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat verify`."""
    parser.add_argument("path", metavar="BUNDLE|DIR", help="what is verified; nothing in it is changed")
    parser.add_argument(
        "--bundle", metavar="DIR", help="an export's: the bundle it was made of; by default the one that ships"
    )
    parser.add_argument("--vocoder", metavar="DIR", help="the vocoder's bundle; the one that ships by default")


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat verify`."""
    from copycat_jax.export.folder import MANIFEST

    if (Path(arguments.path) / MANIFEST).is_file():
        _verify_export(arguments)
    else:
        _verify_bundle(arguments)


def _verify_bundle(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.bundle import FORMAT, read_bundle
    from copycat_jax.cli.export import prepared_of
    from copycat_jax.export.folder import write_export
    from copycat_jax.export.formats import FORMATS, writer_of
    from copycat_jax.export.parity import check_exports, installed, table
    from copycat_jax.vocoder.harmonic import read_vocoder

    bundle = read_bundle(arguments.path)
    console.say(f"{arguments.path}: kind {bundle.kind}, format {FORMAT}, hashes and shapes are right")
    if bundle.kind != "copycat":
        return
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    prepared = prepared_of(None, None, bundle)
    with tempfile.TemporaryDirectory() as work:
        folders = {}
        for kind in installed(FORMATS):
            files = writer_of(kind)(bundle, vocoder, prepared)
            folders[kind] = write_export(Path(work) / kind, kind, files, {})
        console.say(table(check_exports(folders, bundle, vocoder, prepared)))


def _verify_export(arguments: argparse.Namespace) -> None:
    from copycat_jax.bundle.bundle import read_bundle, shipped
    from copycat_jax.export.folder import read_export
    from copycat_jax.export.parity import RUNTIMES, check_exports, installed, table
    from copycat_jax.export.prepared import read_prepared
    from copycat_jax.vocoder.harmonic import read_vocoder

    export = read_export(arguments.path)
    console.say(f"{arguments.path}: kind {export.kind}, hashes are right")
    if export.kind not in RUNTIMES:
        return
    if not installed([export.kind]):
        console.warn(f"{RUNTIMES[export.kind].package} is not installed, so that nothing was compared with JAX")
        return
    bundle = read_bundle(arguments.bundle or shipped(), "copycat")
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    for found, flag in ((bundle, "--bundle"), (vocoder, "--vocoder")):
        if export.bundles.get(found.kind) != found.fingerprint:
            what = f"made of another bundle of kind '{found.kind}'"
            raise UserError(what, arguments.path, f"Give the one it was made of ({flag}).")
    prepared = read_prepared(export.folder / "source.npz")
    console.say(table(check_exports({export.kind: export.folder}, bundle, vocoder, prepared)))
