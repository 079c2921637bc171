import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.text.phonemes import SIL, to_ids
from prosody_vae.demo.takes import DEMO_BY
from prosody_vae.tts.plan import cut_text
from prosody_vae.web.sentences import SENTENCES, sentence_fields, ways_about
from prosody_vae.web.site import recorded_selector


@pytest.fixture(scope="module")
def selector():
    return recorded_selector()


def test_the_sentences_that_ship_are_chosen_for_without_parser_or_encoder(selector):
    for text in SENTENCES:
        made = sentence_fields(selector, text)
        (piece,) = cut_text(text)
        assert made["phonemes"] == piece.phonemes.tolist() == to_ids(made["symbols"]).tolist()
        assert made["breaks"] == piece.breaks.tolist() and made["symbols"][0] == SIL
        held = [i for _, first, count, _ in made["words"] for i in range(first, first + count)]
        assert held == list(range(1, len(piece.phonemes)))
        assert set(made["choices"]) == set(DEMO_BY) == set(ways_about(selector))
    chosen = selector.select([SENTENCES[0]], by="both")[0]
    assert made["choices"]["centroid"]["like"] is None
    first = sentence_fields(selector, SENTENCES[0])["choices"]["both"]
    assert first["like"]["id"] == chosen.entries[0].id
    assert (np.array(first["embedding"], np.float32) == chosen.embedding).all()


def test_a_way_that_reads_what_is_not_installed_is_left_out(selector, capsys):
    made = sentence_fields(selector, "It rains.", missing_ok=True)
    assert set(made["choices"]) == {"centroid"} and "syntactic is left out" in capsys.readouterr().err
    with pytest.raises(UserError):
        sentence_fields(selector, "It rains.")
    with pytest.raises(UserError, match="too long for the page"):
        sentence_fields(selector, "He said so, " * 60, by=("centroid",))
