"""Columns are read by the names that the first line gives them; what is needed and not named is refused."""

import pytest

from copycat_jax.corpus.table import Row, read_rows
from copycat_jax.errors import UserError


@pytest.mark.parametrize(
    "table",
    [
        "id|speaker|text\na|ann|One.\n",
        "id|speaker|text|emotion\na|ann|One.|neutral\n",
        "emotion|text|id|speaker\nneutral|One.|a|ann\n",
        " ID | Speaker | Text | Duration \n\n a | ann | One. | 1.5 \n",
        "id|speaker|text|normalized_text\na|ann|1.|One.\n",
        "id|speaker|Normalised Text|text\na|ann||One.\n",  # what is not filled in does not go first
        "file_name|speaker_id|transcription|language\na|ann|One.|en\n",
        "id|path|speaker|text\na|audio/1.wav|ann|One.\n",
        "id|speaker|text\r\na|ann|One.|\r\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns_are_read_by_name(tmp_path, table, encoding):
    (tmp_path / "metadata.csv").write_bytes(table.encode(encoding))
    assert list(read_rows(tmp_path / "metadata.csv")) == [Row("a", "ann", "One.", "")]


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("id|text", "no column 'speaker'"),
        ("id|speeker|text", "no column 'speaker'"),
        ("id,speaker,text", "separated by"),
        ("LJ001|One two.|One two.", "no column 'id'"),
        ("id|speaker|text|Text", "two columns are named 'text'"),
        ("", "no column"),
    ],
)
def test_a_column_that_is_needed_and_not_named_is_refused(tmp_path, header, complaint):
    (tmp_path / "metadata.csv").write_text(f"{header}\na|b|c|d\n")
    with pytest.raises(UserError, match=complaint):
        list(read_rows(tmp_path / "metadata.csv"))


@pytest.mark.parametrize(("row", "fault"), [("a|ann|One.|sad", True), ("a|ann", True), ("a|ann|One.||", False)])
def test_a_row_unlike_the_header_is_at_fault(tmp_path, row, fault):
    (tmp_path / "metadata.csv").write_text(f"id|speaker|text\n{row}\n")
    (read,) = read_rows(tmp_path / "metadata.csv")
    assert ("metadata.csv:2" in read.fault) == fault


@pytest.mark.parametrize("row", ["|ann|One.", "a||One."])
def test_a_row_without_id_or_speaker_is_refused(tmp_path, row):
    (tmp_path / "metadata.csv").write_text(f"id|speaker|text\n{row}\n")
    with pytest.raises(UserError, match="line 2"):
        list(read_rows(tmp_path / "metadata.csv"))
