import shutil

import pytest

from copycat_jax.align.textgrid import read_textgrid
from copycat_jax.cli import main
from copycat_jax.data.synthetic import write_plain_corpus

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


@pytest.mark.parametrize("listed", [True, False])
def test_align_and_build_agree_on_what_is_an_utterance(tmp_path, listed):
    corpus, report = tmp_path / "corpus", tmp_path / "report.tsv"
    made = write_plain_corpus(corpus, 5, seconds=(0.4, 0.6))
    table = ["id|speaker|text|emotion"]
    suffixes = (".lab", ".txt", ".normalized.txt", ".lab", "")
    for number, (utterance, suffix) in enumerate(zip(made, suffixes, strict=True)):
        old, new = utterance.id, f"bob/{number}"
        for path, folder in ((f"audio/{old}.wav", "."), (f"alignments/{old}.TextGrid", "alignments")):
            (corpus / folder / "bob").mkdir(exist_ok=True)
            (corpus / path).rename(corpus / folder / f"{new}{(corpus / path).suffix}")
        if suffix:
            said = utterance.text.encode() if number < 3 else "東京".encode("shift_jis")
            (corpus / f"{new}{suffix}").write_bytes(said)
        table.append(f" {new}.wav |bob||neutral")
    if listed:
        (corpus / "metadata.csv").write_text("\n".join(table))
    else:
        (corpus / "metadata.csv").unlink()
    assert main(["align", str(corpus), "--workers", "1", "--report", str(report)]) == 0
    aligned = {row.split("\t")[0] for row in report.read_text().splitlines() if row.split("\t")[3] == "0"}
    built = [f"--source=plain:{corpus}", f"--out={tmp_path / 'data'}", "--f0=none", "--workers=1", "--min-seconds=0.1"]
    assert main(["build", *built]) == 0
    bad = (tmp_path / "data" / "bad.tsv").read_text()
    assert {f"bob/{n}" for n in range(5) if f"bob/{n}\t" not in bad} == aligned == {"bob/0", "bob/1", "bob/2"}


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
