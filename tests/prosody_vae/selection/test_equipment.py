import dataclasses
import json
from types import SimpleNamespace

import pytest

from prosody_vae.linguistics.trees import to_brackets
from prosody_vae.selection.selector import Selector


@pytest.mark.parametrize(
    ("installed", "taken"),
    [(("stanza", "link-grammar"), "link-grammar"), (("link-grammar",), "link-grammar"), (("stanza",), "auto")],
)
def test_the_space_s_parser_is_taken_where_it_is_installed(toy, monkeypatch, capsys, installed, taken):
    opened = []

    def open_parser(name):
        opened.append(name)
        return SimpleNamespace(label=f"{installed[0] if name == 'auto' else name} 5.12.0", parse=toy.parser.parse)

    monkeypatch.setattr("prosody_vae.linguistics.syntax.installed_parsers", lambda: list(installed))
    monkeypatch.setattr("prosody_vae.linguistics.syntax.open_parser", open_parser)
    info = dataclasses.replace(toy.space.info, parser="link-grammar 5.12.0")
    selector = Selector(dataclasses.replace(toy.space, info=info), toy.encoder)
    used = selector.used("syntactic")["parser"]
    warned = "parsed by link-grammar 5.12.0, sentences now by stanza 5.12.0" in capsys.readouterr().err
    assert opened == [taken] and warned == (used != "link-grammar 5.12.0")


def test_trees_are_labelled_by_what_made_them(toy, tmp_path, capsys):
    rows = {t: to_brackets(tree) for t, tree in zip(toy.texts, toy.parser.parse(toy.texts), strict=True)}
    table = tmp_path / "t.json"
    for maker, given, label in ((None, None, "recorded t.json"), ("benepar 1", None, "benepar 1"), ("x", "me", "me")):
        written = {text: {"tree": tree, "parser": maker} if maker else tree for text, tree in rows.items()}
        table.write_text(json.dumps(written))
        chooser = Selector(toy.space, toy.encoder, given, trees=table)
        assert chooser.used("syntactic")["parser"] == label
        assert (f"sentences now by {label}" in capsys.readouterr().err) == (maker is not None)
        assert chooser.select(toy.texts, "syntactic")[0].entries
