"""A file is there whole, or as it was before."""

import pytest

from copycat_jax.files import replacing_file


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "a.txt"
    for content in ("first", "second"):
        with replacing_file(path) as temporary:
            temporary.write_text(content)
        assert path.read_text() == content
    with pytest.raises(ZeroDivisionError), replacing_file(path) as temporary:
        temporary.write_text("third, cut sho")
        _ = 1 / 0
    assert path.read_text() == "second" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_not_there_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError), replacing_file(tmp_path / "no" / "a.txt") as temporary:
        temporary.write_text("x")
