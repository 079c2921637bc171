import pytest

from copycat_jax.errors import UserError
from copycat_jax.manifest import HEADER, TransferLine, read_manifest


def test_lines_are_read_and_wrong_ones_say_so(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join([HEADER, "a.wav|Hi.|x|one.wav", "", "a.wav|only three|x", "b.wav|Ho.|y|one.wav"]))
    first, second, third = read_manifest(path)
    assert first == TransferLine(f"{path}:2", tmp_path / "a.wav", "Hi.", "x", tmp_path / "one.wav")
    assert isinstance(second, UserError) and "list.txt:4" in str(second) and "not a line" in str(second)
    assert isinstance(third, UserError) and "list.txt:5" in str(third) and "same file" in str(third)


def test_files_without_lines_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text(f"{HEADER}\n\n")
    with pytest.raises(UserError, match="holds no lines"):
        read_manifest(tmp_path / "empty.txt")
