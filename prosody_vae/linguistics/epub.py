"""The blocks of an EPUB: a zip of XHTML files, read in the order of its spine."""

import io
import posixpath
import zipfile
import zlib
from urllib.parse import unquote
from xml.etree import ElementTree

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.linguistics.blocks import CONTENTS, Block, Items, unread
from prosody_vae.linguistics.hypertext import blocks_of_html, decode_markup

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_REMEDY = "Give an EPUB without copy protection, or its text."


def is_epub(content: bytes) -> bool:
    """Whether a file's content is a zip that says, or looks as if, it is an EPUB."""
    if not content.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            return _CONTAINER in names or any(name.endswith(".opf") for name in names)
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def blocks_of_epub(content: bytes, where: str) -> Items:
    """The book's title as the first heading, the headings and paragraphs of its spine, and what is not read.

    A file of the spine that is missing or damaged is left out, and it is said.

    Raises:
      UserError: damaged, or protected against copying.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _blocks(archive, where)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, OSError, ValueError, EOFError) as error:
        raise UserError(f"a damaged EPUB ({error})", where, "Copy or download it again.") from None
    except (RuntimeError, NotImplementedError, zlib.error) as error:
        raise UserError(f"cannot be unpacked ({error})", where, _REMEDY) from None


def _blocks(archive: zipfile.ZipFile, where: str) -> Items:
    package_name = _package(archive)
    package = ElementTree.fromstring(archive.read(package_name))
    folder = posixpath.dirname(package_name)
    files = {item.get("id", ""): item for item in package.iterfind("{*}manifest/{*}item")}
    locked = _encrypted(archive)
    title = next((node.text or "" for node in package.iterfind("{*}metadata/{*}title")), "")
    items: Items = [Block(0, " ".join(title.split()))] if title.strip() else []
    for reference in package.iterfind("{*}spine/{*}itemref"):
        item = files.get(reference.get("idref", ""))
        if item is None:
            console.warn(f"{where}: its list of files lacks '{reference.get('idref', '')}'; the rest is read")
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        if name in locked:
            raise UserError("is protected against copying", where, _REMEDY)
        if "html" not in item.get("media-type", "html"):
            continue  # a picture on a page of its own
        try:
            content = archive.read(name)
        except (KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            why = "is missing" if isinstance(error, KeyError) else f"is damaged ({error})"
            console.warn(f"{where}: {name} {why}; the rest is read")
            continue
        page = blocks_of_html(decode_markup(content, f"{where}, {name}"))
        if "nav" in item.get("properties", "").split() or reference.get("linear") == "no":
            kind = CONTENTS if "nav" in item.get("properties", "") else "outside the running text"
            items += [unread(kind, part.text) if isinstance(part, Block) else part for part in page]
        else:
            items += page
    body = [part for part in items[1:] if isinstance(part, Block)]
    if title.strip() and body and body[0].level is not None and _same(body[0].text, items[0].text):
        items.remove(body[0])
    return items


def _same(one: str, other: str) -> bool:
    return [c for c in one.lower() if c.isalnum()] == [c for c in other.lower() if c.isalnum()]


def _package(archive: zipfile.ZipFile) -> str:
    """The name of the file that says what the book is made of."""
    if _CONTAINER in archive.namelist():
        container = ElementTree.fromstring(archive.read(_CONTAINER))
        for root in container.iterfind("{*}rootfiles/{*}rootfile"):
            return root.get("full-path", "")
    return next((name for name in archive.namelist() if name.endswith(".opf")), "")


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    """The files that cannot be read without a key."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    tree = ElementTree.fromstring(archive.read(_ENCRYPTION))
    return {unquote(node.get("URI", "")) for node in tree.iter() if node.tag.endswith("CipherReference")}
