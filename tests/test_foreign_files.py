"""Files of others, damaged in every way: each reader gives a value or one UserError, and never another exception."""

import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.corpus.readers import read_corpus
from copycat_jax.errors import UserError
from copycat_jax.manifest import read_manifest
from copycat_jax.text.lexicon import read_lexicon
from copycat_jax.torch_checkpoint import read_weights
from copycat_jax.types import Alignment, Interval
from copycat_jax.vocoder.torch_weights import hifigan_params

PHONES = (Interval(0.0, 0.25, "SIL"), Interval(0.25, 0.4, "HH"), Interval(0.4, 0.5, "AY1"))


def textgrid(folder):
    write_textgrid(folder / "a.TextGrid", Alignment(PHONES, (Interval(0.25, 0.5, "hi"),), -9.0))
    return folder / "a.TextGrid", read_textgrid


def lexicon(folder):
    (folder / "own.txt").write_text("# mine\nxkcd EH1 K S K EY0\nHello HH AH0 L OW1\n")
    return folder / "own.txt", read_lexicon


def manifest(folder):
    (folder / "list.txt").write_text("source|text|voice|out\na.wav|Hi.|x|one.wav\nb.wav|Ho.|y|two.wav\n")
    return folder / "list.txt", read_manifest


def metadata(folder):
    (folder / "metadata.csv").write_text("id|speaker|text|emotion\na|ann|One.|sad\nb.wav|ben|Two.|glad\n")
    return folder / "metadata.csv", lambda path: read_corpus("plain", path.parent)


def transcript(folder):
    (folder / "1-2.trans.txt").write_text("1-2-0000 ONE TWO\n1-2-0001 THREE\n")
    return folder / "1-2.trans.txt", lambda path: read_corpus("librispeech", path.parent)


def text_beside(folder):
    (folder / "a.wav").write_bytes(b"")
    (folder / "a.lab").write_text("One two.\n")
    return folder / "a.lab", lambda path: read_corpus("plain", path.parent)


def safetensors(folder):
    header = {"conv_pre.bias": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}
    coded = json.dumps(header).encode()
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(coded)) + coded + np.ones(3, np.float32).tobytes())
    return folder / "a.safetensors", lambda path: hifigan_params(read_weights(path))


def checkpoint(folder):
    with zipfile.ZipFile(folder / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}X\x04\x00\x00\x00stepJ\x07\x00\x00\x00s.")
    return folder / "a.pt", lambda path: hifigan_params(read_weights(path))


MAKERS = (textgrid, lexicon, manifest, metadata, transcript, text_beside, safetensors, checkpoint)
ODD = (b"1e400", b"-1", b"2.5", b"nan", b"99999999999", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"|", b"..", b"/",
       b"\r", b"\xed\xa0\x80", b"{", b"A" * 300)  # fmt: skip
SPOT = st.floats(0, 1, exclude_max=True)
CHANGE = st.tuples(st.sampled_from(("cut", "put", "swap", "drop", "again")), SPOT, SPOT, st.sampled_from(ODD))


def damaged(data: bytes, changes) -> bytes:
    """`data` cut short, with odd things put into it or in place of its words, with words left out or said again."""
    for how, first, second, odd in changes:
        words = data.split(b" ")
        i, j = int(first * len(words)), int(second * len(data))
        if how == "cut":
            data = data[:j]
        elif how == "put":
            data = data[:j] + odd + data[j:]
        else:
            words[i : i + 1] = {"swap": [odd], "drop": [], "again": [words[i]] * 2}[how]
            data = b" ".join(words)
    return data


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGE, min_size=1, max_size=4), noise=st.none() | st.binary(max_size=80))
def test_damage_is_told_in_one_line(make, tmp_path, changes, noise):
    path, read = make(tmp_path)
    path.write_bytes(damaged(path.read_bytes(), changes) if noise is None else noise)
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("make", (textgrid, lexicon, manifest, safetensors, checkpoint), ids=lambda make: make.__name__)
def test_a_folder_and_nothing_at_all_are_told_in_one_line(make, tmp_path):
    path, read = make(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        read(path)
    path.mkdir()
    with pytest.raises(UserError, match=path.name):
        read(path)
