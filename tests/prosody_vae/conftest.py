"""A made-up prosody space of forty entries, with an encoder and a parser that know its language."""

import zlib
from types import SimpleNamespace

import numpy as np
import pytest

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "bird",
    "river",
    "sings",
    "runs",
    "sleeps",
    "old",
    "red",
    "never",
    "under",
    "with",
    "and",
]
ENTRIES, LATENT, WIDTH = 40, 6, 8


class ToyEncoder:
    """Sentence vectors out of the words, the same in any company."""

    label, fingerprint, width = "toy", "toy-encoder", WIDTH

    def encode(self, sentences, batch_size=64, progress=False):
        vectors = [
            np.mean(
                [np.random.default_rng(zlib.crc32(w.encode())).normal(size=WIDTH) for w in s.lower().split()], axis=0
            )
            for s in sentences
        ]
        return np.array(vectors, np.float32).reshape(-1, WIDTH)


class ToyParser:
    """A tree for every sentence, split at places drawn from its text."""

    label = "toy parser"

    def parse(self, sentences):
        from prosody_vae.linguistics.trees import parse_brackets

        return [parse_brackets(toy_tree(sentence)) for sentence in sentences]


def toy_tree(text):
    from prosody_vae.linguistics.document import words_of_sentence

    rng = np.random.default_rng(zlib.crc32(text.encode()))

    def brackets(words):
        if len(words) == 1:
            return f"(X {words[0]})"
        cut = int(rng.integers(1, len(words)))
        return f"(S {brackets(words[:cut])} {brackets(words[cut:])})"

    return brackets(words_of_sentence(text))


def toy_sentence(rng, low=1, high=10):
    return " ".join(rng.choice(WORDS, rng.integers(low, high))).capitalize() + "."


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory):
    """Networks that are opened, trained and resumed again and again are compiled once."""
    import jax

    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def toy():
    """`space`, `encoder`, `parser` of one language, and `texts` that are not in the space."""
    from prosody_vae.linguistics.tree_distance import syntactic_distance
    from prosody_vae.space.table import Distances, ProsodySpace, SpaceInfo

    rng = np.random.default_rng(7)
    texts = [toy_sentence(rng) for _ in range(ENTRIES)]
    texts[11] = texts[3]  # two takes of one sentence
    encoder = ToyEncoder()
    trees = [toy_tree(text) for text in texts]
    vectors = encoder.encode(texts)
    mean = (vectors @ rng.normal(size=(WIDTH, LATENT)) + 0.3 * rng.normal(size=(ENTRIES, LATENT))).astype(np.float32)
    info = SpaceInfo(
        bundle="b" * 64,
        encoder=encoder.label,
        encoder_fingerprint=encoder.fingerprint,
        parser=ToyParser.label,
        latent=LATENT,
        entries=ENTRIES,
    )
    space = ProsodySpace(
        info=info,
        ids=tuple(f"utt{i:03d}" for i in range(ENTRIES)),
        texts=tuple(texts),
        speakers=("toy",) * ENTRIES,
        mean=mean,
        variance=np.full_like(mean, 0.1),
        features={"seconds": np.full(ENTRIES, 2.0, np.float32)},
        sentence_vectors=vectors,
        distances=Distances.from_rows([syntactic_distance(tree) for tree in trees]),
        trees=tuple(trees),
    )
    fresh = [toy_sentence(rng, 2, 12) for _ in range(6)]
    return SimpleNamespace(space=space, encoder=encoder, parser=ToyParser(), texts=fresh)


@pytest.fixture(scope="session")
def toy_space(toy):
    """The space alone."""
    return toy.space
