"""What a selector knows of a sentence that is to be spoken: its vector, its distances, its number of words.

Parser and encoder are opened only when a score needs them, so that a selector over recorded trees and vectors, or one
that only needs lengths, runs where neither is installed.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.linguistics.document import check_sentence, words_of_sentence
from prosody_vae.linguistics.tree_distance import syntactic_distance

if TYPE_CHECKING:
    from prosody_vae.linguistics.syntax import Parser
    from prosody_vae.space.table import SpaceInfo


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

    def encode(self, sentences: Sequence[str]) -> Float[np.ndarray, "n V"]:
        """One vector per sentence."""
        ...


class Queries(NamedTuple):
    """Sentences to choose for, as the scores see them.

    Attributes:
      texts: the sentences.
      words: their numbers of words.
      vectors: from the encoder; None where no score asked for them.
      distances: syntactic distance vectors, each as long as its sentence; None likewise.
    """

    texts: tuple[str, ...]
    words: Int[np.ndarray, " q"]
    vectors: Float[np.ndarray, "q V"] | None = None
    distances: tuple[np.ndarray, ...] | None = None


class Linguist:
    """Reads sentences with the encoder and the parser that a space was made with.

    Args:
      info: what the space was made with.
      encoder: None = the installed one (`find_encoder`), opened when first needed.
      parser: None = the installed one (`open_parser`), likewise.

    Raises:
      UserError: another encoder than the space's.
    """

    def __init__(self, info: "SpaceInfo", encoder: Encoder | None = None, parser: "Parser | None" = None):
        self._info, self._encoder, self._parser = info, encoder, parser
        self.given = {name for name, part in (("bert", encoder), ("syntactic", parser)) if part is not None}
        if encoder is not None:
            self._check_encoder(encoder)
        if parser is not None:
            self._check_parser(parser)

    def read(self, texts: Sequence[str], needed: Collection[str] = ()) -> Queries:
        """Analyses sentences as far as the `needed` scores ("bert", "syntactic") ask for.

        Raises:
          UserError: a sentence that cannot be spoken, or a missing encoder or parser, with the line that installs one.
        """
        texts = tuple(texts)
        for text in texts:
            check_sentence(text)
        words = np.array([len(words_of_sentence(text)) for text in texts], np.int64)
        vectors = np.asarray(self.encoder.encode(texts), np.float32) if "bert" in needed and texts else None
        distances = None
        if "syntactic" in needed:
            distances = tuple(syntactic_distance(tree) for tree in (self.parser.parse(texts) if texts else ()))
        return Queries(texts, words, vectors, distances)

    @property
    def encoder(self) -> Encoder:
        """The encoder; opened, and checked against the space, when first needed."""
        if self._encoder is None:
            from prosody_vae.linguistics.bert import find_encoder

            encoder = find_encoder()
            self._check_encoder(encoder)
            self._encoder = encoder
        return self._encoder

    @property
    def parser(self) -> "Parser":
        """The parser; likewise."""
        if self._parser is None:
            from prosody_vae.linguistics.syntax import open_parser

            parser = open_parser()
            self._check_parser(parser)
            self._parser = parser
        return self._parser

    def _check_encoder(self, encoder: Encoder) -> None:
        own, other = self._info.encoder_fingerprint, encoder.fingerprint
        if own and own != other:
            raise UserError(
                f"sentence vectors by {self._info.encoder} {own[:8]}, the encoder given is {encoder.label} {other[:8]}",
                "space",
                "Give the space's own encoder, or build the space again with this one.",
            )

    def _check_parser(self, parser: "Parser") -> None:
        own = self._info.parser
        if own and own != parser.label:
            console.warn(f"the space was parsed by {own}, sentences now by {parser.label}: distances may differ")
