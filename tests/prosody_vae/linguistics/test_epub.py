import zipfile

import pytest

from copycat_jax.errors import UserError
from prosody_vae.linguistics.document import read_document

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"><metadata
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The  Storm</dc:title></metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="t" href="title.xhtml" media-type="application/xhtml+xml"/>
<item id="c2" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="c1" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="x" href="extra.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="p.svg" media-type="image/svg+xml"/></manifest>
<spine><itemref idref="n"/><itemref idref="t"/><itemref idref="p"/><itemref idref="c1"/><itemref idref="c2"/>
<itemref idref="x" linear="no"/></spine></package>"""
PAGE = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'
PAGES = {
    "nav.xhtml": "<nav epub:type='toc'><ol><li><a href='text/one.xhtml'>One</a></li></ol></nav>",
    "title.xhtml": "<h1>The Storm</h1><p>by Nobody</p>",
    "text/one.xhtml": "<h2>One</h2><p>It rained.<a epub:type='noteref' href='#f'>1</a></p><aside epub:type='footnote'"
    " id='f'><p>It did.</p></aside>",
    "text/two b.xhtml": "<h2>Two</h2><p>It snowed.<span epub:type='pagebreak' title='7'/></p>",
    "extra.xhtml": "<p>An advertisement.</p>",
}


def write_epub(path, **changes):
    files = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/book.opf": PACKAGE}
    files |= {f"OEBPS/{name}": PAGE.format(body) for name, body in PAGES.items()} | changes.pop("files", {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["book.epub", "book", "book.zip"])
def test_a_book_is_read_in_the_order_of_its_spine(tmp_path, name):
    document = read_document(write_epub(tmp_path / name))
    assert document.title == "The Storm"
    assert [c.title for c in document.chapters] == ["", "One", "Two"]
    said = [s for chapter in document.chapters for p in chapter.paragraphs for s in p.sentences]
    assert said == ["by Nobody", "It rained.", "It snowed."]
    kinds = ["contents", "footnote mark", "footnote", "outside the running text"]
    assert [part.kind for part in document.unread] == kinds


def test_a_book_without_a_container_or_title(tmp_path):
    package = PACKAGE.replace("<dc:title>The  Storm</dc:title>", "")
    files = {"META-INF/container.xml": None, "OEBPS/book.opf": package}
    document = read_document(write_epub(tmp_path / "a.epub", files=files))
    assert document.title == "The Storm"  # its only largest heading
    assert [c.title for c in document.chapters] == ["", "One", "Two"]


ENCRYPTED = (
    '<encryption><EncryptedData><CipherData><CipherReference URI="{}"/></CipherData></EncryptedData></encryption>'
)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"META-INF/encryption.xml": ENCRYPTED.format("OEBPS/text/one.xhtml")}, "protected against copying"),
        ({"OEBPS/book.opf": "<package"}, "damaged EPUB"),
        ({"META-INF/container.xml": "<container/>", "OEBPS/book.opf": None}, "damaged EPUB"),
        ({"OEBPS/text/one.xhtml": b"<p>\x81\x02"}, "one.xhtml: the file is not UTF-8"),
        ({f"OEBPS/{name}": None for name in PAGES}, "nothing to read"),
        ({f"OEBPS/{name}": PAGE.format("") for name in PAGES}, "nothing to read"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, files, says):
    with pytest.raises(UserError, match=says) as refused:
        read_document(write_epub(tmp_path / "a.epub", files=files))
    assert "\n" not in str(refused.value) and "a.epub" in str(refused.value)


@pytest.mark.parametrize("lost", ["gone", "unlisted", "damaged"])
def test_a_file_of_the_spine_that_is_lost_is_told_and_the_rest_is_read(tmp_path, capsys, lost):
    name = "OEBPS/text/one.xhtml"
    package = PACKAGE.replace('item id="c1"', 'item id="other"')
    path = write_epub(
        tmp_path / "a.epub",
        files={"gone": {name: None}, "unlisted": {"OEBPS/book.opf": package}, "damaged": {name: "A" * 500}}[lost],
    )
    if lost == "damaged":
        path.write_bytes(path.read_bytes().replace(b"A" * 500, b"A" * 499 + b"B"))
    document = read_document(path)
    assert [c.title for c in document.chapters] == ["", "Two"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "the rest is read" in line and ("c1" if lost == "unlisted" else "one.xhtml") in line


def test_fonts_that_are_disguised_are_no_hindrance(tmp_path):
    files = {"META-INF/encryption.xml": ENCRYPTED.format("OEBPS/font.otf")}
    assert read_document(write_epub(tmp_path / "a.epub", files=files)).title == "The Storm"


def test_a_cut_file_is_refused(tmp_path):
    whole = write_epub(tmp_path / "a.epub").read_bytes()
    for size in (len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.epub").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut\.epub"):
            read_document(tmp_path / "cut.epub")
