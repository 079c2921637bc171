"""What must not enter a corpus stays out, however the lists and the corpus spell it."""

import unicodedata

import pytest

from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.cli import main
from copycat_jax.corpus.corpus import open_corpus
from copycat_jax.data.synthetic import write_plain_corpus


@pytest.mark.parametrize(
    ("flag", "line"), [("ids", " ./Zoë/1 "), ("speakers", "Zoë"), ("texts", "\ufeffzoë said SO.\r\n")]
)
@pytest.mark.parametrize(("listed", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_exclusion_lists_match_in_any_spelling(tmp_path, flag, line, listed, stored):
    corpus, rows = tmp_path / "corpus", ["id|speaker|text"]
    made = write_plain_corpus(corpus, 2, seconds=(0.4, 0.6))
    for utterance, (name, speaker, text) in zip(
        made, (("Zoë/1", "Zoë", "Zoë said so!"), ("2", "2", "So.")), strict=True
    ):
        for path in (f"audio/{utterance.id}.wav", f"alignments/{utterance.id}.TextGrid"):
            target = (corpus / path).parent / unicodedata.normalize(stored, f"{name}{(corpus / path).suffix}")
            target.parent.mkdir(exist_ok=True)
            (corpus / path).rename(target)
        grid = read_textgrid(target)
        word = grid.words[0]._replace(end_s=grid.words[-1].end_s, label=text.replace(" ", ""))
        write_textgrid(target, grid._replace(words=(word,)))
        rows.append(unicodedata.normalize(stored, f"{name}|{speaker}|{text}"))
    (corpus / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "list.txt").write_text(unicodedata.normalize(listed, line), encoding="utf-8", newline="")
    build = ["build", f"--source=plain:{corpus}", f"--out={tmp_path / 'data'}", "--f0=none", "--workers=1"]
    assert main([*build, "--min-seconds=0.1", f"--exclude-{flag}={tmp_path / 'list.txt'}"]) == 0
    assert open_corpus(tmp_path / "data").ids.tolist() == ["2"]
