"""One form for ids and the files they name; no id names a file outside its folder."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copycat_jax.corpus.ids import as_id, fault_of_id, files_by_id, printable
from copycat_jax.errors import UserError

PART = st.one_of(st.sampled_from(["..", ".", "", "a", " ", "é", "e\u0301", "\\", "\0", "\udcff"]), st.text(max_size=4))
NAMES = st.lists(PART, min_size=1, max_size=5).map("/".join)


@given(NAMES)
def test_an_id_has_one_form_and_stays_in_its_folder(name):
    known = as_id(name)
    assert as_id(known) == known == as_id(f" {known} ")
    assert unicodedata.is_normalized("NFC", known)
    if not fault_of_id(known):
        below = os.path.normpath(Path("/out", f"{known}.TextGrid"))
        assert below.startswith("/out/") and known.encode()
    assert fault_of_id(known) or printable(known) == known
    assert printable(known).encode() or not known


def test_files_are_found_at_any_depth_in_any_case_and_the_first_suffix_wins(tmp_path):
    for name in ("a.WAV", "a.mp3", "s/b.flac", "s/b.wav", "s/.c.wav", "__MACOSX/a.wav", ".git/d.wav", "s/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_by_id(tmp_path, (".wav", ".flac", ".mp3"))
    assert found == {"a": tmp_path / "a.WAV", "s/b": tmp_path / "s" / "b.wav"}
    assert files_by_id(tmp_path / "absent", (".wav",)) == {}


@pytest.mark.parametrize("other", ["Zoë.WAV", "Zoe\u0308.wav", " Zoë.wav", "Zoë .wav"])
def test_two_files_of_one_id_are_told_apart_by_the_user(tmp_path, other):
    for name in ("Zoë.wav", other):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="are one id"):
        files_by_id(tmp_path, (".wav",))


@pytest.mark.parametrize("hidden", [".corpora", "__MACOSX"])
def test_the_folder_itself_may_be_called_anything(tmp_path, hidden):
    (tmp_path / hidden).mkdir()
    (tmp_path / hidden / "a.wav").touch()
    assert list(files_by_id(tmp_path / hidden, (".wav",))) == ["a"]
