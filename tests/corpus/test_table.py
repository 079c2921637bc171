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
        "id\tspeaker\ttext\r\na\tann\tOne.\r\n",
        "file_name,speaker,transcription\na,ann,One.\n",
        'speaker, text, id\nann, "One.", a\n',
        '"id";"speaker";"text"\r\n"a";"ann";"One."\r\n',
        '"id"|"speaker"|"text"\n"a"|"ann"|"One."\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns_are_read_by_name(tmp_path, table, encoding):
    (tmp_path / "metadata.csv").write_bytes(table.encode(encoding))
    assert list(read_rows(tmp_path / "metadata.csv")) == [Row("a", "ann", "One.", "")]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ('id|speaker|text\na|ann|"One", two.\n', '"One", two.'),
        ('id\tspeaker\ttext\na\tann\t"One", two.\n', '"One", two.'),
        ('id,speaker,text\na,ann,"""One"", two."\n', '"One", two.'),
        ('"id"|"speaker"|"text"\na|ann|"""One"" | two."\n', '"One" | two.'),
        ('id;speaker;text\na;ann;"One,\ntwo; three."\n', "One,\ntwo; three."),
    ],
)
def test_quotes_are_marks_or_hold_a_field_as_the_header_shows(tmp_path, table, text):
    (tmp_path / "metadata.csv").write_text(table)
    assert list(read_rows(tmp_path / "metadata.csv")) == [Row("a", "ann", text, "")]


def test_a_field_that_is_not_held_is_one_bad_row_and_quotes_without_end_are_refused(tmp_path):
    (tmp_path / "metadata.csv").write_text('id,speaker,text\na,ann,One, two.\nb,ben,"Two\n')
    rows = read_rows(tmp_path / "metadata.csv")
    assert "metadata.csv:2: 4 fields where the first line names 3" in next(rows).fault
    with pytest.raises(UserError, match=r"metadata\.csv: line 3: unexpected end"):
        next(rows)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("id|text", "no column 'speaker'"),
        ("id|speeker|text", "no column 'speaker'"),
        ("name,speaker,text", "no column 'id'"),
        ("name speaker text", "separated by"),
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
