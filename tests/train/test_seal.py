import pytest

from copycat_jax.train import seal


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("a", "d/b", "d/c"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    seal.write_seal(tmp_path)
    (tmp_path / "_CHECKPOINT_METADATA").write_text("written when it is committed")
    return tmp_path


def test_what_was_written_is_whole(folder):
    assert seal.is_sealed(folder) and seal.damage(folder) == ""


def test_every_kind_of_damage_is_named(folder):
    (folder / "d" / "b").write_bytes(b"short")
    assert seal.damage(folder) == "d/b has 5 bytes of 300"
    (folder / "d" / "b").unlink()
    assert seal.damage(folder) == "d/b is missing"
    data = bytearray(b"d/b" * 100)
    data[150] ^= 1
    (folder / "d" / "b").write_bytes(data)
    assert seal.damage(folder) == "d/b is not what was written"
    for torn in ("", "{", "[]", '{"a": 1}', "\x00"):
        (folder / seal.SEAL).write_text(torn)
        assert seal.damage(folder) == "checksums.json is damaged"
