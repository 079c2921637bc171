"""Only one process at a time may fill numba's cache: librosa's first import waits for another's."""

import pytest

from copycat_jax.numba_cache import filling_numba_cache, import_librosa

fcntl = pytest.importorskip("fcntl")


def test_a_second_one_cannot_enter(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with filling_numba_cache():
        (lock,) = tmp_path.iterdir()
        with lock.open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again


def test_librosa_is_there():
    assert import_librosa().filters.mel(sr=22050, n_fft=512, n_mels=8).shape == (8, 257)
