"""A file is there whole, or as it was before; a place that cannot be written is told before any work."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from copycat_jax.audio.signal import write_wav
from copycat_jax.errors import UserError
from copycat_jax.files import (
    NoRoom,
    check_file,
    check_folder,
    check_local,
    locked_file,
    plain,
    private_temporary_folder,
    refusals_of,
    replacing_file,
    replacing_folder,
    user_cache_folder,
    write_json,
    write_text,
)


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


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_a_link_is_written_through_and_stays(tmp_path, there, folder):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("other")
    (tmp_path / "other").symlink_to("far/a.txt")
    target = tmp_path / "far" / "a.txt"
    if there:
        target.mkdir() if folder else target.write_text("old")
    else:
        check_file(tmp_path / "near", "")
    with (replacing_folder if folder else replacing_file)(tmp_path / "near") as temporary:
        (temporary / "b" if folder else temporary).write_text("new")
    assert (target / "b" if folder else target).read_text() == "new"
    assert (tmp_path / "near").is_symlink() and (tmp_path / "other").is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["far", "near", "other", "a.txt"] + ["b"] * folder
    )


@pytest.mark.parametrize("to", ["absent/a.txt", "link.txt"])
def test_a_link_that_leads_nowhere_is_refused_and_stays(tmp_path, to):
    link = tmp_path / "link.txt"
    link.symlink_to(to)
    for refused in (lambda: check_file(link, ".txt"), lambda: write_text(link, "new")):
        with pytest.raises(UserError, match=r"link\.txt|absent"):
            refused()
    assert os.readlink(link) == to and list(tmp_path.iterdir()) == [link]


@pytest.mark.parametrize("write", [replacing_file, replacing_folder])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO])
def test_what_a_disk_refuses_is_said_and_leaves_what_was_there(write, code, tmp_path):
    path = tmp_path / "a"
    path.mkdir() if write is replacing_folder else path.write_text("old")
    with pytest.raises(UserError, match=re.escape(os.strerror(code))) as refusal, write(path):
        raise OSError(code, os.strerror(code))
    assert str(path) in str(refusal.value)
    assert isinstance(refusal.value, NoRoom) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (path.is_dir() or path.read_text() == "old")


@pytest.mark.parametrize("write", [write_text, lambda path, text: write_wav(path, np.zeros(20_000), 16000)])
def test_a_limit_on_the_size_of_files_leaves_nothing(write, tmp_path):
    resource = pytest.importorskip("resource")
    before, heeded = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(UserError, match=r"a\.x: cannot be written \(File too large\)"):
            write(tmp_path / "a.x", "x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heeded)
    assert list(tmp_path.iterdir()) == []


def test_the_reason_is_the_file_systems_where_a_library_has_none(tmp_path):
    with pytest.raises(UserError, match="No such file"), refusals_of(tmp_path / "no" / "a", KeyError):
        raise KeyError("System error.")


def test_a_name_that_is_no_text_can_be_written(tmp_path):
    write_json(tmp_path / "a.json", {"path": "\udcff.wav"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"path": "\udcff.wav"}


def test_a_lock_is_one_process_s_and_ends_with_it(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    code = "import sys; from copycat_jax.files import locked_file\nwith locked_file(sys.argv[1]): print(1); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-uc", code, str(path)], **pipes) as other:
        other.stdout.readline()
        with pytest.raises(BlockingIOError), locked_file(path, wait=False):
            pass
        other.kill()
    with locked_file(path, wait=False):
        pass


def test_a_private_folder_is_not_taken_from_another(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = private_temporary_folder()
    assert folder == private_temporary_folder() and folder.parent == tmp_path
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        private_temporary_folder()


def test_a_user_without_a_home_has_a_cache_folder(tmp_path, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", homeless)
    assert user_cache_folder().parent == tmp_path


def test_what_cannot_be_written_is_a_users_error_and_leaves_nothing(tmp_path):
    for write, value in ((write_text, "x"), (write_json, {"x": 1})):
        with pytest.raises(UserError, match=r"no/a\.txt: cannot be written \(No such file"):
            write(tmp_path / "no" / "a.txt", value)
    with pytest.raises(UserError, match="odd"), refusals_of("there", KeyError):
        raise KeyError("odd")
    with pytest.raises(ZeroDivisionError), refusals_of("there", KeyError):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_to_be_written_is_checked_and_not_made(tmp_path):
    (tmp_path / "in.wav").write_bytes(b"x")
    (tmp_path / "folder.wav").mkdir()
    assert check_file(tmp_path / "out.WAV", ".wav") == tmp_path / "out.WAV"
    for path, complaint in (
        (tmp_path / "a.b.mp3", r"Name it a\.b\.wav"),
        (Path("."), "Name it result.wav"),
        (Path(".."), "Name it result.wav"),
        (tmp_path / "folder.wav", "is a folder"),
        (tmp_path / "in.wav", "would replace what it is made from"),
        (tmp_path / "no" / "out.wav", "there is no such folder"),
        (tmp_path / "in.wav" / "out.wav", "is not a folder"),
    ):
        with pytest.raises(UserError, match=complaint):
            check_file(path, ".wav", (tmp_path / "in.wav", tmp_path / "absent.wav"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.wav", "in.wav"]


def test_a_folder_may_be_absent_only_where_it_could_be_made(tmp_path):
    deep = tmp_path / "a" / "b"
    assert check_folder(tmp_path) == tmp_path and check_folder(deep, make=True) == deep
    with pytest.raises(UserError, match="there is no such folder"):
        check_folder(deep)
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        check_folder(deep, make=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("address", ["gs://bucket/data", "s3://bucket/a.wav", "GS:/b", Path("hdfs://name/b")])
def test_an_object_store_is_no_folder_of_that_name(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    for check in (check_local, lambda path: check_folder(path, make=True), lambda path: check_file(path, ".wav")):
        with pytest.raises(UserError, match="not in a file system of this machine"):
            check(address)
    for path in ("C:/data", "a:b", "./gs://x", str(tmp_path)):
        assert check_local(path) == Path(path)
    assert not list(tmp_path.iterdir())


def test_plain_values_are_what_json_gives_back(tmp_path):
    value = {1: (np.float32(0.5), np.inf), "ö": np.array([[1, 2]]), "n": [float("nan"), None, True], "p": Path("x")}
    assert plain(value) == {"1": [0.5, None], "ö": [[1, 2]], "n": [None, None, True], "p": "x"}
    write_json(tmp_path / "a.json", plain(value))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == plain(value) == plain(plain(value))
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", [float("nan")])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("letter", ["a", "ß", "声", "🎵"])
def test_a_name_as_long_as_can_be_is_written(tmp_path, letter):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    write_text(path, "whole")
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]
