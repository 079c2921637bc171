"""Parsers: alignment to the words of the text, the order of choice, the store, link-grammar where it is installed."""

import importlib.machinery
import json
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.errors import UserError
from prosody_vae.linguistics import link_grammar, syntax
from prosody_vae.linguistics.document import words_of_sentence
from prosody_vae.linguistics.syntax import HINTS, PARSERS, align_tree, installed_parsers, open_parser, recorded_parser
from prosody_vae.linguistics.tree_distance import leaves, parse_brackets, syntactic_distance, to_brackets

SENTENCE = "The brown fox is quick, and it is jumping over the lazy dog."
TREE = (
    "(S (S (NP The brown fox) (VP is (ADJP quick))) (, ,) (CC and) "
    "(S (NP it) (VP is (VP jumping (PP over (NP the lazy dog))))) (. .))"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PROSODY_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("tree", "text", "aligned"),
    [
        # Case and punctuation.
        ("(S (NP the dog.) (VP RAN) (. .))", "The dog ran.", "(S (NP The dog) (VP ran))"),
        # Split words are one leaf where their first piece stood.
        ("(S (NP it) (VP 's (NP a dog)) (. .))", "It's a dog.", "(S (NP It's) (VP (NP a dog)))"),
        ("(S (NP (NN dog) (POS 's)) (NN tail))", "dog's tail", "(S (NP (NN dog's)) (NN tail))"),
        ("(S (VP (MD ca) (RB n't) (VB go)))", "can't go", "(S (VP (MD can't) (VB go)))"),
        # Words in one token are a constituent in its place.
        ("(S (NP (NNP New-York)) (VP sleeps))", "New York sleeps", "(S (NP (NNP New York)) (VP sleeps))"),
        # Words left out join the constituent of the next word, at the end of the last.
        ("(S (NP (NNS dogs)) (VB bark))", "Big dogs bark now", "(S (NP Big (NNS dogs)) (VB bark) now)"),
        ("(S (NP dogs) (VP bark))", "Big dogs now bark loudly", "(S (NP Big dogs) (VP now bark loudly))"),
        # Nothing matched at all.
        ("(S (X foo))", "Who knows", "(S Who knows)"),
        ("(S . ,)", "Who knows", "(S Who knows)"),
        # One token only, and words around it.
        ("(X dog)", "A dog barks", "(X A dog barks)"),
        # Accents and brackets.
        ("(S (NP naive) (PRN (-LRB- -LRB-) so (-RRB- -RRB-)))", "naïve (so)", "(S (NP naïve) (PRN so))"),
    ],
)
def test_alignment(tree, text, aligned):
    words = words_of_sentence(text)
    found = align_tree(parse_brackets(tree), words)
    assert leaves(found) == words
    assert to_brackets(found) == to_brackets(parse_brackets(aligned))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tree_over_any_tokens_aligns_to_exactly_the_words(data):
    token = st.text("abc'.,", min_size=1, max_size=4)
    node = st.recursive(token, lambda inner: st.lists(inner, max_size=4).map(lambda kids: f"(X {' '.join(kids)})"))
    tree = parse_brackets(f"(S {data.draw(node)})")
    words = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=8))
    aligned = align_tree(tree, words)
    assert leaves(aligned) == words
    assert len(syntactic_distance(aligned)) == len(words)
    again = align_tree(aligned, words)
    assert again == aligned  # a tree over the words is left as it is


def test_no_words_to_align_is_refused():
    with pytest.raises(UserError, match="no words"):
        align_tree(parse_brackets(TREE), [])


def test_recorded_trees(tmp_path):
    given_trees = recorded_parser({SENTENCE: TREE}, label="by hand")
    assert given_trees.label == "by hand"
    (tree,) = given_trees.parse([SENTENCE.replace(", and", ",\n  and")])
    assert leaves(tree) == words_of_sentence(SENTENCE)
    assert syntactic_distance(tree).tolist() == [0, 2, 1, 3, 1, 8, 7, 6, 5, 4, 3, 2, 1]
    lines, table = tmp_path / "trees.tsv", tmp_path / "trees.json"
    lines.write_text(f"{SENTENCE}\t{TREE}\n\nGo!\t(S Go)\n")
    table.write_text(json.dumps({SENTENCE: TREE, "Go!": "(S Go)"}))
    for path in (lines, table):
        parser = open_parser(str(path))
        assert parser.label == f"recorded {path.name}"
        assert parser.parse([SENTENCE, "Go!", SENTENCE]) == [tree, parse_brackets("(S Go)"), tree]
        with pytest.raises(UserError, match=f"no tree for 'Stop!'.*|{path.name}"):
            parser.parse(["Stop!"])


@pytest.mark.parametrize(
    ("content", "says"),
    [("no tab here", "no tab"), ('{"a": 1}', "not a string"), ("{", "not JSON"), ("Go!\t(S Go", "unbalanced")],
)
def test_damaged_records_are_refused(tmp_path, content, says):
    path = tmp_path / "trees.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=says) as refused:
        open_parser(str(path)).parse(["Go!"])
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="absent"):
        recorded_parser(tmp_path / "absent")


@pytest.mark.parametrize(("text", "says"), [("", "empty"), ("...!", "no letters"), ("word " * 5000, "5000 words")])
def test_sentences_that_are_none_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        open_parser("right-branching").parse(["Go!", text])


def test_right_branching_is_taken_only_by_name(monkeypatch):
    parser = open_parser("right-branching")
    assert parser.label == "right-branching"
    d = syntactic_distance(parser.parse(["One two three, four!"])[0])
    assert d.tolist() == [0, 3, 2, 1]
    monkeypatch.setattr(syntax, "_IS_INSTALLED", dict.fromkeys(PARSERS, lambda: False))
    with pytest.raises(UserError, match="no constituency parser is installed") as refused:
        open_parser()
    assert all(line in str(refused.value) for line in HINTS.values())
    for name in PARSERS:
        with pytest.raises(UserError, match="not installed") as refused:
            open_parser(name)
        assert HINTS[name] in str(refused.value)
    with pytest.raises(UserError, match=r"Did you mean 'stanza'\?"):
        open_parser("stansa")


def test_auto_takes_the_first_that_is_installed(monkeypatch):
    for installed in (PARSERS, PARSERS[1:], PARSERS[2:]):
        monkeypatch.setattr(syntax, "_IS_INSTALLED", {name: lambda i=installed, n=name: n in i for name in PARSERS})
        monkeypatch.setattr(syntax, "_OPENERS", {name: lambda n=name: _Counting(n) for name in PARSERS})
        assert installed_parsers() == list(installed)
        assert open_parser(cache="").label == installed[0]


class _Counting:
    """An engine that counts what it is asked."""

    def __init__(self, label: str = "counting 1"):
        self.label, self.asked = label, []

    def parse_each(self, sentences):
        for sentence in sentences:
            self.asked.append(sentence)
            yield parse_brackets(f"(S {' '.join(words_of_sentence(sentence))})")


def test_every_sentence_is_parsed_once_and_kept_by_text_and_label(tmp_path):
    engine = _Counting()
    texts = [f"Sentence number {i}." for i in range(450)]
    first = syntax._Stored(engine, tmp_path).parse([*texts, *texts[:5]])
    assert engine.asked == texts and len(first) == 455
    again = _Counting()
    stored = syntax._Stored(again, tmp_path)
    assert stored.parse(texts[::-1]) == first[449::-1] and again.asked == []
    assert stored.parse(["New."]) and again.asked == ["New."]
    newer = _Counting("counting 2")
    syntax._Stored(newer, tmp_path).parse(texts[:3])
    assert newer.asked == texts[:3]
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_store_is_parsed_again_and_two_may_write(tmp_path):
    one, two = syntax._Stored(_Counting(), tmp_path), syntax._Stored(_Counting(), tmp_path)
    one.parse(["A b."])
    two.parse(["A b.", "C d."])
    one.parse(["E f."])
    (tmp_path / "counting_1" / "zz.jsonl").write_text('{"key": 1}\n{"tree": "(S a", "key": "x"}\n\x00garbage\n[]\n')
    engine = _Counting()
    syntax._Stored(engine, tmp_path).parse(["A b.", "C d.", "E f.", "G h."])
    assert engine.asked == ["G h."]


def test_a_store_that_cannot_be_written_is_done_without(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    parser = syntax._Stored(_Counting(), tmp_path / "file")
    assert len(parser.parse(["A b."])) == 1
    assert "not kept" in capsys.readouterr().err


def test_what_was_parsed_before_a_failure_is_kept(tmp_path):
    class Failing(_Counting):
        def parse_each(self, sentences):
            yield from super().parse_each(sentences[:2])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        syntax._Stored(Failing(), tmp_path).parse(["A.", "B.", "C."])
    engine = _Counting()
    syntax._Stored(engine, tmp_path).parse(["A.", "B.", "C."])
    assert engine.asked == ["C."]


def _module(monkeypatch, name: str, **attributes):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(attributes)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_stanza_by_a_recorded_tree(monkeypatch, tmp_path):
    recorded = "(ROOT (S (NP (PRP It)) (VP (VBZ 's) (NP (DT a) (NN dog))) (. .)))"
    asked = {}

    class Pipeline:
        def __init__(self, language, **options):
            asked.update(options)

        def __call__(self, text):
            return types.SimpleNamespace(sentences=[types.SimpleNamespace(constituency=recorded)])

    _module(monkeypatch, "stanza", Pipeline=Pipeline, __version__="1.10.1")
    _module(monkeypatch, "stanza.resources")
    _module(monkeypatch, "stanza.resources.common", DEFAULT_MODEL_DIR=str(tmp_path))
    assert "stanza" not in installed_parsers()  # the package without its model
    (tmp_path / "en" / "constituency").mkdir(parents=True)
    (tmp_path / "en" / "constituency" / "ptb3.pt").write_bytes(b"")
    parser = open_parser("auto")
    assert parser.label == "stanza 1.10.1 ptb3" and asked["download_method"] is None
    (tree,) = parser.parse(["It's a dog."])
    assert to_brackets(tree) == "(ROOT (S (NP (PRP It's)) (VP (NP (DT a) (NN dog)))))"


def test_benepar_by_a_recorded_tree(monkeypatch):
    class Parser:
        def __init__(self, model):
            assert model == "benepar_en3"

        def parse(self, sentence):
            written = f"(TOP (S (NP (DT {sentence.words[0]}) (NN dog)) (VP (VBZ barks)) (. .)))"
            return types.SimpleNamespace(pformat=lambda margin: written)

    def find(name):
        raise LookupError(name)

    _module(monkeypatch, "benepar", Parser=Parser, InputSentence=types.SimpleNamespace)
    monkeypatch.setattr("importlib.metadata.version", {"benepar": "0.2.0"}.get)
    nltk = _module(monkeypatch, "nltk", data=types.SimpleNamespace(find=find))
    tokens = types.SimpleNamespace(tokenize=str.split)
    _module(monkeypatch, "nltk.tokenize", TreebankWordTokenizer=lambda: tokens)
    assert "benepar" not in installed_parsers()
    nltk.data.find = lambda name: name
    assert "benepar" in installed_parsers()
    parser = open_parser("benepar")
    assert parser.label == "benepar 0.2.0 benepar_en3"
    assert to_brackets(parser.parse(["The dog barks."])[0]) == "(TOP (S (NP (DT The) (NN dog)) (VP (VBZ barks))))"


PRINTED = {
    "It's a well-known thing, Mr. Smith.": "(S (NP it) (VP 's.v (NP a well-known.a thing.n)) , (NP Mr..x Smith{!}) .)",
    "And, the U.S. Army (or so) left.": '(S {and} , (NP the "U.S."{!}.a Army) { {or} so.e } (VP left.v) .)',
    "They're there.": "(S (NP they) (VP 're (ADVP there.#their)) .)",
}  # fmt: skip


@pytest.mark.parametrize(("text", "printed"), PRINTED.items())
def test_what_link_grammar_prints(text, printed):
    tree = link_grammar.parse_text(text, lambda line: printed)
    assert leaves(tree) == words_of_sentence(text)
    assert len(syntactic_distance(tree)) == len(words_of_sentence(text))


def test_a_word_without_a_link_stays_in_the_constituent_around_it():
    tree = link_grammar.parse_text(
        "Dogs and old cats ran.", lambda _: "(S (NP dogs.n) {and} (NP {old} cats) (VP ran.v))"
    )
    assert to_brackets(tree) == "(S (NP Dogs) and (NP old cats) (VP ran))"


def test_a_sentence_that_cannot_be_parsed_is_cut_at_its_marks():
    seen = []

    def parse(line: str) -> str | None:
        seen.append(line)
        return f"(S {line.strip('.;,')})" if len(line.split()) < 6 else None

    tree = link_grammar.parse_text("He ran to the very big house; she, too, walked home.", parse)
    assert to_brackets(tree) == "(S (S (S He ran to the) (S very big house)) (S she too walked home))"
    assert seen[0].startswith("He ran to") and "she, too, walked home." in seen
    never = link_grammar.parse_text("He ran; she walked very far.", lambda line: None)
    assert leaves(never) == ["He", "ran", "she", "walked", "very", "far"]
    long = " ".join(["word,"] * 399) + " word."
    lines = []
    assert len(leaves(link_grammar.parse_text(long, lambda line: lines.append(line)))) == 400
    assert all(len(words_of_sentence(line)) <= link_grammar.WORDS for line in lines)


def test_a_tree_of_the_first_clause_only_is_not_taken():
    lines = []

    def parse(line: str) -> str:
        lines.append(line)
        return f"(S {line.strip('.')})" if "," not in line else "(S He ran)"

    tree = link_grammar.parse_text('He ran off at once," and she walked home.', parse)
    assert to_brackets(tree) == "(S (S He ran off at once) (S and she walked home))"
    assert lines[0].count('"') == 1 and '"' not in lines[1]


def test_what_link_grammar_is_given_is_one_sentence_and_no_command():
    for text, line in {
        "!limit=3": "limit=3.",
        "%  so\nit is": "so it is.",
        "Go,” he said — and left…": 'Go," he said — and left ...',
        "He ran, 😀": "He ran.",
        'He ran."': 'He ran."',
    }.items():
        given = []
        link_grammar.parse_text(text, given.append)  # None: it fails to parse whatever it is given
        assert given[0] == line


needs_link_grammar = pytest.mark.skipif(not link_grammar.is_installed(), reason=HINTS["link-grammar"])


@needs_link_grammar
def test_link_grammar_gives_the_papers_vector_and_takes_anything():
    parser = open_parser("link-grammar")
    assert parser.label.startswith("link-grammar 5.")
    hard = [
        SENTENCE,
        "!limit=3 %comment *star",
        "😀 He ran to the Страна shop.",
        "the of of a to the",
        "42.",
        ") ( unbalanced ] brackets } {here",
        '"Quoted," he said — “and left…” at once.',
        "y'all'd've it's cannot gonna I'd dogs' $3.50 (50%) 10:30",
        "x" * 3000,
    ]
    trees = parser.parse(hard)
    assert [leaves(tree) for tree in trees] == [words_of_sentence(text) for text in hard]
    assert syntactic_distance(trees[0]).tolist() == [0, 2, 1, 3, 1, 8, 7, 6, 5, 4, 3, 2, 1]
    assert open_parser("link-grammar").parse(hard[::-1]) == trees[::-1]


@needs_link_grammar
def test_the_order_and_the_number_of_processes_change_nothing():
    texts = [f"The {a} {b} {c} near the old house, but nobody {c} him." for a in ("big", "sad") for b in ("dog", "man")
             for c in ("saw", "met", "heard")]  # fmt: skip
    alone = list(link_grammar.LinkGrammar(1).parse_each(texts))
    link = link_grammar.LinkGrammar(2)
    assert list(link.parse_each(texts[::-1] * 4)) == (alone[::-1] * 4)


@needs_link_grammar
def test_a_program_that_dies_costs_one_sentence_only():
    if not link_grammar.LinkGrammar().program:
        pytest.skip("the binding is in this process")
    with link_grammar._Program(link_grammar.LinkGrammar().program) as session:
        first = session.constituents("The dog ran.")
        assert first and session.process is not None
        session.process.kill()
        session.process.wait()
        assert session.constituents("The dog ran.") is None
        assert session.constituents("The dog ran.") == first


def test_a_program_that_does_not_start_is_named(tmp_path):
    program = tmp_path / "link-parser"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(UserError, match="does not start"), link_grammar._Program(str(program)) as session:
        session.constituents("The dog ran.")
