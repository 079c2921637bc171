import base64
import re

from copycat_jax.page import embedded, facts, render_document, shown


def test_numbers_of_a_page_are_printed_as_in_print():
    assert shown(-1.25, "+.1f", "semitones") == "\N{MINUS SIGN}1.2 semitones"
    assert (shown(2.0, "+.1f", "st"), shown(0.5, ".3f"), shown(float("nan"), ".1f", "Hz")) == (
        "+2.0 st", "0.500", "not tracked",
    )  # fmt: skip
    assert shown(float("-inf"), ".1f", "LUFS", "silent") == "silent"


def test_text_is_never_taken_for_markup():
    page = render_document("<t>", "<l>&", ["<p>kept</p>"], {"<k>": "<v>"}, "<m>")
    assert "<p>kept</p>" in page and "&lt;l&gt;&amp;" in page
    for raw in ("<t>", "<l>", "<k>", "<v>", "<m>"):
        assert raw not in page
    assert "<x>" not in facts({"<x>": "<x>"})


def test_what_is_embedded_is_there_whole():
    address = embedded(bytes(range(256)), "image/png")
    kind, content = re.fullmatch(r"data:([\w/]+);base64,(\S+)", address).groups()
    assert kind == "image/png" and base64.b64decode(content) == bytes(range(256))


def test_a_page_has_a_script_only_where_it_needs_one():
    assert "<script>" not in render_document("t", "l", [], {})
    assert "<script>let x = 1 < 2;</script>" in render_document("t", "l", [], {}, script="let x = 1 < 2;")
