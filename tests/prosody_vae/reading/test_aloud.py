import json
import weakref

import numpy as np
import pytest
import soundfile
from tiny_voice import (
    ENCODER,
    ENCODER_FINGERPRINT,
    PARSER,
    TEXTS,
    TREES,
    tiny_bundle,
    tiny_contents,
    tiny_space,
    write_tiny_voice,
)

from copycat_jax.bundle.bundle import write_bundle
from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon
from prosody_vae.cli import main
from prosody_vae.linguistics.document import Chapter, Document, Paragraph
from prosody_vae.reading import aloud
from prosody_vae.reading.aloud import ReadAloud
from prosody_vae.reading.passages import CHAPTER_S, OTHER_S, PARAGRAPH_S, PAUSES_S, pause_after
from prosody_vae.reading.wav_parts import MARK, Parts
from prosody_vae.selection.selector import Choice, Entry, Selector
from prosody_vae.space.files import write_space
from prosody_vae.tts.plan import EDGE_PAUSE_S
from prosody_vae.tts.voice import Speech

RATE = 8000
BOOK = Document(
    "",
    (
        Chapter("One", (Paragraph(("It rains.", "Does it?", "\N{GRINNING FACE}")), Paragraph(("It does;",)))),
        Chapter("", (Paragraph(("The second part begins.",)), Paragraph(("It goes on.", "It ends!")))),
        Chapter("Three", (Paragraph(("Nobody came.",)),)),
    ),
)
SPOKEN = [
    *("One", "It rains.", "Does it?", "It does;", "The second part begins.", "It goes on.", "It ends!"),
    *("Three", "Nobody came."),
]


class StubVoice:
    """Speaks a text as a tone whose level names it; counts what it said and how much of that is still in memory."""

    sample_rate, fingerprint = RATE, "stub"

    def __init__(self, stop_at: str = ""):
        self.said: list[str] = []
        self.alive: list[weakref.ref] = []
        self.most_alive, self.stop_at = 0, stop_at

    def speak(self, text, embedding, speaker=None, rate=1.0, lexicon=None):
        if text == self.stop_at:
            raise KeyboardInterrupt
        self.said.append(text)
        samples = np.full(1000 + 100 * len(text), level(text), np.float32)
        self.alive = [ref for ref in self.alive if ref() is not None] + [weakref.ref(samples)]
        self.most_alive = max(self.most_alive, len(self.alive))
        return Speech(samples, RATE, np.zeros((1, 80)), (), *np.zeros((3, 0)))


class StubSelector:
    def paragraph(self, texts, by, lsw=0.9, scaled=False, exact=False, ties=None):
        return [Choice(t, by, (Entry(3, "id3", "Like this.", 0.5, {by: 0.5}),), np.zeros(8, np.float32)) for t in texts]


def level(text: str) -> float:
    return (1 + SPOKEN.index(text)) / 32 if text in SPOKEN else 0.5


def reader(stop_at: str = "", **settings) -> ReadAloud:
    return ReadAloud(voice=StubVoice(stop_at), selector=StubSelector(), **settings)


def rows_of(path) -> list[dict]:
    return [row for chapter in json.loads(path.read_text("utf-8"))["chapters"] for row in chapter["sentences"]]


def test_the_account_says_where_every_sentence_sounds(tmp_path):
    result = reader().read(BOOK, tmp_path / "book.wav")
    samples, rate = soundfile.read(tmp_path / "book.wav", dtype="float32")
    assert (result.sentences, result.skipped, result.resumed) == (9, 1, 0)
    assert rate == RATE and len(samples) / rate == pytest.approx(result.seconds)
    rows = [row for row in rows_of(tmp_path / "book.json") if "start_s" in row]
    assert [row["text"] for row in rows] == SPOKEN
    sounding = np.zeros(len(samples), bool)
    for row in rows:
        start, end = round(row["start_s"] * rate), round(row["end_s"] * rate)
        assert (samples[start:end] == level(row["text"])).all()
        sounding[start:end] = True
        assert row["entries"][0]["id"] == "id3" and row["by"] == "syntactic"
    assert not samples[~sounding].any()
    with soundfile.SoundFile(tmp_path / "book.wav") as file:
        assert file.comment == "synthetic speech"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book.json", "book.wav"]


def test_pauses_follow_marks_paragraphs_and_chapters(tmp_path):
    reader().read(BOOK, tmp_path / "book.wav")
    rows = {row["text"]: row for row in rows_of(tmp_path / "book.json") if "start_s" in row}

    def gap(first: str, second: str) -> float:
        return rows[second]["start_s"] - rows[first]["end_s"] + 2 * EDGE_PAUSE_S

    assert gap("It rains.", "Does it?") == pytest.approx(PAUSES_S["."], abs=1e-3)
    assert gap("Does it?", "It does;") == pytest.approx(max(PARAGRAPH_S, PAUSES_S["?"]), abs=1e-3)
    assert gap("It does;", "The second part begins.") == pytest.approx(CHAPTER_S, abs=1e-3)
    seconds = json.loads((tmp_path / "book.json").read_text())["seconds"]
    assert rows["Nobody came."]["end_s"] + PAUSES_S["."] - 2 * EDGE_PAUSE_S == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("mark", PAUSES_S)
def test_a_pause_is_that_of_the_last_mark(mark):
    assert pause_after(f"He said “so{mark}” ") == PAUSES_S[mark]
    assert pause_after("so") == OTHER_S
    assert pause_after(f"so{mark}", 9.0) == 9.0


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


@pytest.mark.slow
def test_one_sentence_is_held_in_memory_at_a_time(tmp_path):
    many = Document("", (Chapter("", (Paragraph(tuple(f"Sentence {i}." for i in range(200))),)),))
    stub = reader()
    stub.read(many, tmp_path / "book.wav")
    assert len(stub.voice.said) == 200 and stub.voice.most_alive <= 2


def test_sentences_are_written_as_they_are_spoken(tmp_path):
    stub, sizes = reader(), []
    speak = stub.voice.speak

    def watched(*arguments):
        sizes.append(sum(p.stat().st_size for p in (tmp_path / "book.parts").glob(".*.wav.*")))
        return speak(*arguments)

    stub.voice.speak = watched
    many = Document("", (Chapter("", (Paragraph(tuple(f"Sentence {i}." for i in range(9))),)),))
    stub.read(many, tmp_path / "book.wav")
    assert (np.diff(sizes) > 0).all()


def test_say_reads_a_paragraph_into_memory():
    said = reader().say("It rains. Does it?")
    assert [row["text"] for row in said.sentences] == ["It rains.", "Does it?"]
    start, end = (round(said.sentences[1][name] * RATE) for name in ("start_s", "end_s"))
    assert (said.samples[start:end] == level("Does it?")).all()
    for text, match in (("", "empty"), ("*** \N{GRINNING FACE}", "no letters"), ("word " * 5000, "400")):
        with pytest.raises(UserError, match=match):
            reader().say(text)
    with pytest.raises(UserError, match="rate"):
        reader(rate=0.0)


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        reader(stop_at="One").read(BOOK, tmp_path / "book.wav")
    with pytest.raises(UserError, match="400"):
        long = Document("", (Chapter("", (Paragraph(("word " * 5000,)),)),))
        reader().read(long, tmp_path / "book.wav")
    with pytest.raises(UserError, match="nothing that can be spoken"):
        reader().read(Document("", (Chapter("", (Paragraph(("***",)),)),)), tmp_path / "book.wav")
    with pytest.raises(UserError, match="lsw"):
        reader(lsw=1.5)
    assert list(tmp_path.iterdir()) == []


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_space(folder / "space", tiny_space(tiny_bundle()))
    write_space(folder / "other_space", tiny_space(tiny_bundle()._replace(fingerprint="0" * 64)))
    contents = tiny_contents()
    for part in ("params", "config"):
        contents[part] = dict.fromkeys(("copycat", "speaker"), contents[part]["prosody_vae"])
    write_bundle(folder / "other_kind", "copycat", **contents)
    return write_tiny_voice(folder / "voice"), folder / "space"


def test_the_command_reads_a_file(trained, tmp_path, capsys):
    (tmp_path / "book.txt").write_text("It rains. Who is it?\n", "utf-8")
    bundle, space = map(str, trained)
    given = ["--bundle", bundle, "--space", space, "--out", str(tmp_path / "book.wav"), "--by", "length"]
    assert main(["read", str(tmp_path / "book.txt"), *given]) == 0
    assert "2 sentences" in capsys.readouterr().out
    about = json.loads((tmp_path / "book.json").read_text())
    assert about["settings"]["speaker"] == "reader" and about["settings"]["by"] == "length"
    assert soundfile.info(tmp_path / "book.wav").duration == pytest.approx(about["seconds"], abs=1e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"document": "none.txt"}, "no such file"),
        ({"document": "empty.txt"}, "nothing to read"),
        ({"document": "stars.md"}, "nothing to read"),
        ({"document": "bytes.txt"}, "not UTF-8"),
        ({"document": "."}, "is a folder"),
        ({"--out": "book.m4a"}, "does not end in .wav"),
        ({"--out": "."}, "does not end in .wav"),
        ({"--out": "folder.wav"}, "is a folder"),
        ({"--out": "nowhere/book.wav"}, "no such folder"),
        ({"--space": "nowhere"}, "no such prosody space"),
        ({"--bundle": "nowhere"}, "no such bundle"),
        ({"--space": "other_space"}, "another bundle"),
        ({"--bundle": "other_kind"}, "kind 'copycat'"),
        ({"--by": "astrology"}, "unknown way of choosing"),
        ({"--by": "syntactic"}, "pip install parser-x"),
        ({"--by": "both"}, "pip install encoder-y"),
        ({"--by": "bert"}, "pip install encoder-y"),
        ({"--ties": "lot"}, "unknown rule for ties 'lot'"),
        ({"--lsw": "1.5"}, "1.5 is not a weight"),
        ({"--rate": "0"}, "a rate of 0"),
        ({"--rate": "-1"}, "a rate of -1"),
        ({"--rate": "1e9"}, "a rate of 1e+09"),
        ({"--rate": "nan"}, "a rate of nan"),
        ({"--rate": "fast"}, "invalid float"),
        ({"--speaker": "nobody"}, "unknown speaker"),
        ({"--vocoder": "wavenet"}, "no vocoder"),
    ],
)
def test_what_is_wrong_is_one_line(trained, tmp_path, capsys, monkeypatch, changed, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("It rains.", "utf-8")
    (tmp_path / "empty.txt").write_text("\N{GRINNING FACE}\n", "utf-8")
    (tmp_path / "long.txt").write_text("word " * 5000 + ".", "utf-8")
    (tmp_path / "stars.md").write_text("*** --- !!!\n", "utf-8")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xff")
    (tmp_path / "folder.wav").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr("prosody_vae.linguistics.syntax.open_parser", absent("parser-x"))
    monkeypatch.setattr("prosody_vae.linguistics.bert.find_encoder", absent("encoder-y"))
    for name in ("other_space", "other_kind"):
        if name in changed.values():
            (tmp_path / name).symlink_to(trained[0].parent / name)
            before.add(name)
    given = {"document": "book.txt", "--out": "book.wav", "--by": "centroid"}
    given |= dict(zip(("--bundle", "--space"), map(str, trained), strict=True)) | changed
    document = given.pop("document")
    assert main(["read", document, *(f"{name}={value}" for name, value in given.items())]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_reading_of_mixed_scripts_says_what_it_leaves_out(trained, tmp_path, capsys):
    (tmp_path / "book.txt").write_text("It rains, \u043c\u0438\u0440 \N{GRINNING FACE}.\n", "utf-8")
    given = ["--bundle", str(trained[0]), "--space", str(trained[1]), "--out", str(tmp_path / "book.wav")]
    assert main(["read", str(tmp_path / "book.txt"), "--by", "centroid", *given]) == 0
    assert "\u043c\u0438\u0440" in capsys.readouterr().err
    assert rows_of(tmp_path / "book.json")[0]["text"].startswith("It rains")


def absent(what: str):
    def refuse(*_, **__):
        raise UserError(f"no {what} is installed", remedy=f"Run: pip install {what}.")

    return refuse


def test_a_space_of_another_bundle_is_refused():
    bundle = tiny_bundle()
    other = tiny_space(bundle._replace(fingerprint="0" * 64))
    with pytest.raises(UserError, match="another bundle"):
        ReadAloud(bundle, other, "centroid")


def test_the_space_decides_who_speaks():
    assert aloud.home_speaker(tiny_space(tiny_bundle()), {"guest": 1, "reader": 2}) == "reader"
    assert aloud.home_speaker(tiny_space(tiny_bundle()), {"guest": 1}) is None


@pytest.mark.parametrize(("asked", "rule"), [(None, "vector"), ("draw", "draw"), ("mean", "mean")])
def test_ties_are_broken_by_vector_unless_another_rule_is_asked_for(asked, rule):
    class Encoder:
        label, fingerprint = ENCODER, ENCODER_FINGERPRINT

        def encode(self, sentences, batch_size=64, progress=False):
            return np.ones((len(sentences), 8), np.float32)

    bundle = tiny_bundle()
    voice = StubVoice()
    voice.bundle, voice.speakers = bundle, bundle.speakers
    trees = dict(zip(TEXTS, TREES, strict=True))
    selector = Selector(tiny_space(bundle), Encoder(), PARSER, trees=trees)
    reading = ReadAloud(voice=voice, selector=selector, ties=asked)
    assert reading.settings["ties"] == reading.settings["space"]["used"]["ties"] == rule
    assert reading.say(TEXTS[0]).sentences[0]["entries"][0]["text"] == TEXTS[0]
