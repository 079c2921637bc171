"""Opens a selector from the space, bundle, encoder, parser and trees that a user names."""

from pathlib import Path
from typing import Any

from prosody_vae.selection.selector import Selector
from prosody_vae.space.files import open_space, shipped_space
from prosody_vae.space.table import KIND, ProsodySpace


def open_selector(
    space: str | Path | ProsodySpace | None = None, *, bundle: str | Path | None = None, **options: Any
) -> Selector:
    """Opens a selector over a space.

    Args:
      space: its folder, or one open already; the one that ships by default.
      bundle: a bundle that the space must have been built with; not checked by default.
      options: of `Selector`, parser and encoder by name among them.

    Raises:
      UserError: a missing, damaged or foreign space; whatever `Selector` refuses.
    """
    table = space if isinstance(space, ProsodySpace) else open_space(shipped_space() if space is None else space)
    if bundle is not None:
        from copycat_jax.bundle.bundle import read_bundle

        table.check_bundle(read_bundle(bundle, KIND))
    return Selector(table, **options)
