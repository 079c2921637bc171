"""`prosody <verb>`: one small module per verb; see `copycat_jax.command_line`."""

from collections.abc import Sequence

from copycat_jax import __version__
from copycat_jax.command_line import Program, run_program

VERBS = {
    "demo": "hear it: three sentences, four ways of choosing how to say them",
    "select": "choose the recording whose prosody fits a sentence, and say why",
    "say": "say a sentence, its prosody chosen from the space or that of one recording",
    "read": "read a text aloud, the prosody of every sentence chosen from the space",
    "sweep": "how the weight of language against continuity changes a book's choices",
    "build-space": "encode a corpus once: the table of prosody embeddings to choose from",
    "export": "turn a training run into a bundle, or a voice into what other runtimes read",
    "evaluate": "measure the ways of choosing against the truth",
    "bench": "measure the speed of encoding, parsing, search and synthesis",
}
PROGRAM = Program(
    name="prosody",
    version=__version__,
    description="Prosody chosen by linguistic similarity, after Tyagi et al., Interspeech 2020.",
    verbs=VERBS,
    package="prosody_vae.cli",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `prosody` program; returns the exit code."""
    return run_program(PROGRAM, arguments)
