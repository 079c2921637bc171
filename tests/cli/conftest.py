"""What the tests of several verbs share."""

import pytest


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder to work in; nothing may be in it after a mistake but what was there before."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
