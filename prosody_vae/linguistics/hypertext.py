"""The blocks of HTML and XHTML: what a browser would show as headings and paragraphs, and what is not read.

Not read: scripts and what is hidden, pictures, code, tables of data (a table whose cells hold paragraphs is layout and
is read), page marks, notes and their marks, navigation, and what Project Gutenberg puts around its books.
"""

import re
from html.parser import HTMLParser
from typing import NamedTuple

from copycat_jax.encodings import decode_text
from copycat_jax.errors import UserError
from prosody_vae.linguistics.blocks import CONTENTS, GUTENBERG, Block, Items, unread


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BLOCKS = _names(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section summary table tbody td tfoot th thead tr ul"
)
_CALLED_LATIN = _names("iso-8859-1 latin-1 latin1 us-ascii ascii")  # which browsers read as Windows-1252
_VOID = _names("area base br col embed hr img input link meta source track wbr")
# A tag that is still open ends where one of these begins.
_ENDED_BY = {
    "p": _BLOCKS - {"html", "body"},
    "li": {"li"},
    "dt": {"dt", "dd"},
    "dd": {"dt", "dd"},
    "td": {"td", "th", "tr"},
    "th": {"td", "th", "tr"},
    "tr": {"tr"},
}
_SILENT = dict.fromkeys(_names("script style head template noscript iframe object audio video canvas select rt rp"), "")
_SILENT |= {
    "button": "",
    "textarea": "",
    "svg": "picture",
    "math": "formula",
    "nav": CONTENTS,
    "figcaption": "picture",
    "del": "struck out",
    "s": "struck out",
    "strike": "struck out",
}
# By the words of class, epub:type, role and id.
_ROLES = {
    "pagebreak doc-pagebreak pagenum pageno pagenumber page-number pb": "page mark",
    "footnote footnotes endnote endnotes rearnote rearnotes doc-footnote doc-endnote doc-endnotes": "footnote",
    "noteref doc-noteref fnref fnanchor footnote-ref footnote-backref": "footnote mark",
    "toc doc-toc": CONTENTS,
    "navigation navbox navbar breadcrumb breadcrumbs mw-editsection": "navigation",
    "pg-boilerplate pgheader pg-header pg-footer pgfooter": GUTENBERG,
}
_ROLE = {name: kind for names, kind in _ROLES.items() for name in names.split()}
_MARK = re.compile(r"[\[(]?(?:\d{1,3}|[*†‡§¶]+|[a-z]|[ivxlc]+)[\])]?|[↑↩↵^]\ufe0e?")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PAGE_MARK = 20  # characters; what is longer is more than a page's number
_CELL_WORDS = 12  # longer cells in the mean are not data


class _Open(NamedTuple):
    """An element that has not ended."""

    tag: str
    kind: str | None  # why it is not read
    at: int  # items before it
    href: str = ""
    text_at: int = 0  # pieces of text before it


def looks_like_html(text: str) -> bool:
    """Whether a text is HTML or XML, whatever its name."""
    start = re.match(r"\s*(?:<\?xml\b|(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b)", text, re.I | re.S)
    return start is not None or len(re.findall(r"</(?:p|div|li|td|h[1-6])\s*>", text, re.I)) >= 3


def decode_markup(content: bytes, where: str) -> str:
    """The text of HTML or XML in the encoding that it declares, else in what it seems to be in.

    Raises:
      UserError: it is not text in that encoding.
    """
    declared = re.search(rb"(?:encoding|charset)\s*=\s*[\"']?([\w.:-]+)", content[:2048])
    name = declared[1].decode().lower() if declared else "utf-8"
    if name.startswith("utf"):  # shows by itself
        return decode_text(content, where)
    try:
        return content.decode("cp1252" if name in _CALLED_LATIN else name)
    except (LookupError, UnicodeDecodeError):
        raise UserError(f"cannot be read as {name}", where, "Save it as UTF-8.") from None


def blocks_of_html(text: str) -> Items:
    """The headings and paragraphs of HTML or XHTML, and what is not read."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    """Gathers text until a block begins or ends."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.items: Items = []
        self.open: list[_Open] = []
        self.text: list[str] = []
        self.is_note = False  # the block began with the mark of a note

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self.open and tag in _ENDED_BY.get(self.open[-1].tag, ()):
            self._pop()
        values = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._flush()
        if tag == "br":
            self.text.append("\n")
        elif tag == "img" and not self._silent():
            self._picture(values)
        if tag not in _VOID:
            if tag == "code" and self.open and self.open[-1].tag == "pre" and not self._silent():
                self.open[-1] = self.open[-1]._replace(kind="code")
            kind = None if self._silent() else _why_not(tag, values)
            self.open.append(_Open(tag, kind, len(self.items), values.get("href", ""), len(self.text)))

    def handle_endtag(self, tag: str) -> None:
        if not any(element.tag == tag for element in self.open):
            return
        while self.open[-1].tag != tag:
            self._pop()
        self._pop()

    def handle_data(self, data: str) -> None:
        if any(element.tag == "pre" for element in self.open):
            self.text.append(data)
        else:
            self.text.append(re.sub(r"\s+", " ", data))

    def finish(self) -> Items:
        """All items, when the text has been fed."""
        while self.open:
            self._pop()
        self._flush()
        return self.items

    def _inside(self, element: _Open) -> str:
        return " ".join([*(item.text for item in self.items[element.at :]), "".join(self.text[element.text_at :])])

    def _silent(self) -> bool:
        return any(element.kind is not None for element in self.open)

    def _pop(self) -> None:
        element = self.open[-1]
        if element.kind == "page mark" and len(self._inside(element)) > _PAGE_MARK:
            element = element._replace(kind=None)  # what begins a page, and not its number
        if element.tag in _BLOCKS and element.kind is None:
            self._flush()
            element = self.open[-1]._replace(kind=element.kind)
        self.open.pop()
        inside = "".join(self.text[element.text_at :])
        if element.kind is not None:
            inside = self._inside(element)
            del self.text[element.text_at :]
            self.items[element.at :] = [unread(element.kind, inside)] if element.kind and inside.strip() else []
        elif element.tag == "a" and "#" in element.href and _MARK.fullmatch(inside.strip()) and not self._silent():
            self.is_note |= not "".join(self.text[: element.text_at]).strip()
            self.text[element.text_at :] = []
            if not self.is_note:
                self.items.append(unread("footnote mark", inside))
        elif element.tag == "sup" and inside.strip().isdecimal():
            self.text[element.text_at :] = [inside.strip().translate(_RAISED)]
        elif element.tag == "table" and not self._silent():
            self._table(element)

    def _flush(self) -> None:
        """Ends the block, and begins the next."""
        text, self.text = "".join(self.text), []
        self.open = [element._replace(text_at=0) for element in self.open]
        is_note, self.is_note = self.is_note, False
        if not text.strip():
            return
        pre = next((element for element in reversed(self.open) if element.tag == "pre"), None)
        level = next((int(e.tag[1]) for e in reversed(self.open) if re.fullmatch(r"h[1-6]", e.tag)), None)
        paragraphs = re.split(r"\n\s*\n", text) if pre else [text]
        for paragraph in paragraphs:
            lines = [" ".join(line.split()) for line in paragraph.split("\n")]
            block = Block(level, "\n".join(line for line in lines if line))
            if is_note and level is None:
                self.items.append(unread("footnote", block.text))
            elif block.text:
                self.items.append(block)

    def _picture(self, values: dict[str, str]) -> None:
        name = values.get("alt", "").strip()
        if len(name) == 1 and name.isalpha():
            self.text.append(name)  # a decorated first letter
        elif name:
            self.items.append(unread("picture", name))

    def _table(self, element: _Open) -> None:
        """Leaves a table of data out; layout stays."""
        inside = self.items[element.at :]
        blocks = [item for item in inside if isinstance(item, Block)]
        words = sum(len(block.text.split()) for block in blocks)
        if blocks and words <= _CELL_WORDS * len(blocks) and len(blocks) > 1:
            self.items[element.at :] = [unread("table", " ".join(item.text for item in inside))]


def _why_not(tag: str, values: dict[str, str]) -> str | None:
    """Why an element is not read: the kind of what it is, "" for what nobody would see; None where it is read."""
    if (
        "hidden" in values
        or values.get("aria-hidden") == "true"
        or re.search(r"display\s*:\s*none", values.get("style", ""))
    ):
        return ""
    if tag in _SILENT:
        return _SILENT[tag]
    names = " ".join(values.get(name, "") for name in ("class", "epub:type", "role", "id")).lower().split()
    if tag == "pre" and any(re.search("code|highlight|source|listing", name) for name in names):
        return "code"
    if tag in ("html", "body", "main"):
        return None
    return next((_ROLE[name] for name in names if name in _ROLE), None)
