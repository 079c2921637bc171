"""`copycat <verb>`: one small module per verb; see `copycat_jax.command_line`."""

from collections.abc import Sequence

from copycat_jax import __version__
from copycat_jax.command_line import Program, run_program

VERBS = {
    "demo": "hear it: one recording, three voices, a picture",
    "transfer": "speak a recording's words in another voice with the recording's prosody",
    "web": "write a page that runs the models in the browser",
    "serve": "serve that page on this machine, with own recordings and texts",
    "voices": "list the voices of a bundle",
    "align": "find where every phone lies in a folder of recordings with text",
    "build": "turn a speech corpus into training shards",
    "embed": "write the speaker vectors of a built corpus",
    "train": "train a model from a configuration",
    "runs": "show where a run's time went, or how two runs differ",
    "export": "turn a training run into a bundle, or a bundle into what other runtimes read",
    "verify": "check that a bundle or an export is whole, and the same model",
    "evaluate": "measure transfers against the truth or the source",
    "bench": "measure training and synthesis speed, and what other runtimes make of a bundle",
}


PROGRAM = Program(
    name="copycat",
    version=__version__,
    description="Prosody transfer between voices, after CopyCat (Karlapati et al., Interspeech 2020).",
    verbs=VERBS,
    package="copycat_jax.cli",
    elsewhere={"web": "prosody_vae.web.cli", "serve": "prosody_vae.web.cli"},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `copycat` program; returns the exit code."""
    return run_program(PROGRAM, arguments)
