"""A prosody space of seven rows, and an encoder and trees for its texts, for tests."""

import numpy as np

from prosody_vae.features import FEATURES
from prosody_vae.linguistics.tree_distance import syntactic_distance
from prosody_vae.space.table import Distances, ProsodySpace, SpaceInfo

TREES = {
    "The brown fox is quick.": "(S (NP The brown fox) (VP is (ADJP quick)) (. .))",
    "Who ate the rest?": "(SBARQ (WHNP Who) (SQ (VP ate (NP the rest))) (. ?))",
    "Stop!": "(S (VP Stop) (. !))",
    "It is, they say, the old story.": "(S (NP It) (VP is (, ,) (PRN they say) (, ,) (NP the old story)) (. .))",
}


class Letters:
    """An encoder that counts letters, and remembers what it was asked for."""

    label, fingerprint, width = "letters", "1" * 64, 26

    def __init__(self):
        self.seen: list[str] = []

    def encode(self, sentences, batch_size=64, progress=False):
        self.seen += sentences
        letters = "abcdefghijklmnopqrstuvwxyz"
        return np.array([[text.lower().count(c) for c in letters] for text in sentences], np.float32)


def tiny_trees() -> dict[str, str]:
    return dict(TREES)


def tiny_space(entries: int = 7, latent: int = 6) -> ProsodySpace:
    """Random embeddings; texts in turn, speakers a and b in turn; every second rise is unknown."""
    rng = np.random.default_rng(0)
    texts = tuple(list(TREES)[i % len(TREES)] for i in range(entries))
    features = {name: rng.standard_normal(entries).astype(np.float32) for name in FEATURES}
    features["final_rise_st"][::2] = np.nan
    return ProsodySpace(
        info=SpaceInfo("ab" * 32, "prosody_vae", "cd" * 32, "letters", "1" * 64, "by hand 1", latent, entries),
        ids=tuple(f"e{i}" for i in range(entries)),
        texts=texts,
        speakers=tuple("ab"[i % 2] for i in range(entries)),
        mean=rng.standard_normal((entries, latent)).astype(np.float32),
        variance=np.exp(rng.standard_normal((entries, latent))).astype(np.float32),
        features=features,
        sentence_vectors=Letters().encode(list(texts)).astype(np.float16),
        distances=Distances.from_rows([syntactic_distance(TREES[text]) for text in texts]),
        trees=tuple(TREES[text] for text in texts),
    )
