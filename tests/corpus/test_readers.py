"""Readers list the utterances of the published layouts; here clips are put into each layout."""

import numpy as np
import pytest
import soundfile

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
    write(tmp_path / "metadata.csv", '\ufeffid|speaker|text\nb|ann|He said "no" | twice.\n\na|ben|\n')
    for name in ("a", "b"):
        write(tmp_path / place.format(name))
    write(tmp_path / "alignments" / "b.TextGrid", "")
    raws = read_corpus("plain", tmp_path)
    assert rows(raws) == [("a", "ben", None), ("b", "ann", 'He said "no" | twice.')]
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
    write(tmp_path / "metadata.csv", "id|speaker|text\na|x|one\na|x|two\n")
    with pytest.raises(UserError, match="'a' occurs more than once"):
        read_corpus("plain", tmp_path)


def test_real_corpora_are_read(corpora):
    kathleen = read_corpus("plain", corpora / "kathleen")
    assert len(kathleen) == 1620 and {raw.speaker for raw in kathleen} == {"kathleen"}
    assert all(raw.text and raw.path.is_file() for raw in kathleen)
    voices = read_corpus("plain", corpora / "librispeech_mini" / "speakers")
    assert len({raw.speaker for raw in voices}) == len(voices) == 251
