import unicodedata

import pytest

from copycat_jax.errors import UserError
from copycat_jax.manifest import HEADER, TransferLine, read_manifest


def test_lines_are_read_and_wrong_ones_say_so(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join([HEADER, "a.wav|Hi.|x|one.wav", "", "a.wav|only three|x", "b.wav|Ho.|y|one.wav"]))
    first, second, third = read_manifest(path)
    assert first == TransferLine(f"{path}:2", tmp_path / "a.wav", "Hi.", "x", tmp_path / "one.wav")
    assert isinstance(second, UserError) and "list.txt:4" in str(second) and "not a line" in str(second)
    assert isinstance(third, UserError) and "list.txt:5" in str(third) and "same file" in str(third)


@pytest.mark.parametrize(
    "rows",
    [
        "a.wav|Hi.|x|one.wav",
        "source|text|voice|out\na.wav|Hi.|x|one.wav",
        "a.wav\tHi.\tx\tone.wav",
        'source,voice,out,text\r\na.wav,x,one.wav,"Hi."\r\n',
        '"source"|"text"|"voice"|"out"\n"a.wav"|"Hi."|"x"|"one.wav"',
        "\ufeff Voice | Out | Note | Text | Source \r\nx|one.wav||Hi.|a.wav\r\n",
    ],
)
def test_columns_are_those_that_the_first_line_names(tmp_path, rows):
    (tmp_path / "list.txt").write_text(rows, encoding="utf-8", newline="")
    (line,) = read_manifest(tmp_path / "list.txt")
    assert line[1:] == (tmp_path / "a.wav", "Hi.", "x", tmp_path / "one.wav")


@pytest.mark.parametrize("suffix", [".lab", ".txt", ".normalized.txt"])
@pytest.mark.parametrize(("stored", "listed"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_an_utterance_is_what_it_is_to_align_and_build(tmp_path, suffix, stored, listed):
    """The text beside a recording is its text where no line gives one, however its name is written."""
    stored, listed = (unicodedata.normalize(form, "Zoë") for form in (stored, listed))
    (tmp_path / f"{stored}.wav").write_bytes(b"")
    (tmp_path / f"{stored}{suffix}").write_text("Hi.\r\n", encoding="utf-16")
    (tmp_path / "no.wav").write_bytes(b"")
    (tmp_path / "odd.wav").write_bytes(b"")
    (tmp_path / f"odd{suffix}").write_bytes(b"\xe9")
    names = (listed, "no", "odd", ".")
    (tmp_path / "list.txt").write_text("".join(f"{name}.wav||x|{i}.wav\n" for i, name in enumerate(names)), "utf-8")
    whole, *others = read_manifest(tmp_path / "list.txt")
    assert isinstance(whole, TransferLine) and (whole.source, whole.text) == (tmp_path / f"{stored}.wav", "Hi.")
    for line, says in zip(others, ("not a line", f"odd{suffix}", "not a line"), strict=True):
        assert isinstance(line, UserError) and says in str(line)


@pytest.mark.parametrize("out", ["b.wav", "./b.wav", "sub/../b.wav", "link.wav"])
def test_no_line_replaces_what_another_reads_or_writes(tmp_path, out):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.wav").symlink_to("b.wav")
    (tmp_path / "list.txt").write_text(f"a.wav|Hi.|x|{out}\nb.wav|Ho.|x|new.wav\na.wav|Hi.|y|sub/../new.wav\n")
    first, second, third = read_manifest(tmp_path / "list.txt")
    assert isinstance(first, UserError) and "source of a line" in str(first)
    assert isinstance(second, TransferLine)
    assert isinstance(third, UserError) and "same file" in str(third)


@pytest.mark.parametrize("out", ["a" * 300 + ".wav", "there/is/none.wav", "a.mp3"])
def test_a_name_that_no_file_may_have_is_one_bad_line(tmp_path, out):
    (tmp_path / "list.txt").write_text(f"a.wav|Hi.|x|{out}\na.wav|Hi.|x|fine.wav\n")
    bad, good = read_manifest(tmp_path / "list.txt")
    assert isinstance(bad, UserError) and isinstance(good, TransferLine)


def test_files_without_lines_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text(f"{HEADER}\n\n")
    with pytest.raises(UserError, match="holds no lines"):
        read_manifest(tmp_path / "empty.txt")
