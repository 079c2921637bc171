import shutil

import pytest

from copycat_jax.align.textgrid import read_textgrid
from copycat_jax.cli import main

CLIPS = ("LJ037-0071__af_kore", "LJ037-0071__am_santa")
TEXT = "During her testimony Mrs. Markham initially denied that she ever had the above phone conversation."


@pytest.fixture
def folder(tmp_path, corpora):
    source = corpora / "kokoro" / "gold_dev"
    clips = [path for path in sorted(source.glob("LJ037-0071__*.opus")) if "prosody" not in path.name][:2]
    (tmp_path / "audio").mkdir()
    for name, path in zip("ab", clips, strict=True):
        shutil.copy(path, tmp_path / "audio" / f"{name}.opus")
    (tmp_path / "audio" / "c.opus").write_bytes(b"not audio")
    rows = [
        f"a|one|{TEXT}",
        "b|two|Forty plumbers quietly juggled enormous violet umbrellas beneath our garage.",
        "c|one|x",
    ]
    (tmp_path / "metadata.csv").write_text("\n".join(["id|speaker|text", *rows]) + "\n")
    return tmp_path


def test_align_resumes_and_lists_what_is_wrong(folder, capsys):
    report = folder / "report.tsv"
    assert main(["align", str(folder), "--workers", "1", "--report", str(report)]) == 0
    first = (folder / "alignments" / "a.TextGrid").stat()
    printed = capsys.readouterr().out
    assert "c\t" in printed and "b\t" in printed and "\na\t" not in f"\n{printed}"
    rows = {line.split("\t")[0]: line.split("\t") for line in report.read_text().splitlines()[1:]}
    assert set(rows) == {"a", "b", "c"} and rows["c"][3] == "1" and rows["a"][4] == ""
    assert len(read_textgrid(folder / "alignments" / "a.TextGrid").words) == 15

    (folder / "audio" / "a.opus").unlink()  # were it read again, it would fail
    assert main(["align", str(folder), "--workers", "1"]) == 0
    assert (folder / "alignments" / "a.TextGrid").stat().st_mtime_ns == first.st_mtime_ns
    assert "(2 were there already)" in capsys.readouterr().out


def test_text_beside_the_recording(folder, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.copy(folder / "audio" / "a.opus", plain / "x.opus")
    (plain / "x.lab").write_text(TEXT)
    assert main(["align", str(plain), "--workers", "1", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "x.TextGrid").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such folder"),
        (["."], "no utterances"),
        ([".", "--layout", "plane"], "plain"),
        ([".", "--workers", "-1"], "workers"),
        ([".", "--lexicon", "none.txt"], "lexicon"),
    ],
)
def test_mistakes_are_one_line_and_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["align", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_aligned_is_an_error(tmp_path, capsys):
    (tmp_path / "metadata.csv").write_text("id|speaker|text\na|one|hello\n")
    assert main(["align", str(tmp_path), "--workers", "1"]) == 2
    assert "none of 1" in capsys.readouterr().err
