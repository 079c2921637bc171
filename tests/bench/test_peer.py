import pytest

from copycat_jax.bench.peer import run_peer
from copycat_jax.errors import UserError


def test_a_peer_is_asked_for_sizes_and_answers_in_json_lines(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text("import json, sys\nprint('warming up')\nprint(json.dumps({'arguments': sys.argv[1:]}))\n")
    (record,) = run_peer(script, (8, 16), 400, 3)
    assert record["arguments"] == ["-B", "8", "16", "-T", "400", "-n", "3"]
    script.write_text("raise SystemExit('no torch here')")
    with pytest.raises(UserError, match="no torch here"):
        run_peer(script, (8,), 400, 3)
    with pytest.raises(UserError, match="no such script"):
        run_peer(tmp_path / "absent.py", (8,), 400, 3)
