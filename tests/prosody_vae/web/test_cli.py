import subprocess
import sys

import pytest
from one_line import refused

from copycat_jax.cli import main
from prosody_vae.web.site import MARKS, check_site

HEAVY = {"jax", "flax", "numpy", "librosa", "soundfile", "onnx", "onnxruntime"}


@pytest.mark.parametrize("verb", ["web", "serve"])
def test_help_loads_nothing_heavy(verb):
    code = (
        "import sys\ntry:\n    from copycat_jax.cli import main; "
        f"main(['{verb}', '--help'])\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.split(".")[0] for name in done.stderr.split()}
    assert f"usage: copycat {verb}" in done.stdout and "prosody_vae.web" in done.stderr


def test_a_folder_of_something_else_is_not_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    assert "is not a page of `copycat web`" in refused(capsys, "web", "--out", "mine")
    assert "no such folder" in refused(capsys, "web", "--out", "absent/page")
    assert "--port" in refused(capsys, "serve", "--port", "70000")
    for name in MARKS:
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}")
    assert check_site(tmp_path / "mine").name == "mine"
    assert main(["web", "--help-me"]) == 2
