import json

import numpy as np
import pytest
import soundfile
from stub_reader import BOOK, RATE, SPOKEN, StubVoice, level, reader, rows_of
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
from prosody_vae.cli import main
from prosody_vae.linguistics.document import Chapter, Document, Paragraph
from prosody_vae.reading import aloud
from prosody_vae.reading.aloud import ReadAloud
from prosody_vae.reading.passages import CHAPTER_S, OTHER_S, PARAGRAPH_S, PAUSES_S, pause_after
from prosody_vae.selection.selector import Selector
from prosody_vae.space.files import write_space
from prosody_vae.tts.plan import EDGE_PAUSE_S


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


@pytest.mark.slow
def test_one_sentence_is_held_in_memory_at_a_time(tmp_path):
    many = Document("", (Chapter("", (Paragraph(tuple(f"Sentence {i}." for i in range(200))),)),))
    stub = reader()
    stub.read(many, tmp_path / "book.wav")
    assert len(stub.voice.said) == 200 and stub.voice.most_alive <= 2


def test_sentences_are_written_as_they_are_spoken(tmp_path):
    stub, sizes = reader(), []
    render = stub.voice.render

    def watched(*arguments, **options):
        sizes.append(sum(p.stat().st_size for p in (tmp_path / "book.parts").glob(".*.wav.*")))
        return render(*arguments, **options)

    stub.voice.render = watched
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
