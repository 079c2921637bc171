"""A selector from what a user names: a space, an encoder, a parser or trees recorded with one, a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prosody_vae.selection.scores import check_named
from prosody_vae.selection.selector import BY, Selector
from prosody_vae.space.files import open_space, shipped_space
from prosody_vae.space.table import ProsodySpace

if TYPE_CHECKING:
    from prosody_vae.linguistics.syntax import Parser


def open_selector(
    space: str | Path | None = None,
    by: str = "both",
    *,
    bundle: str | Path | None = None,
    encoder: str | None = None,
    parser: str | None = None,
    trees: str | Path | None = None,
    **options: Any,
) -> Selector:
    """Opens what choosing `by` needs over a space.

    Args:
      space: its folder; the one that ships by default.
      by: a way of choosing; decides what is opened.
      bundle: a bundle that the space must have been built with; not checked by default.
      encoder: a folder or hub name; the installed encoder by default, opened when needed.
      parser: a parser's name; the first one installed by default, opened when needed.
      trees: a JSON file of recorded trees, {sentence: bracketed tree}, taken in place of a parser.
      options: of `Selector`.

    Raises:
      UserError: an unknown way; a missing, damaged or foreign space; a missing encoder, parser or learned selector.
    """
    check_named(by, BY, "way of choosing")
    folder = shipped_space() if space is None else space
    table = open_space(folder)
    if bundle is not None:
        from copycat_jax.bundle.bundle import read_bundle

        table.check_bundle(read_bundle(bundle, "prosody_vae"))
    learned = opened = None
    if by == "learned":
        from prosody_vae.selection.learned import open_learned

        learned = open_learned(folder)
    if encoder is not None:
        from prosody_vae.linguistics.bert import open_encoder

        opened = open_encoder(encoder)
    return Selector(table, opened, _parser(table, parser, trees), learned, **options)


def _parser(table: ProsodySpace, name: str | None, trees: str | Path | None) -> "Parser | None":
    if trees is not None:
        from prosody_vae.linguistics.syntax import recorded_parser

        return recorded_parser(trees, name or table.info.parser or "recorded")
    if name is not None:
        from prosody_vae.linguistics.syntax import open_parser

        return open_parser(name)
    return None
