"""Readers list the utterances of the published layouts; here clips are put into each layout."""

import os
import unicodedata

import numpy as np
import pytest
import soundfile

from copycat_jax.corpus.cache import Cache, FeatureOptions, Limits, process
from copycat_jax.corpus.readers import LAYOUTS, read_corpus
from copycat_jax.errors import UserError


def write(path, content: str | None = None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_text(content, encoding="utf-8")
    else:
        noise = 0.1 * np.random.default_rng(len(path.name)).standard_normal(1600).astype(np.float32)
        soundfile.write(path, noise, 16000)
    return path


def rows(raws):
    return [(raw.id, raw.speaker, raw.text) for raw in raws]


def test_ljspeech(tmp_path):
    write(
        tmp_path / "metadata.csv",
        'LJ001-0001|Born in 1817, he "left"|Born in eighteen seventeen, he "left"\nLJ001-0002|Two.|\n',
    )
    for name in ("LJ001-0001", "LJ001-0002"):
        write(tmp_path / "wavs" / f"{name}.wav")
    raws = read_corpus("ljspeech", tmp_path)
    assert rows(raws) == [("LJ001-0001", "LJ", 'Born in eighteen seventeen, he "left"'), ("LJ001-0002", "LJ", "Two.")]
    assert all(raw.path.is_file() for raw in raws)


@pytest.mark.parametrize(
    ("header", "line", "speaker"),
    [
        ("id|text|normalized_text", "{}|1.|One.", "LJ"),
        ("ID|Transcription|Normalized Transcription", "{}|1.|One.", "LJ"),
        ("file_name|speaker|text", "{}|ann|One.", "ann"),
        ("file_name|text", "wavs/{}.wav|One.", "LJ"),
    ],
)
def test_a_first_line_that_names_the_columns_of_ljspeech_is_no_utterance(tmp_path, header, line, speaker):
    write(tmp_path / "metadata.csv", f"{header}\n{line.format('LJ001-0001')}\n")
    write(tmp_path / "wavs" / "LJ001-0001.wav")
    assert rows(read_corpus("ljspeech", tmp_path)) == [("LJ001-0001", speaker, "One.")]


def test_a_recording_of_ljspeech_may_be_called_as_a_column(tmp_path):
    write(tmp_path / "metadata.csv", "audio|Two.|Two.\n")
    write(tmp_path / "wavs" / "audio.wav")
    assert rows(read_corpus("ljspeech", tmp_path)) == [("audio", "LJ", "Two.")]


@pytest.mark.parametrize("listed", [True, False])
def test_pipes_and_sockets_are_no_recordings_and_are_not_waited_for(tmp_path, listed):
    write(tmp_path / "b.wav")
    os.mkfifo(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "alignments").mkdir()
    os.mkfifo(tmp_path / "alignments" / "b.TextGrid")
    if listed:
        write(tmp_path / "metadata.csv", "id|speaker|text\na|ann|One.\nb|ann|Two.\n")
    *others, good = read_corpus("plain", tmp_path)
    assert (good.id, good.alignment_path, good.fault) == ("b", None, "") and len(others) == listed
    for raw in others:
        assert "a.wav" in raw.fault and "pipe" in raw.fault
        assert process(raw, FeatureOptions(), Limits(), Cache(tmp_path / "cache")).reason == raw.fault


@pytest.mark.parametrize("suffix", ["m4a", "aac", "aiff", "au", "sph", "WMA", "Oga", "amr", "voc"])
def test_what_some_decoder_may_read_is_a_recording(tmp_path, suffix):
    write(tmp_path / "ann" / "a.wav").rename(tmp_path / "ann" / f"a.{suffix}")
    write(tmp_path / "ann" / "a.txt", "One.")
    assert rows(read_corpus("plain", tmp_path)) == [("ann/a", "ann", "One.")]


@pytest.mark.parametrize("modern", [True, False])
def test_vctk(tmp_path, modern):
    for speaker in ("p225", "p376"):
        write(tmp_path / "txt" / speaker / f"{speaker}_001.txt", "Please call Stella.\n")
        if modern:
            for microphone in (1, 2):
                write(tmp_path / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic{microphone}.flac")
        else:
            write(tmp_path / "wav48" / speaker / f"{speaker}_001.wav")
    write(tmp_path / ("wav48_silence_trimmed/p225/p225_002_mic1.flac" if modern else "wav48/p225/p225_002.wav"))
    raws = read_corpus("vctk", tmp_path)
    text = "Please call Stella."
    assert rows(raws) == [("p225_001", "p225", text), ("p225_002", "p225", None), ("p376_001", "p376", text)]
    assert not modern or all(raw.path.name.endswith("_mic1.flac") for raw in raws)


def test_libritts(tmp_path):
    chapter = tmp_path / "train-clean-100" / "19" / "198"
    write(chapter / "19_198_000000_000000.wav")
    write(chapter / "19_198_000000_000000.normalized.txt", "It is said so.")
    write(chapter / "19_198_000000_000000.original.txt", "It's said so.")
    write(chapter / "19_198_000000_000001.wav")
    raws = read_corpus("libritts", tmp_path)
    assert rows(raws) == [("19_198_000000_000000", "19", "It is said so."), ("19_198_000000_000001", "19", None)]


def test_librispeech(tmp_path):
    chapter = tmp_path / "test-other" / "1688" / "142285"
    write(
        chapter / "1688-142285.trans.txt", "1688-142285-0000 THERE'S IRON THEY SAY\n1688-142285-0001 IN ALL OUR BLOOD\n"
    )
    write(chapter / "1688-142285-0000.flac")
    raws = read_corpus("librispeech", tmp_path)
    assert rows(raws)[0] == ("1688-142285-0000", "1688", "there's iron they say")
    assert raws[0].path.is_file() and not raws[1].path.exists()  # the builder lists the missing one


@pytest.mark.parametrize("place", ["audio/{}.flac", "wavs/{}.wav", "{}.wav", "audio/{}.wav"])
def test_plain(tmp_path, place):
    write(tmp_path / "metadata.csv", '\ufeffid|speaker|text\nb|ann|He said "no", twice.\n\na|ben|\n')
    for name in ("a", "b"):
        write(tmp_path / place.format(name))
    write(tmp_path / "alignments" / "b.TextGrid", "")
    raws = read_corpus("plain", tmp_path)
    assert rows(raws) == [("a", "ben", None), ("b", "ann", 'He said "no", twice.')]
    assert [raw.path for raw in raws] == [tmp_path / place.format(name) for name in ("a", "b")]
    assert [raw.alignment_path for raw in raws] == [None, tmp_path / "alignments" / "b.TextGrid"]


def test_plain_without_metadata_takes_speakers_from_names_or_folders(tmp_path):
    write(tmp_path / "103-1240-0000.wav")
    write(tmp_path / "ann" / "x.wav")
    write(tmp_path / "ann" / "x.flac")
    raws = read_corpus("plain", tmp_path)
    assert rows(raws) == [("103-1240-0000", "103", None), ("ann/x", "ann", None)]
    assert raws[1].path.suffix == ".wav"


def test_what_is_wrong_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'ljspeech'"):
        read_corpus("ljspech", tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        read_corpus("plain", tmp_path / "absent")
    for layout in LAYOUTS:
        with pytest.raises(UserError, match="right folder and layout"):
            read_corpus(layout, tmp_path)
    write(tmp_path / "metadata.csv", "name,text\na,b\n")
    with pytest.raises(UserError, match=r"Expected id\|speaker\|text"):
        read_corpus("plain", tmp_path)
    for twice in ("a", " a", "./a", "a.wav"):
        write(tmp_path / "metadata.csv", f"id|speaker|text\na|x|one\n{twice}|x|two\n")
        with pytest.raises(UserError, match="'a' occurs more than once"):
            read_corpus("plain", tmp_path)


@pytest.mark.parametrize("row", ["a|ann|One.|neutral", "a|ann"])
def test_a_row_unlike_the_header_is_one_bad_utterance(tmp_path, row):
    write(tmp_path / "metadata.csv", f"id|speaker|text\n{row}\nb|ben|Two.\n")
    first, second = read_corpus("plain", tmp_path)
    assert "metadata.csv:2" in first.fault and "the first line names 3" in first.fault and not second.fault
    assert process(first, FeatureOptions(), Limits(), Cache(tmp_path / "cache")).reason == first.fault


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "..", "/evil", "..\\evil", "e\x1bvil"])
def test_ids_cannot_leave_the_folder(tmp_path, name):
    write(tmp_path / "metadata.csv", f"id|speaker|text\n{name}|ann|One.\nb|ben|Two.\n")
    bad, good = sorted(read_corpus("plain", tmp_path), key=lambda raw: raw.id == "b")
    assert bad.fault and not good.fault and bad.id.isprintable()
    assert process(bad, FeatureOptions(audio_only=True), Limits(), Cache(tmp_path / "cache")).status == "bad"


def test_names_that_are_no_unicode_can_be_shown(tmp_path):
    write(tmp_path / "ann" / "a.wav")
    (tmp_path / "ann" / "a.wav").rename(tmp_path / "ann" / b"\xe9.wav".decode(errors="surrogateescape"))
    (raw,) = read_corpus("plain", tmp_path)
    assert raw.fault and f"{raw.id}{raw.path}".encode()


@pytest.mark.parametrize("name", ["a" * 247, "Zoë" * 70, "s1/" + "声" * 83])
def test_an_id_that_names_no_textgrid_is_one_bad_utterance(tmp_path, name):
    write(tmp_path / "metadata.csv", f"id|speaker|text\n{name}|ann|One.\nb|ben|Two.\n")
    faults = {raw.id: raw.fault for raw in read_corpus("plain", tmp_path)}
    assert "too long" in faults[unicodedata.normalize("NFC", name)] and faults["b"] == ""


def test_folders_are_found_through_links_and_walked_once(tmp_path):
    corpus, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    write(corpus / "ann" / "a.wav")
    write(elsewhere / "b.wav")
    write(tmp_path / "further" / "c.wav")
    (corpus / "ben").symlink_to(elsewhere)
    (corpus / "again").symlink_to(corpus / "ann")
    (corpus / "up").symlink_to("..")
    (corpus / "ann" / "round.wav").symlink_to("round.wav")
    (elsewhere / "round").symlink_to("../further")
    (tmp_path / "further" / "round").symlink_to("../elsewhere")
    ids = [raw.id for raw in read_corpus("plain", corpus)]
    assert ids == ["ann/a", "ann/round", "ben/b", "ben/round/c"]


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch, capsys):
    write(tmp_path / "ann" / "a.wav")
    write(tmp_path / "ben" / "b.wav")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("ben"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [raw.id for raw in read_corpus("plain", tmp_path)] == ["ann/a"]
    assert (
        capsys.readouterr().err
        == f"warning: {tmp_path / 'ben'}: cannot be read (Permission denied); what is in it is left out\n"
    )


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("spelled", ["{}", " {} ", "{}.wav", "wavs/{}.WAV", "./{}", "\u200b{}\ufeff "])
def test_an_id_finds_its_files_however_both_are_written(tmp_path, spelled, listed, stored):
    listed, stored = (unicodedata.normalize(form, "Zoë/take.1") for form in (listed, stored))
    path = write(tmp_path / "wavs" / f"{stored}.wav")
    grid = write(tmp_path / "alignments" / f"{stored}.textgrid", "")
    write(tmp_path / "metadata.csv", f"id|speaker|text\n{spelled.format(listed)}|zoe|One.\n")
    (raw,) = read_corpus("plain", tmp_path)
    assert raw.id == unicodedata.normalize("NFC", listed) and (raw.path, raw.alignment_path) == (path, grid)


@pytest.mark.parametrize("layout", ["plain", "libritts", "librispeech", "vctk"])
def test_what_systems_leave_behind_is_no_utterance(tmp_path, layout):
    home = {"vctk": "wav48/19", "plain": "19"}.get(layout, "19/198")
    names = ("{}.wav", "{}.normalized.txt", "{}.trans.txt")
    for folder in (home, f"__MACOSX/{home}", f".cache/{home}"):
        for name in names:
            write(tmp_path / folder / name.format("19_198"), None if name.endswith(".wav") else "19_198 ONE")
    for name in names:
        write(tmp_path / home / f"._{name.format('19_198')}", "\0\5\26\7")
    write(tmp_path / "txt" / "19" / "19_198.txt", "One")
    write(tmp_path / "txt" / "19" / "._19_198.txt", "\0\5\26\7")
    (raw,) = read_corpus(layout, tmp_path)
    assert raw.path == tmp_path / home / "19_198.wav" and raw.text and not raw.fault


@pytest.mark.parametrize("suffix", [".lab", ".txt", ".normalized.txt"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_text_beside_the_recording_is_its_text(tmp_path, suffix, listed):
    write(tmp_path / "bob" / "1.wav")
    write(tmp_path / "bob" / "2.wav")
    write(tmp_path / f"bob/1{suffix}", "\ufeffOne.\n")
    (tmp_path / f"bob/2{suffix}").write_bytes("東京".encode("shift_jis"))
    if suffix == ".normalized.txt":
        write(tmp_path / "bob" / "1.txt", "1.")
    if listed:
        write(tmp_path / "metadata.csv", "id|speaker|text\nbob/1|bob|\nbob/2|bob|\n")
    first, second = read_corpus("plain", tmp_path)
    assert first[:3] == ("bob/1", "bob", "One.") and not first.fault
    assert f"2{suffix}" in second.fault and "UTF-8" in second.fault  # the others are built all the same


@pytest.mark.parametrize(
    ("name", "speaker", "grids", "taken"),
    [
        ("s2/001", "s2", ["s1/001"], None),
        ("s2/001", "s2", ["001"], None),
        ("s2/001", "s2", ["s1/001", "s2/001"], "s2/001"),
        ("001", "s2", ["s2/001"], "s2/001"),
        ("001", "s2", ["mfa/out/001"], "mfa/out/001"),
        ("001", "s2", ["s1/001", "s2/001"], "s2/001"),
        ("001", "s2", ["s1/001", "001"], "001"),
        ("001", "s2", ["__MACOSX/001", "._001"], None),
        ("001", "s3", ["s1/001", "s2/001"], "fault"),
    ],
)
def test_whose_alignment_it_is(tmp_path, name, speaker, grids, taken):
    write(tmp_path / "metadata.csv", f"id|speaker|text\n{name}|{speaker}|One.\n")
    paths = {grid: write(tmp_path / "alignments" / f"{grid}.TextGrid", "") for grid in grids}
    (raw,) = read_corpus("plain", tmp_path)
    if taken == "fault":
        assert "2 alignments" in raw.fault and raw.alignment_path is None
    else:
        assert raw.alignment_path == paths.get(taken) and not raw.fault


def test_real_corpora_are_read(corpora):
    kathleen = read_corpus("plain", corpora / "kathleen")
    assert len(kathleen) == 1620 and {raw.speaker for raw in kathleen} == {"kathleen"}
    assert all(raw.text and raw.path.is_file() for raw in kathleen)
    voices = read_corpus("plain", corpora / "librispeech_mini" / "speakers")
    assert len({raw.speaker for raw in voices}) == len(voices) == 251
