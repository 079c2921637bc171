"""`prosody read` and `prosody say` as a person types them, with a tiny voice and space."""

import io
import json
import sys

import pytest
import soundfile
from tiny_voice import TEXTS, TREES, tiny_bundle, tiny_space, write_tiny_voice

from copycat_jax.prosody.file import read_prosody
from prosody_vae.cli import main
from prosody_vae.space.files import write_space
from prosody_vae.tts.voice import open_voice

BOOK = """# One

It rains.[1] The ship left the harbour at dawn.

| a | b |
|---|---|

Who wrote the letter on the table?
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    space = tiny_space(tiny_bundle())
    write_space(folder / "space", space)
    trees = dict(zip(TEXTS, TREES, strict=True)) | {"One": "(S One)"}
    (folder / "trees.json").write_text(json.dumps(trees))
    bundle = write_tiny_voice(folder / "voice")
    options = ["--bundle", str(bundle), "--space", str(folder / "space")]
    return options, space.ids, ["--trees", str(folder / "trees.json"), "--ties", "first"], open_voice(bundle)


@pytest.fixture
def work(given, tmp_path, monkeypatch):
    """An empty place but for a book; the voice is opened, and so compiled, once."""
    monkeypatch.setattr("prosody_vae.tts.voice.open_voice", lambda *_: given[3])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.md").write_text(BOOK)
    return tmp_path


def rows(path):
    return [row for chapter in json.loads(path.read_text())["chapters"] for row in chapter["sentences"]]


def type_in(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii"))


def test_a_dry_run_lists_everything_and_writes_nothing(given, work, capsys):
    assert main(["read", "book.md", "--dry-run", *given[0], *given[2]]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert (
        shown[0] == "== One" and "     2  It rains." in shown and "     4  Who wrote the letter on the table?" in shown
    )
    assert "1 chapter, 4 sentences to speak" in shown
    assert [line for line in shown if line.startswith("not read")] == [
        "not read: footnote mark: [1]", "not read: table: | a | b | |---|---|",
    ]  # fmt: skip
    assert [path.name for path in work.iterdir()] == ["book.md"]


def test_a_dry_run_refuses_what_the_run_would(given, work, capsys):
    (work / "other.md").write_text("# One\n\nThere is no tree for this.")
    for options in ([], ["--dry-run"]):
        assert main(["read", "other.md", "--out", "other.wav", *options, *given[0], *given[2]]) == 2
        assert "no tree for 'There is no tree" in capsys.readouterr().err
    assert main(["read", "other.md", *given[0]]) == 2 and "no --out" in capsys.readouterr().err
    assert sorted(path.name for path in work.iterdir()) == ["book.md", "other.md"]


@pytest.mark.parametrize("ending", ["mp3", "opus", "flac"])
def test_standard_input_is_read_into_the_format_of_the_ending(given, work, monkeypatch, capsys, ending):
    type_in(monkeypatch, "It rains. Who wrote the letter on the table?")
    assert main(["read", "-", "--out", f"out.{ending}", "--by", "centroid", "--speed", "4", *given[0]]) == 0
    assert [row["text"] for row in rows(work / "out.json")] == [TEXTS[4], TEXTS[1]]
    seconds = json.loads((work / "out.json").read_text())["seconds"]
    assert soundfile.info(work / f"out.{ending}").duration == pytest.approx(seconds, abs=0.05)
    assert sorted(path.name for path in work.iterdir()) == sorted(["book.md", f"out.{ending}", "out.json"])


def test_sentences_are_locked_and_entries_excluded(given, work, capsys):
    options, ids, trees, _ = given
    command = ["read", "book.md", "--out", "a.wav", "--speed", "4", *options, *trees]
    assert main([*command, "--lock", f"2={ids[0]},4={ids[5]}", "--exclude", f"{ids[3]},{ids[4]}"]) == 0
    first = {
        row["sentence"]: (row["locked"], row["entries"][0]["id"]) for row in rows(work / "a.json") if row["entries"]
    }
    assert first[2] == (True, ids[0]) and first[4] == (True, ids[5]) and not first[3][0] and first[3][1] not in ids[3:5]
    assert [part["kind"] for part in json.loads((work / "a.json").read_text())["unread"]] == ["footnote mark", "table"]
    assert main([*command, "--lock", ids[2]]) == 0
    assert {row["entries"][0]["id"] for row in rows(work / "a.json")} == {ids[2]}
    for lock, says in ((f"9={ids[0]}", "no sentence 9"), ("2=nobody", "no utterance"), ("a,b", "Write N=ID")):
        assert main([*command, "--lock", lock]) == 2
        assert says in capsys.readouterr().err


def test_lexicon_and_speed_change_the_sound(given, work, capsys):
    (work / "own.txt").write_text("rains R EY1 N Z AH0 L AO1 T AH0 N D M AO1 R\n")
    seconds, own = {}, ("--lexicon", "own.txt")
    for name, options in {"plain": ["--speed=2"], "own": ["--speed=2", *own], "fast": ["--speed=4"]}.items():
        assert main(["say", "It rains.", "--out", f"{name}.wav", "--by", "centroid", *options, *given[0]]) == 0
        seconds[name] = soundfile.info(work / f"{name}.wav").duration
    assert seconds["fast"] < seconds["plain"] < seconds["own"]
    assert main(["read", "book.md", "--out", "a.wav", "--by", "centroid", "--speed=4", *own, *given[0]]) == 0
    assert main(["say", "It rains.", "--out", "own.wav", "--lexicon", "absent", *given[0]]) == 2


def test_a_prosody_file_is_written_edited_and_spoken_to_the_bit(given, work, capsys):
    bundle = given[0]
    said = ["say", "It rains. She never said why.", "--by", "centroid", *bundle]
    assert main([*said, "--out", "a.wav", "--prosody-out", "a.json", "--timestamps", "a.vtt"]) == 0
    assert main(["say", "--prosody", "a.json", "--out", "b.wav", *bundle]) == 0
    assert (work / "a.wav").read_bytes() == (work / "b.wav").read_bytes()
    assert (work / "a.vtt").read_text().count(" --> ") == 2
    edits = ["--emphasis", "never", "--pitch", "1", "--speed", "2"]
    assert main([*said, *edits, "--out", "c.wav"]) == 0
    assert main(["say", "--prosody", "a.json", *edits, "--out", "d.wav", "--prosody-out", "d.json", *bundle]) == 0
    before, after = read_prosody("a.json"), read_prosody("d.json")
    assert after.sentences[0].phones[3].f0_hz == pytest.approx(before.sentences[0].phones[3].f0_hz * 2 ** (1 / 12))
    assert soundfile.info("d.wav").duration < 0.7 * soundfile.info("a.wav").duration
    mistakes = {
        ("It rains. She never told why.", "--prosody", "a.json"): "word 5 is 'said', in the text 'told'",
        ("--prosody", "book.md"): "book.md: is not JSON",
        ("--prosody", "a.json", "--emphasis", "always"): "no word 'always' is spoken",
        ("--prosody", "a.json", "--pitch", "40"): "--pitch: a pitch of 40",
        (): "no text",
        ("It rains.", "--timestamps", "b.txt"): "does not end in .srt",
    }
    for arguments, says in mistakes.items():
        assert main(["say", *arguments, "--out", "e.wav", "--by", "centroid", *bundle]) == 2
        assert says in capsys.readouterr().err
    assert not (work / "e.wav").exists()


def test_a_reading_says_when_its_words_are_spoken(given, work):
    reading = ["read", "book.md", "--out", "a.wav", "--by", "centroid", "--speed=4", *given[0]]
    assert main([*reading, "--timestamps", "t.json"]) == 0
    timed = json.loads((work / "t.json").read_text())
    spoken = [row for row in rows(work / "a.json") if "start_s" in row]
    assert [s["text"] for s in timed["sentences"]] == [row["text"] for row in spoken]
    for sentence, row in zip(timed["sentences"], spoken, strict=True):
        assert sentence["phones"][0]["start_s"] == pytest.approx(row["start_s"], abs=1e-3)
        assert sentence["phones"][-1]["end_s"] == pytest.approx(row["end_s"], abs=1e-3)
    assert timed["seconds"] == pytest.approx(soundfile.info("a.wav").duration, abs=1e-3)
    assert main([*reading, "--timestamps", "a.json"]) == 2


def test_say_chooses_or_speaks_like_a_recording(given, work, monkeypatch, capsys):
    options, ids, trees, _ = given
    assert main(["say", TEXTS[1], "--out", "a.wav", "--voice", "guest", *options, *trees]) == 0
    assert f'like {ids[1]} "{TEXTS[1]}"' in capsys.readouterr().out
    type_in(monkeypatch, "Two sentences. No trees!")
    assert main(["say", "-", "--out", "b.mp3", "--like", ids[3], *options]) == 0  # and no parser is asked for
    assert capsys.readouterr().out.count(f'like {ids[3]} "{TEXTS[3]}"') == 2
    assert sorted(path.name for path in work.iterdir()) == ["a.wav", "b.mp3", "book.md"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["It rains.", "--out", "a.wav", "--like", "nobody"], "no utterance 'nobody'"),
        (["It rains.", "--out", "a.m4a"], "does not end in .wav"),
        (["It rains.", "--out", "book.md"], "does not end in .wav"),
        (["It rains.", "--out", "a.wav", "--voice", "nobody"], "unknown speaker"),
        (["", "--out", "a.wav"], "empty"),
        (["{HH AH0 L OWW1}", "--out", "a.wav", "--by", "centroid"], "unknown phoneme 'OWW1'"),
        (["It rains."], "--out"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(given, work, capsys, arguments, says):
    assert main(["say", *arguments, *given[0], *given[2]]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert [path.name for path in work.iterdir()] == ["book.md"]


def test_trees_are_never_replaced_by_the_account(given, work, capsys):
    (work / "book.json").write_text(before := json.dumps({"It rains.": "(S It rains)"}))
    assert main(["read", "book.md", "--out", "book.wav", "--trees", "book.json", *given[0]]) == 2
    assert "book.json: would be replaced" in capsys.readouterr().err
    assert (work / "book.json").read_text() == before and len(list(work.iterdir())) == 2
