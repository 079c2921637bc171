"""Texts of others are read in their encoding, or refused in one line; a guess is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copycat_jax.encodings import decode_text, read_text
from copycat_jax.errors import UserError

TEXT = "“Zoë said “don’t”: the café’s naïve façade cost £5 — señor.”\n"


@pytest.mark.parametrize(
    ("encoding", "guess"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-32", ""),
        ("cp1252", "Windows-1252"),
        ("mac_roman", "Mac OS Roman"),
        ("latin-1", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_is_read_in_its_encoding_and_a_guess_is_told(tmp_path, capsys, encoding, guess, end):
    text = TEXT.translate(str.maketrans("“”’—", '""\'-')) if encoding == "latin-1" else TEXT
    (tmp_path / "a.txt").write_bytes(text.replace("\n", end).encode(encoding))
    (tmp_path / "b.txt").write_bytes(text.encode(encoding))
    assert read_text(tmp_path / "a.txt") == read_text(tmp_path / "b.txt") == text
    told = capsys.readouterr().err
    assert told.count("a.txt is not UTF-8") == told.count(guess or "none") == bool(guess)
    assert "b.txt" not in told


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_known_by_its_zeros(order):
    assert decode_text("Plain words.".encode(order), "a.txt") == "Plain words."


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff",
        b"abc\x81\x02",
        "Это не английский".encode("cp1251"),
        "東京は日本".encode("shift_jis"),
        bytes(range(256)),
    ],
)
def test_what_is_no_western_text_is_refused_with_its_place(data):
    with pytest.raises(UserError, match=r"a\.txt: the lexicon (is not UTF-8 text \(byte \d+\)|holds zeros).* UTF-8"):
        decode_text(data, "a.txt", "lexicon")


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(data):
    try:
        assert "\0" not in decode_text(data, "a.txt")
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["absent.txt", ".", "a.txt/b.txt", "a" * 300, "a\0b"])
def test_what_is_no_text_file_is_told_in_one_line(tmp_path, name):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match="the file cannot be read"):
        read_text(tmp_path / name)
