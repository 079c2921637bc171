"""What the rest of the package knows of a parser and of a sentence encoder, whichever they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from prosody_vae.linguistics.trees import Tree


@runtime_checkable
class Parser(Protocol):
    """Anything that finds the constituents of sentences: a parser, or trees recorded with one.

    Attributes:
      label: its name and version, e.g. "link-grammar 5.12.0".
    """

    label: str

    def parse(self, sentences: Sequence[str]) -> "list[Tree]":
        """One tree per sentence, whose leaves are exactly `document.words_of_sentence` of it.

        Raises:
          UserError: a sentence is empty, has no words, or more than 400.
        """
        ...


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns sentences into vectors: a BERT, or vectors recorded with one."""

    @property
    def label(self) -> str:
        """Its name."""
        ...

    @property
    def fingerprint(self) -> Any:
        """A string, equal for encoders that give equal vectors."""
        ...

    def encode(self, sentences: Sequence[str], batch_size: int = 64, progress: bool = False) -> Any:
        """One vector per sentence, float32 [n, V]."""
        ...
