"""Sentences made ready for the page: phonemes, and the embedding that each way of choosing takes for them.

A parser and an encoder do not run in a browser. For the sentences that ship, what they say is recorded, as that of
`prosody demo` is; for others the server asks what is installed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax import console
from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import words_of
from copycat_jax.text.phonemes import to_symbols
from prosody_vae.demo.takes import DEMO_BY, DEMO_SENTENCES
from prosody_vae.linguistics.document import check_sentence
from prosody_vae.selection.selector import Selector
from prosody_vae.selection.ways import way_named
from prosody_vae.tts.plan import cut_text

RECORDED = Path(__file__).parent / "recorded"
SENTENCES = (
    *DEMO_SENTENCES,
    "Where did you park the rental car?",
    "Do you want milk or lemon in your tea?",
    "I never said she stole my money.",
    "The ship left the harbour at dawn, and nobody waved.",
    "Stop it, or I will tell your mother!",
)


def sentence_fields(
    selector: Selector, text: str, by: Sequence[str] = DEMO_BY, missing_ok: bool = False
) -> dict[str, Any]:
    """A sentence as the page's JSON has it.

    Args:
      selector: over the space whose embeddings the page's voice speaks.
      text: one sentence.
      by: ways of choosing.
      missing_ok: leave out a way whose parser or encoder is not installed, with a warning.

    Raises:
      UserError: nothing in it can be spoken, it is longer than one piece, or a way reads what is not there.
    """
    check_sentence(text)
    pieces = cut_text(text)
    if len(pieces) != 1:
        raise UserError("is too long for the page", f"'{text[:40]}'", "Give one sentence of at most ten seconds.")
    (piece,) = pieces
    choices = {}
    for name in by:
        try:
            (choice,) = selector.select([text], by=name)
        except UserError as error:
            if not missing_ok:
                raise
            console.warn(f"{name} is left out: {error}")
            continue
        entry = choice.entries[0] if choice.entries else None
        choices[name] = {
            "embedding": np.asarray(choice.embedding, np.float32).tolist(),
            "like": None if entry is None else {"id": entry.id, "text": entry.text, "score": round(entry.score, 3)},
            "note": choice.note,
        }
    words, first = [], 1
    for word, mark in zip(words_of(text), piece.breaks[piece.breaks > 0].tolist(), strict=True):
        words.append([word.text, first, len(word.variants[0]), mark])
        first += len(word.variants[0])
    return {
        "text": " ".join(text.split()),
        "phonemes": piece.phonemes.tolist(),
        "symbols": to_symbols(piece.phonemes),
        "breaks": piece.breaks.tolist(),
        "words": words,
        "choices": choices,
    }


def ways_about(selector: Selector, by: Sequence[str] = DEMO_BY) -> dict[str, dict[str, str]]:
    """What each way is called and takes; the encoder by the name of the space's own."""
    encoder = selector.space.info.encoder
    return {
        name: {"title": way_named(name).title.format(encoder=encoder), "about": way_named(name).about} for name in by
    }
