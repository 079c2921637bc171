"""What is compiled is kept in the user's cache where that can be, and nowhere else."""

import os

from copycat_jax.command_line import keep_compiled

FOLDER = "JAX_COMPILATION_CACHE_DIR"


def test_what_is_compiled_is_kept_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    keep_compiled()
    assert os.environ[FOLDER] == str(tmp_path / "cache" / "copycat_jax" / "compiled")
    assert (tmp_path / "cache" / "copycat_jax" / "compiled").is_dir()
    os.environ[FOLDER] = "elsewhere"
    keep_compiled()
    assert os.environ[FOLDER] == "elsewhere"


def test_without_a_place_nothing_changes(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path / "file")})
    keep_compiled()
    assert FOLDER not in os.environ
