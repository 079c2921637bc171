"""Word and character errors against jiwer, where it is installed."""

import random

import pytest

from copycat_jax.evaluate.objective import word_errors

pytestmark = pytest.mark.parity


def test_word_and_character_errors_are_jiwers():
    jiwer = pytest.importorskip("jiwer")
    draw = random.Random(0)
    words = ["the", "cat", "sat", "on", "a", "mat"]
    for _ in range(50):
        said, heard = ([draw.choice(words) for _ in range(draw.randint(1, 9))] for _ in range(2))
        assert word_errors(said, heard) / len(said) == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)))
        letters, others = "".join(said), "".join(heard)
        assert word_errors(letters, others) / len(letters) == pytest.approx(jiwer.cer(letters, others))
