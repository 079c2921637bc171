import json

import pytest
from little_prosody import example

from copycat_jax.errors import UserError
from copycat_jax.prosody.file import (
    check_prosody_file,
    check_words,
    parse_prosody,
    prosody_text,
    read_prosody,
    write_prosody,
)


def test_what_is_read_back_is_spoken_alike(tmp_path):
    write_prosody(tmp_path / "p.json", example())
    again = read_prosody(tmp_path / "p.json")
    assert again[2:] == example()[2:] and again.frame_s == pytest.approx(example().frame_s, rel=1e-11)
    for old, new in zip(example().sentences, again.sentences, strict=True):
        assert new._replace(phones=()) == old._replace(phones=())
        assert [p.symbol for p in new.phones] == [p.symbol for p in old.phones]
        for a, b in zip(old.phones, new.phones, strict=True):
            assert b[1:] == pytest.approx(a[1:], rel=6e-9)
    assert prosody_text(again) == prosody_text(example())


def spoilt(change) -> str:
    fields = json.loads(prosody_text(example()))
    change(fields)
    with pytest.raises(UserError) as caught:
        parse_prosody(fields, "p.json")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(*path):
    """A change of one value: the path to it, then the value."""

    def change(fields):
        *way, last, value = path
        for step in way:
            fields = fields[step]
        fields[last] = value

    return change


PHONE = ("sentences", 0, "phones", 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("format", "x"), "not a prosody file"),
        (put("version", 2), "version 2. This program reads version 1"),
        (put("sentences", []), "no sentence"),
        (put(*PHONE, "f0_hz", 9000), "sentence 1, phone 3: `f0_hz` is 9000. Give a number from 20 to 1500"),
        (put(*PHONE, "duration_s", True), "`duration_s` is True"),
        (put(*PHONE, "duration_s", "0.1"), "phone 3: `duration_s`"),
        (put(*PHONE, "phone", "AX1"), "phone 3: unknown phone 'AX1'"),
        (put(*PHONE, "lenght", 1), "unknown field 'lenght'"),
        (put("sentences", 0, "words", 0, "first", 2), "sentence 1: its words do not hold every phone"),
        (put("sentences", 0, "words", 0, "then", "comma"), "word 1: `then`"),
        (put("sentences", 1, "phones", 0, "phone", "N"), "sentence 2: its phones do not begin with SIL"),
        (put("sentences", 0, "embedding", ["a"]), "no number"),
        (put("frame_s", None), "`frame_s` is None"),
    ],
)
def test_what_is_no_prosody_is_refused_with_its_place(change, said):
    assert said in spoilt(change)


def test_no_file_of_another_kind_is_replaced(tmp_path):
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(UserError, match="is no prosody file"):
        check_prosody_file(tmp_path / "package.json")
    write_prosody(tmp_path / "p.json", example())
    assert check_prosody_file(tmp_path / "p.json") == tmp_path / "p.json"


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(UserError, match=r"p\.json: is not JSON"):
        read_prosody(tmp_path / "p.json")


def test_words_must_be_those_of_the_text():
    spoken = lambda text: text.lower().replace(",", "").replace(".", "").split()  # noqa: E731
    check_words(example(), spoken, None, "p.json")
    check_words(example(), spoken, "hi you no", "p.json")
    with pytest.raises(UserError, match=r"p\.json: does not fit the text: word 2 is 'you', in the text 'ye'"):
        check_words(example(), spoken, "hi ye no", "p.json")
    with pytest.raises(UserError, match="it holds 3 words, 'hi you' has 2"):
        check_words(example(), spoken, "hi you", "p.json")
