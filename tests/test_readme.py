"""The README's commands for training are run as they stand there, one after the other, in one folder."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from copycat_jax.bundle.bundle import shipped

ROOT = Path(__file__).parents[1]
TEXT = "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe a snack for her brother Bob."


def blocks():
    """The commands under "Train it", by block, without what is said beside them."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Train it\n")[1].split("\n## ")[0]
    found = re.findall(r"^```\n(.*?)^```", section, re.M | re.S)
    return [[shlex.split(line, comments=True) for line in block.splitlines()] for block in found]


def test_training_names_its_sizes_and_overwrites_nothing():
    """No size is trained that is not named, and no command makes what another made."""
    commands = [command for block in blocks() for command in block]
    assert {command[0] for command in commands} == {"copycat", "prosody"}
    pages = [word for command in commands for word in command if word.startswith("configs/")]
    assert pages and all(re.fullmatch(r"configs/\w+\.py:\w+", page) for page in pages)
    made = [
        command[command.index(flag) + 1] for command in commands for flag in ("--out", "--run-dir") if flag in command
    ]
    assert len(made) == len(set(made))
    assert pages[0].endswith(":laptop")
    beside = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Train it\n")[1].split("\n## ")[0]
    slow = [
        line for line in beside.splitlines() if line.startswith(("copycat train", "copycat align", "copycat build"))
    ]
    assert all(re.search(r"#.*\d+ (s|min|h)\b", line) for line in slow)  # how long it takes


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(corpora, tmp_path, monkeypatch, capfd):
    """With tiny models and forty recordings by four speakers; a sentence encoder of random weights."""
    import soundfile
    from tiny_bert import write_folder

    from copycat_jax.cli import main as copycat
    from prosody_vae.cli import main as prosody

    monkeypatch.chdir(tmp_path)
    shutil.copytree(corpora / "vctk_mini", "my_corpus", copy_function=shutil.copyfile)
    samples, rate = soundfile.read("my_corpus/audio/p225_003.flac")
    soundfile.write("recording.wav", samples, rate)
    encoder = ["--encoder", str(write_folder(tmp_path / "bert"))]
    changes = {"copycat_jax/pretrained/copycat": str(shipped()), "...": TEXT, "NAME": "p226"}
    for command in [command for block in blocks() for command in block]:
        words = [
            changes.get(word, re.sub(r"^configs/(\w+\.py):[a-z]+", rf"{ROOT}/configs/\1:tiny", word))
            for word in command
        ]
        if words[1] in ("build-space", "select"):
            words += encoder + ["--parser", "none"] * (words[1] == "build-space")
        program = {"copycat": copycat, "prosody": prosody}[words[0]]
        assert program(words[1:]) == 0, f"{' '.join(command)}: {capfd.readouterr().err[-2000:]}"
    assert soundfile.info("result.wav").duration == pytest.approx(len(samples) / rate, abs=0.1)
