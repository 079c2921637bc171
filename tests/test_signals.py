"""Ctrl-C and SIGTERM end a program with the exit code that shells expect, wherever it is."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from copycat_jax import signals
from copycat_jax.console import run_command
from copycat_jax.errors import UserError
from copycat_jax.signals import ENDING, Stopped, heeding, noting, withheld


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_an_exit_code_and_one_line(number, capsys):
    before = [signal.getsignal(n) for n in ENDING]
    assert run_command("copycat", lambda: signal.raise_signal(number)) == 128 + number
    assert capsys.readouterr().err == "copycat: interrupted\n"
    assert [signal.getsignal(n) for n in ENDING] == before


def test_what_a_library_makes_of_a_signal_is_still_a_signal():
    def turned():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise UserError("a worker process died") from None

    assert run_command("copycat", turned) == 130
    with pytest.raises(UserError), heeding():
        raise UserError("no signal")


def test_a_signal_that_a_callback_swallows_comes_again():
    def callback(phase, _):
        if phase == "start":
            gc.callbacks.remove(callback)
            signal.raise_signal(signal.SIGTERM)

    def collect():
        gc.callbacks.append(callback)
        gc.collect()
        for _ in range(1000):
            time.sleep(0.01)
        return 0

    assert run_command("copycat", collect) == 143


def test_the_first_is_noted_and_the_second_ends(capfd, monkeypatch):
    with noting("now") as noted:  # a terminal and a launcher say the same thing at once
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert noted == [signal.SIGTERM]
    monkeypatch.setattr(signals, "SAME_S", 0.0)
    with pytest.raises(Stopped), noting("soon") as noted:
        signal.raise_signal(signal.SIGTERM)
        assert noted == [signal.SIGTERM]
        signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "now\nsoon\n"


def test_what_is_started_while_withheld_does_not_hear_of_it():
    code = "import signal; signal.raise_signal(signal.SIGINT); print('deaf')"
    with withheld():
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "deaf\n"
    with pytest.raises(Stopped), heeding():
        with withheld():
            signal.raise_signal(signal.SIGINT)
            inside = True
        raise AssertionError(f"came too late, inside {inside}")


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_before_anything_is_imported_is_one_line(ignored):
    code = f"""
import signal, sys
from prosody_vae.entry import begin, prosody
assert not {{name for name in sys.modules if name.startswith(("copycat_jax.c", "prosody_vae.cli", "numpy"))}}
if {ignored}:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
begin("prosody")
signal.raise_signal(signal.SIGINT)
sys.argv[1:] = ["--version"]
sys.exit(prosody())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == ((0, "") if ignored else (130, "prosody: interrupted\n"))


def program(tmp_path, body, **options):
    """A program of one verb in a process of its own."""
    (tmp_path / "verbs").mkdir()
    body = textwrap.indent(textwrap.dedent(body), "    ")
    (tmp_path / "verbs" / "go.py").write_text(f"def add_arguments(p): ...\ndef run(arguments):\n{body}")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['go']\n"
        "from copycat_jax.command_line import Program, run_program\n"
        "sys.exit(run_program(Program('copycat', '1', '', {'go': ''}, 'verbs')))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, **options)


def test_an_interrupted_program_waits_for_no_thread_and_runs_no_end_of_the_interpreter(tmp_path):
    done = program(
        tmp_path,
        """
        import atexit, signal, threading
        atexit.register(print, "taken down")
        threading.Thread(target=threading.Event().wait).start()
        print("said before", end="")
        signal.raise_signal(signal.SIGINT)
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "said before", "copycat: interrupted\n")


@pytest.mark.parametrize("number", ENDING)
def test_an_import_is_not_torn_apart(tmp_path, number):
    """A library that imports in its own code may crash where that raises."""
    (tmp_path / "library.py").write_text(f"import signal\nsignal.raise_signal({number:d})\nprint('whole', flush=True)")
    done = program(tmp_path, "import library, time\nfor _ in range(1000): time.sleep(0.01)\n")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "whole\n", "copycat: interrupted\n")


@pytest.mark.parametrize("after", ["return 0", "raise OSError(28, 'full')"])
def test_what_ends_right_after_an_import_ends_interrupted(tmp_path, after):
    (tmp_path / "library.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    done = program(tmp_path, f"import library\n{after}\n")
    assert (done.returncode, done.stderr) == (130, "copycat: interrupted\n")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_standard_streams_that_are_closed_are_open_to_nowhere(tmp_path, closed):
    """Their numbers are no other file's, into which the next print of a library would go."""
    done = program(
        tmp_path,
        """
        import os, sys
        file = open("mine", "w")
        os.write(1, b"heard"), os.write(2, b"heard")
        print("said"), print("warned", file=sys.stderr)
        return 5 if file.fileno() > 2 and os.path.getsize("mine") == 0 else 6
        """,
        preexec_fn=lambda: [os.close(number) for number in closed],
        cwd=tmp_path,
    )
    assert done.returncode == 5
    assert (done.stdout == "") == (1 in closed) and (done.stderr == "") == (2 in closed)


@pytest.mark.parametrize("name", ["Zoë", "声", "\udcff"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_cannot_show_is_escaped(name, encoding, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = program(tmp_path, f"print({name!a} + '.wav')", env=environment | {"PYTHONUTF8": "0"}, encoding=encoding)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == name.encode(encoding, "backslashreplace").decode(encoding) + ".wav\n"


@pytest.mark.parametrize("number", signals.STOPPING)
def test_whatever_asks_to_stop_is_noted(number):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup one is ignored, and stays so
    try:
        with noting("stopping") as noted:
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert noted == [number]
