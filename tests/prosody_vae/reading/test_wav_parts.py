"""A killed reading goes on; what is not ours stays as it was."""

import numpy as np
import pytest
import soundfile
from stub_reader import BOOK, RATE, SPOKEN, StubSelector, StubVoice, reader, rows_of

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon
from prosody_vae.linguistics.document import Chapter, Document, Paragraph
from prosody_vae.reading.aloud import ReadAloud
from prosody_vae.reading.wav_parts import MARK, Parts

FLAT = Document("", (Chapter("", tuple(Paragraph((text,)) for text in SPOKEN)),))  # a text without headings


@pytest.mark.parametrize("document", [BOOK, FLAT])
def test_a_killed_run_goes_on_with_its_paragraph(tmp_path, document):
    reader().read(document, tmp_path / "whole.wav")
    with pytest.raises(KeyboardInterrupt):
        reader(stop_at="It ends!").read(document, tmp_path / "book.wav")
    assert not (tmp_path / "book.wav").exists() and not (tmp_path / "book.json").exists()
    again = reader()
    result = again.read(document, tmp_path / "book.wav")
    assert result.resumed == (4 if document is BOOK else 6)
    assert again.voice.said == SPOKEN[5 if document is BOOK else 6 :]
    assert (tmp_path / "book.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    assert (tmp_path / "book.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert not (tmp_path / "book.parts").exists()


def stopped(folder, **settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        reader(stop_at="Nobody came.", **settings).read(BOOK, folder / "book.wav")


def test_only_what_changed_is_read_again(tmp_path):
    stopped(tmp_path)
    edited = BOOK._replace(chapters=(Chapter("One", (Paragraph(("It snows.",)),)), *BOOK.chapters))
    other = reader()
    assert other.read(edited, tmp_path / "book.wav").resumed == 7  # "One" stands there twice
    assert other.voice.said == ["It snows.", "Nobody came."]


@pytest.mark.parametrize(
    "settings",
    [{"rate": 1.5}, {"by": "both"}, {"lsw": 0.5}, {"exact": True}, {"scaled": True}, {"ties": "mean"},
     {"lexicon": Lexicon({"rains": (("R", "IY1", "Z"),)})}, {"vocoder": "other"}],
)  # fmt: skip
def test_another_setting_resumes_nothing(tmp_path, settings):
    stopped(tmp_path)
    assert reader(**settings).read(BOOK, tmp_path / "book.wav").resumed == 0


def test_what_is_resumed_is_what_would_be_chosen_now(tmp_path):
    """Whatever moved a choice, and nothing says so: the choice itself is part of the key, and is what is reported."""

    class Other(StubSelector):
        def paragraph(self, texts, *arguments, **options):
            chosen = super().paragraph(texts, *arguments, **options)
            where = {"It goes on.": np.ones(8, np.float32)}
            return [c._replace(embedding=where.get(c.text, c.embedding), note="now") for c in chosen]

    stopped(tmp_path)
    voice = StubVoice()
    result = ReadAloud(voice=voice, selector=Other()).read(BOOK, tmp_path / "book.wav")
    assert voice.said == ["It goes on.", "It ends!", "Nobody came."] and result.resumed == 5
    assert {row["note"] for row in rows_of(tmp_path / "book.json") if "note" in row} == {"now"}


@pytest.mark.parametrize("spoil", ["cut", "no json", "bad json"])
def test_a_damaged_part_is_read_again(tmp_path, spoil):
    stopped(tmp_path)
    parts = sorted((tmp_path / "book.parts").glob("*.wav"))
    assert len(parts) == 6
    if spoil == "cut":
        parts[0].write_bytes(parts[0].read_bytes()[:2000])
    elif spoil == "no json":
        parts[0].with_suffix(".json").unlink()
    else:
        parts[0].with_suffix(".json").write_text("{")
    assert reader().read(BOOK, tmp_path / "book.wav").resumed == 5


def tree_of(folder) -> dict:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "theirs",
    [
        {"book.parts/notes.txt": "mine"},
        {"book.parts/0001.wav": "mine", "book.parts/0001.json": "{}"},
        {f"book.parts/{MARK}": "mine"},
        {"book.parts": "a file"},
        {"book.json": '{"It rains.": "(S (NP It) (VP rains))"}'},
        {"book.json": '{"comment": "synthetic speech"}'},
        {"book.json": "[" * 5000},
        {"book.wav": "no recording of ours"},
    ],
)
def test_what_is_not_ours_is_refused_and_stays_as_it_was(tmp_path, theirs):
    for name, content in theirs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    before, stub = tree_of(tmp_path), reader()
    with pytest.raises(UserError, match="book"):
        stub.read(BOOK, tmp_path / "book.wav")
    assert tree_of(tmp_path) == before and stub.voice.said == []


def test_a_folder_without_our_mark_is_refused_even_if_empty(tmp_path):
    (tmp_path / "book.parts").mkdir()
    with pytest.raises(UserError, match="not ours"):
        reader().read(BOOK, tmp_path / "book.wav")
    assert (tmp_path / "book.parts").is_dir()


def test_what_was_put_among_the_parts_stays(tmp_path):
    stopped(tmp_path)
    (tmp_path / "book.parts" / "notes.txt").write_text("mine")
    assert reader().read(BOOK, tmp_path / "book.wav").resumed == 6
    assert set(tree_of(tmp_path / "book.parts")) == {MARK, "notes.txt"}
    assert reader().read(BOOK, tmp_path / "book.wav").resumed == 0  # and is no hindrance


def test_an_input_is_never_replaced(tmp_path):
    reader().read(BOOK, tmp_path / "book.wav")
    before = tree_of(tmp_path)
    for mine in ("book.json", "book.wav"):
        with pytest.raises(UserError, match=rf"{mine}: would"):
            reader().read(BOOK, tmp_path / "book.wav", inputs=(tmp_path / mine,))
    with pytest.raises(UserError, match="would replace"):
        reader().read(tmp_path / "book.wav", tmp_path / "book.wav")
    assert tree_of(tmp_path) == before
    assert reader().read(BOOK, tmp_path / "book.wav").resumed == 0  # our own is


def test_parts_join_to_more_than_one_block(tmp_path, monkeypatch):
    monkeypatch.setattr("prosody_vae.reading.wav_parts.BLOCK_SAMPLES", 100)
    parts, rng = Parts(tmp_path / "a.wav", RATE), np.random.default_rng(0)
    written, blocks = [], [rng.uniform(-1, 1, n).astype(np.float32) for n in (250, 0, 33)]
    for number, block in enumerate(blocks):
        with parts.writing(f"{number:032x}", {}) as writer:
            writer.write(block)
        written.append(parts.finished(f"{number:032x}"))
    assert parts.finished("f" * 32) is None
    parts.join(written)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], np.concatenate(blocks), atol=1 / 32768)


def test_a_second_run_into_one_recording_is_refused_and_the_first_goes_on(tmp_path):
    first = reader()

    class Nested(StubVoice):
        refused: str = ""

        def render(self, *arguments, **options):
            if not self.refused:
                with pytest.raises(UserError) as caught:
                    reader().read(BOOK, tmp_path / "book.wav")
                Nested.refused = str(caught.value)
            return super().render(*arguments, **options)

    first.voice.__class__ = Nested
    first.read(BOOK, tmp_path / "book.wav")
    assert "another run" in Nested.refused and "book.wav" in Nested.refused
    reader().read(BOOK, tmp_path / "alone.wav")
    assert (tmp_path / "book.wav").read_bytes() == (tmp_path / "alone.wav").read_bytes()
    assert not (tmp_path / "book.parts").exists()


def test_what_a_killed_run_held_is_free(tmp_path):
    stopped(tmp_path)
    with Parts(tmp_path / "book.wav", RATE).held():
        pass
    assert (tmp_path / "book.parts" / MARK).exists()  # there are finished parts
    assert reader().read(BOOK, tmp_path / "book.wav").resumed
