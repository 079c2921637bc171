"""Only one process at a time may fill numba's cache: librosa's first import waits for another's."""

import pytest

from copycat_jax import numba_cache
from copycat_jax.errors import UserError
from copycat_jax.numba_cache import filling_numba_cache, import_librosa

fcntl = pytest.importorskip("fcntl")


def test_a_second_one_cannot_enter(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with filling_numba_cache():
        (lock,) = tmp_path.glob("*/*.lock")
        with lock.open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again


def test_librosa_is_there():
    assert import_librosa().filters.mel(sr=22050, n_fft=512, n_mels=8).shape == (8, 257)


def test_where_nothing_can_be_locked_there_is_no_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with filling_numba_cache():
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_that_numba_would_take_there_is_another(tmp_path, monkeypatch):
    numba = pytest.importorskip("numba")
    places = []

    def refuse_once():
        places.append(numba.core.config.CACHE_DIR)
        if len(places) == 1:
            raise RuntimeError("cannot cache function: no locator available for file 'x.py'")
        return "librosa"

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", "")
    monkeypatch.setattr(numba_cache, "_import", refuse_once)
    assert import_librosa.__wrapped__() == "librosa"
    assert places[1].startswith(str(tmp_path))
    places.clear()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="NUMBA_CACHE_DIR"):
        import_librosa.__wrapped__()


def test_what_cannot_be_kept_is_used_all_the_same(monkeypatch):
    caching = pytest.importorskip("numba.core.caching")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.Cache, "save_overload", full)
    numba_cache._caching_is_optional()
    caching.Cache.save_overload(None, "signature", "compiled")
