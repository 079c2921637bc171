import json
import re

import pytest
from little_prosody import example

from copycat_jax.align.textgrid import read_textgrid
from copycat_jax.errors import UserError
from copycat_jax.prosody.timestamps import CAPTION_CHARACTERS, captions, check_timestamps, write_timestamps
from copycat_jax.prosody.values import SentenceTimes, times_of
from copycat_jax.types import Interval


def written(tmp_path, name, times=None, seconds=2.0) -> str:
    write_timestamps(tmp_path / name, times_of(example()) if times is None else times, seconds)
    return (tmp_path / name).read_text()


def test_a_textgrid_holds_every_word_and_phone_and_tiles_the_recording(tmp_path):
    written(tmp_path, "t.TextGrid")
    read, times = read_textgrid(tmp_path / "t.TextGrid"), times_of(example())
    assert [w.label for w in read.words] == ["hi", "you", "no"]
    for mine, theirs in zip([w for s in times for w in s.words], read.words, strict=True):
        assert theirs[:2] == pytest.approx(mine[:2], abs=1e-5)
    assert [p.label for p in read.phones] == ["SIL", "HH", "AY1", "SIL", "Y", "UW1", "SIL", "N", "OW1", "SIL"]
    assert read.phones[0].start_s == 0.0 and read.phones[-1].end_s == 2.0


def test_json_holds_the_same(tmp_path):
    fields = json.loads(written(tmp_path, "t.json"))
    assert [w["word"] for s in fields["sentences"] for w in s["words"]] == ["hi", "you", "no"]
    assert fields["sentences"][1]["phones"][1]["phone"] == "N" and fields["seconds"] == 2.0


def test_srt_and_vtt_show_lines_that_begin_and_end_with_their_words(tmp_path):
    assert re.findall(r"(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n(.*)\n", written(tmp_path, "t.srt")) == [
        ("00:00:00,058", "00:00:00,580", "hi you"),
        ("00:00:01,031", "00:00:01,264", "no"),
    ]
    vtt = written(tmp_path, "t.vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.058 --> 00:00:00.580\nhi <00:00:00.395>you\n")


def test_captions_are_short_and_lose_no_word():
    words = tuple(Interval(i * 0.2, i * 0.2 + 0.2, f"word{i}") for i in range(40))
    lines = captions([SentenceTimes("", words, ())])
    assert [w for line in lines for w in line.words] == list(words)
    assert all(len(" ".join(w.label for w in line.words)) <= CAPTION_CHARACTERS for line in lines)
    assert len(lines) < 10


def test_markup_in_words_is_escaped(tmp_path):
    times = [SentenceTimes("", (Interval(0, 1, "a<b"), Interval(1, 2, "&")), ())]
    assert "a&lt;b <00:00:01.000>&amp;" in written(tmp_path, "t.vtt", times)


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"does not end in \.srt, \.vtt, \.TextGrid or \.json"):
        check_timestamps(tmp_path / "t.txt")
    with pytest.raises(UserError, match="written already"):
        check_timestamps(tmp_path / "t.json", others=(None, tmp_path / "t.json"))
    assert check_timestamps(tmp_path / "t.textgrid").name == "t.textgrid"
