import pytest

from copycat_jax.errors import UserError
from prosody_vae.linguistics.document import make_document, read_document
from prosody_vae.linguistics.hypertext import blocks_of_html, decode_markup, looks_like_html


def read(text):
    document = make_document(blocks_of_html(text))
    sentences = [s for chapter in document.chapters for p in chapter.paragraphs for s in p.sentences]
    return sentences, [part.kind for part in document.unread]


@pytest.mark.parametrize(
    ("text", "said", "left_out"),
    [
        ("<p>One.<p>Two.", ["One.", "Two."], []),
        ("<div>One <b>big</b> <i>th</i>ing.<ul><li>first<li>second</ul>", ["One big thing.", "first", "second"], []),
        ("<blockquote>One.</blockquote>Two.<hr>Three.", ["One.", "Two.", "Three."], []),
        ("<p>One<br/>two.</p><dl><dt>a<dd>b</dl>", ["One two.", "a", "b"], []),
        ("<p>wor&shy;ld &amp; 5 &lt; 6&nbsp;x.</p>", ["world & 5 < 6 x."], []),
        ("<script>var a='<p>no</p>'</script><style>p{}</style><!-- no --><p>Yes.", ["Yes."], []),
        ("<p hidden>No.</p><p style='display: none'>No.</p><p>Yes.", ["Yes."], []),
        ("<p>10<sup>2</sup> men.<sup>2</sup> So.", ["10² men.", "So."], ["footnote mark"]),
        ("<p>He.<a href='#n1'>[1]</a> So.<p><a href='#r1'>1</a> Note.", ["He.", "So."], ["footnote mark", "footnote"]),
        ("<p>He.<a epub:type='noteref' href='x'>a</a><aside epub:type='footnote'><p>N.</aside>", ["He."],
         ["footnote mark", "footnote"]),
        ("<p>He <span class='pagenum'>[12]</span>came.", ["He came."], ["page mark"]),
        ("<div class='pagebreak'><p>All of the text of a page.</p></div>", ["All of the text of a page."], []),
        ("<p><img alt='O'>nce. <img alt='A ship' src=x>", ["Once."], ["picture"]),
        ("<pre><code>x = 1</code></pre><pre>A poem\n  here\n\nAnd more</pre>", ["A poem here", "And more"], ["code"]),
        ("<nav><a href='#a'>A</a></nav><p>Yes.", ["Yes."], ["contents"]),
        ("<section class='pg-boilerplate' id='pg-header'><h2>The PG</h2></section><p>Yes.", ["Yes."],
         ["Project Gutenberg's matter"]),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table><p>Yes.", ["Yes."], ["table"]),
        ("<table><tr><td><p>" + "word " * 20 + "</p></td></tr></table>", [("word " * 20).strip()], []),
    ],
)  # fmt: skip
def test_what_is_read_and_what_is_not(text, said, left_out):
    assert read(text) == (said, left_out)


def test_headings_make_chapters():
    document = make_document(blocks_of_html("<h1>Book</h1><h2>One<br>more</h2><p>A.</p><h3>x</h3><h2>Two</h2><p>B."))
    assert document.title == "Book" and [c.title for c in document.chapters] == ["One more", "Two"]


@pytest.mark.parametrize("name", ["a.html", "a.htm", "a.xhtml", "a.txt", "a"])
def test_html_is_known_by_its_content_and_no_tag_is_ever_spoken(tmp_path, name):
    (tmp_path / name).write_text("<!DOCTYPE html>\n<html><body class='x'><p>One.</p><p>Two.</p></body></html>")
    (chapter,) = read_document(tmp_path / name).chapters
    assert [p.sentences for p in chapter.paragraphs] == [("One.",), ("Two.",)]
    assert not looks_like_html("Five < six and <John> said <b>so</b>.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<?xml version='1.0' encoding='iso-8859-1'?><p>é".encode("latin-1"), "é"),
        ("<meta charset=windows-1252><p>“é”".encode("cp1252"), "“é”"),
        ("<meta charset=iso-8859-1><p>“é”".encode("cp1252"), "“é”"),
        ("<p>a café".encode("latin-1"), "a café"),
        ("<p>é".encode("utf-16"), "é"),
        ("\ufeff<p>é".encode(), "é"),
    ],
)
def test_the_declared_encoding_is_used(content, text):
    assert decode_markup(content, "x").endswith(text)
    with pytest.raises(UserError, match="is not UTF-8 text"):
        decode_markup(b"<p>\x81\x02", "x")
    with pytest.raises(UserError, match="x: cannot be read as klingon"):
        decode_markup(b"<meta charset=klingon>", "x")
