"""The page's own files: small, whole, from nowhere else, and every control has a name."""

import re
from html.parser import HTMLParser

from prosody_vae.web.site import STATIC

SCRIPTS = sorted((STATIC / "js").glob("*.js"))
HTML = (STATIC / "index.html").read_text(encoding="utf-8")


class Controls(HTMLParser):
    """Ids, what labels point to, and controls with neither label nor words."""

    def __init__(self):
        super().__init__()
        self.ids, self.labelled, self.controls = set(), set(), []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if "id" in found else set()
        self.labelled |= {found["for"]} if tag == "label" and "for" in found else set()
        if tag in ("input", "select"):
            self.controls.append((found.get("id"), found.get("type"), found))


def page() -> Controls:
    controls = Controls()
    controls.feed(HTML)
    return controls


def test_no_file_is_long():
    assert len(SCRIPTS) >= 10
    for path in STATIC.rglob("*.*"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_nothing_is_fetched_from_elsewhere():
    for path in [*SCRIPTS, STATIC / "index.html", STATIC / "style.css"]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.", text), path


def test_every_import_and_every_element_that_is_asked_for_is_there():
    ids = page().ids
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'from "\./([\w.]+)"', text):
            assert (STATIC / "js" / name).is_file(), (path, name)
        for name in re.findall(r'(?:\$|getElementById)\("([\w-]+)"\)', text):
            assert name in ids, (path, name)


def test_every_control_has_a_label():
    found = page()
    assert found.controls
    for name, kind, _ in found.controls:
        assert kind == "checkbox" or name in found.labelled, name
    assert 'lang="en"' in HTML and "width=device-width" in HTML


def test_the_sources_shown_are_ten_and_ship():
    from prosody_vae.web.sources import shipped_clips

    clips = shipped_clips()
    assert len(clips) == len({clip.id for clip in clips}) == 10
    assert all(clip.path.is_file() and clip.text for clip in clips)
