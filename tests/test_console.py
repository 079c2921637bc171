"""One line and exit code 2 for what a user can mend; a traceback for what only we can."""

import errno

import pytest

from copycat_jax import console
from copycat_jax.console import run_command
from copycat_jax.errors import UserError, nearest


def _raise(error):
    raise error


def test_a_user_error_is_one_line_and_exit_code_two(capsys):
    assert run_command("copycat", lambda: _raise(UserError("no\nsuch voice", "--voice", "Say another."))) == 2
    assert capsys.readouterr().err == "copycat: --voice: no such voice. Say another.\n"


def test_a_full_disk_is_one_line_too(capsys):
    assert run_command("copycat", lambda: _raise(OSError(errno.ENOSPC, "No space left on device", "out.wav"))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_our_own_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command("copycat", lambda: 1 // 0)
    with pytest.raises(IsADirectoryError):
        run_command("copycat", lambda: _raise(IsADirectoryError(errno.EISDIR, "Is a directory", "x")))


@pytest.mark.parametrize("result, code", [(None, 0), (0, 0), (3, 3)])
def test_the_exit_code_is_the_command_s(result, code):
    assert run_command("copycat", lambda: result) == code


def test_without_a_terminal_progress_is_told_at_times(capsys, monkeypatch):
    assert list(console.progress(range(3), "reading", unit="page")) == [0, 1, 2]
    assert capsys.readouterr().err == ""  # nobody waited
    monkeypatch.setattr(console, "SILENCE_S", 0.0)
    monkeypatch.setattr(console.time, "monotonic", iter([0, 10, 20, 300]).__next__)
    assert list(console.progress(range(3), "reading", unit="page")) == [0, 1, 2]
    lines = ["reading: 1 pages done of 3, 40 s left", "reading: 2 pages done of 3, 2.5 min left"]
    assert capsys.readouterr().err.splitlines() == lines


@pytest.mark.parametrize("seconds, said", [(9.6, "10 s"), (600, "10 min"), (122_400, "34 h"), (2e6, "23.1 days")])
def test_durations_are_said_as_people_say_them(seconds, said):
    assert console.duration(seconds) == said


def test_the_nearest_name_is_offered_or_none():
    assert nearest("af_hart", ["af_heart", "am_onyx"]) == "Did you mean 'af_heart'?"
    assert nearest("zzz", ["af_heart"]) == ""
