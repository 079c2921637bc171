"""What a selector works with over one space: a parser, an encoder, the learned weights.

This is the one place that opens them. Each is given, named, or found when first needed (the space's parser, or the
first one installed; the encoder that is installed; the learned weights beside the space), and checked against the
space. So a selector over recorded trees and vectors, or one that only needs lengths, runs where neither parser nor
encoder is installed.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.linguistics.document import check_sentence, words_of_sentence
from prosody_vae.linguistics.tree_distance import syntactic_distance
from prosody_vae.selection.queries import Queries

if TYPE_CHECKING:
    from prosody_vae.linguistics.protocols import Encoder, Parser
    from prosody_vae.selection.learned import LearnedSelector
    from prosody_vae.space.table import ProsodySpace


class Equipment:
    """Opens, checks and remembers what sentences are analysed with.

    Args:
      space: that is chosen from.
      encoder: an encoder, a folder or a hub name; None = the installed one, opened when first needed.
      parser: a parser or its name; None = the space's where it is installed, else the first one that is, likewise.
      trees: recorded trees, {sentence: bracketed tree} or a file of them, in place of a parser; `parser` may then name
        what made them, if they do not say so themselves.
      learned: the learned selector; None = the one beside the space, likewise.

    Raises:
      UserError: no such encoder, parser or file; another encoder than the space's.
    """

    def __init__(
        self,
        space: "ProsodySpace",
        encoder: "Encoder | str | None" = None,
        parser: "Parser | str | None" = None,
        trees: str | Path | Mapping[str, str] | None = None,
        learned: "LearnedSelector | None" = None,
    ):
        self._space, self._learned = space, learned
        self._encoder = self._parser = None
        if encoder is not None:
            self._encoder = self._checked_encoder(_open_encoder(encoder) if isinstance(encoder, str) else encoder)
        if trees is not None:
            from prosody_vae.linguistics.syntax import recorded_parser

            parser = recorded_parser(trees, parser if isinstance(parser, str) else "")
        if parser is not None:
            self._parser = self._checked_parser(_open_parser(parser) if isinstance(parser, str) else parser)
        given = {"vectors": self._encoder, "distances": self._parser}
        self.given = {name for name, part in given.items() if part is not None}

    @property
    def encoder(self) -> "Encoder":
        """The encoder; opened, and checked against the space, when first needed."""
        if self._encoder is None:
            self._encoder = self._checked_encoder(_open_encoder(None))
        return self._encoder

    @property
    def parser(self) -> "Parser":
        """The parser; likewise."""
        if self._parser is None:
            self._parser = self._checked_parser(_open_parser("auto", self._space.info.parser))
        return self._parser

    @property
    def learned(self) -> "LearnedSelector":
        """The learned selector; likewise."""
        if self._learned is None:
            if not self._space.path:
                remedy = "Train one on the space (configs/selector.py), or choose another way."
                raise UserError("no learned selector was given", "by", remedy)
            from prosody_vae.selection.learned import open_learned

            self._learned = open_learned(self._space.path)
        return self._learned

    def read(self, texts: Sequence[str], analyses: Collection[str] = ()) -> Queries:
        """Analyses sentences as far as asked for ("vectors", "distances").

        Raises:
          UserError: a sentence that cannot be spoken, or a missing encoder or parser, with the line that installs one.
        """
        texts = tuple(texts)
        for text in texts:
            check_sentence(text)
        words = np.array([len(words_of_sentence(text)) for text in texts], np.int64)
        vectors = np.asarray(self.encoder.encode(texts), np.float32) if "vectors" in analyses and texts else None
        distances = None
        if "distances" in analyses:
            distances = tuple(syntactic_distance(tree) for tree in (self.parser.parse(texts) if texts else ()))
        return Queries(texts, words, vectors, distances)

    def labels(self, analyses: Collection[str]) -> dict[str, Any]:
        """What makes these analyses, opened: "parser", "encoder", "encoder_fingerprint"; None for what is not used.

        Raises:
          UserError: one line for all that is missing of them.
        """
        parser: Parser | None = None
        encoder: Encoder | None = None
        missing: list[UserError] = []
        if "distances" in analyses:
            try:
                parser = self.parser
            except UserError as error:
                missing.append(error)
        if "vectors" in analyses:
            try:
                encoder = self.encoder
            except UserError as error:
                missing.append(error)
        if missing:
            raise missing[0] if len(missing) == 1 else UserError("; ".join(map(str, missing)))
        return {
            "parser": None if parser is None else parser.label,
            "encoder": None if encoder is None else encoder.label,
            "encoder_fingerprint": None if encoder is None else encoder.fingerprint,
        }

    def _checked_encoder(self, encoder: "Encoder") -> "Encoder":
        info = self._space.info
        own, other = info.encoder_fingerprint, encoder.fingerprint
        if own and own != other:
            raise UserError(
                f"sentence vectors by {info.encoder} {own[:8]}, the encoder given is {encoder.label} {other[:8]}",
                "space",
                "Give the space's own encoder, or build the space again with this one.",
            )
        return encoder

    def _checked_parser(self, parser: "Parser") -> "Parser":
        own = self._space.info.parser
        unnamed = parser.label.startswith("recorded ")  # trees that do not say what made them
        if own and own != parser.label and not unnamed:
            console.warn(f"the space was parsed by {own}, sentences now by {parser.label}: distances may differ")
        return parser


def _open_encoder(name: str | None) -> "Encoder":
    from prosody_vae.linguistics import bert

    return bert.find_encoder() if name is None else bert.open_encoder(name)


def _open_parser(name: str, label: str = "") -> "Parser":
    """The parser of that name; for "auto" the one of the same kind as `label` where that is installed."""
    from prosody_vae.linguistics import syntax

    kind = (label or "").partition(" ")[0]
    return syntax.open_parser(kind if name == "auto" and kind in syntax.installed_parsers() else name)
