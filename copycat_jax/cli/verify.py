"""Verifies a bundle, or a folder of `copycat export` or `prosody export`: hashes, shapes, whether it is the same model.

A bundle of CopyCat or of a prosody voice is exported to every runtime that is installed, an export is run by its own,
and what they make is compared with what JAX makes: at most 1e-4 nats of mel, at least 60 dB of wave.
"""

import argparse
import importlib
import tempfile
from pathlib import Path

from copycat_jax import console
from copycat_jax.errors import UserError

VOICES = "prosody_vae.export.parity"  # what compares a prosody voice; found by name, for it stands above


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
    if bundle.kind not in ("copycat", "prosody_vae"):
        return
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    if bundle.kind == "prosody_vae":
        console.say(table(importlib.import_module(VOICES).check_bundle(bundle, vocoder)))
        return
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

    export, voices = read_export(arguments.path), importlib.import_module(VOICES)
    console.say(f"{arguments.path}: kind {export.kind}, hashes are right")
    if export.kind not in {**RUNTIMES, **voices.RUNTIMES}:
        return
    runtime = voices.RUNTIMES.get(export.kind, export.kind)
    if not installed([runtime]):
        console.warn(f"{RUNTIMES[runtime].package} is not installed, so that nothing was compared with JAX")
        return
    if export.kind in RUNTIMES:
        bundle = read_bundle(arguments.bundle or shipped(), "copycat")
    else:
        bundle = read_bundle(arguments.bundle or voices.SHIPPED_VOICE, "prosody_vae")
    vocoder = read_vocoder(bundle.spec, arguments.vocoder)
    for found, flag in ((bundle, "--bundle"), (vocoder, "--vocoder")):
        if export.bundles.get(found.kind) != found.fingerprint:
            what = f"made of another bundle of kind '{found.kind}'"
            raise UserError(what, arguments.path, f"Give the one it was made of ({flag}).")
    if export.kind in RUNTIMES:
        prepared = read_prepared(export.folder / "source.npz")
        console.say(table(check_exports({export.kind: export.folder}, bundle, vocoder, prepared)))
    else:
        console.say(table([voices.check_voice(export, bundle, vocoder)]))
