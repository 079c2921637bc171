"""`prosody` as a person types it: help costs nothing; a mistake gets one line, exit code 2, and nothing else."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prosody_vae.cli import VERBS, main
from prosody_vae.linguistics import bert, syntax
from prosody_vae.selection.ties import TIES
from prosody_vae.selection.ways import WAYS
from prosody_vae.space.files import SHIPPED_SPACE, open_space, write_space

HEAVY = ("jax", "flax", "numpy", "transformers", "tokenizers", "gruut", "librosa", "matplotlib", "soundfile", "orbax")
PIZZA = "Who ate the rest of my pizza?"
MIXED, PLAIN = "Hello 你好 my friend 😀, café привет", "Hello my friend , café"
FIRST = "reader__LJ003-0001"
VOICE = SHIPPED_SPACE.parent / "voice"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)])
def test_help_and_import_load_nothing_heavy(arguments):
    call = f"from prosody_vae.cli import main; main({arguments!r})" if arguments else "import prosody_vae"
    show = "print('\\n', *sorted(sys.modules), file=sys.stderr)"
    code = f"import sys\ntry:\n    {call}\nexcept SystemExit:\n    pass\n{show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.split(".")[0] for name in done.stderr.split()}
    assert not found & set(HEAVY) and "prosody_vae" in found
    assert not arguments or arguments == ["--version"] or "usage: prosody" in done.stdout


@pytest.mark.parametrize("verb", ["select", "read", "sweep"])
def test_the_verbs_offer_every_way_of_choosing_and_every_rule(verb, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, way in WAYS.items():
        assert f" {name} {way.about}" in shown
    if verb != "sweep":  # it draws curves of the scores and takes no entry
        assert all(f"{name}: {rule.about}" in shown for name, rule in TIES.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty place to work in, beside spaces made from the shipped one and spoilt, texts, and trees."""
    place = tmp_path_factory.mktemp("prosody")
    shipped = open_space(SHIPPED_SPACE)
    small = shipped.subset(np.arange(0, len(shipped), 60))
    write_space(place / "small", small)
    info = dataclasses.replace(small.info, bundle="f" * 64)
    write_space(place / "foreign", dataclasses.replace(small, info=info))
    other = dataclasses.replace(small.info, encoder_fingerprint="0" * 64)
    write_space(place / "deaf", dataclasses.replace(small, info=other))
    write_space(place / "bare", dataclasses.replace(small, sentence_vectors=None, distances=None, trees=None))
    spoilt = np.array(small.sentence_vectors)
    spoilt[3, 5] = np.nan
    write_space(place / "nan_vector", dataclasses.replace(small, sentence_vectors=spoilt))
    write_space(place / "nan_mean", small)
    mean = np.array(small.mean)
    mean[4, 2] = np.nan
    _overwrite(place / "nan_mean" / "space.safetensors", np.array(small.mean), mean)
    write_space(place / "damaged", small)
    _overwrite(place / "damaged" / "space.safetensors", np.array(small.mean), -mean)
    write_space(place / "cut", small)
    os.truncate(place / "cut" / "space.safetensors", 3000)
    texts = {
        "empty.txt": "",
        "emoji.txt": "😀 🎉\n\n你好。\n",
        "one.txt": f"{PIZZA}\n",
        "two.txt": f"{PIZZA} It was mine.\n",
        "long.txt": "word " * 5000 + "end.\n",
        "open.json": f'{{"{PIZZA}": "(S (NP Who) (VP ate (NP the rest)"}}',
        "closed.json": f'{{"{PIZZA}": "(S (NP Who)) (VP ate) (NP the rest))"}}',
        "letter.json": "{Dear all}",
    }
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    hello = "(S (INTJ Hello) (NP my friend) (NP café))"
    (place / "trees.json").write_text(json.dumps(dict.fromkeys((MIXED, PLAIN), hello)))
    (place / "cyrillic.txt").write_bytes("Это не то.".encode("cp1251"))
    (place / "work").mkdir()
    return place


def _overwrite(path: Path, before: np.ndarray, after: np.ndarray) -> None:
    """Other numbers in the place of an array; in a space named nan_..., the manifest fits them."""
    from copycat_jax.files import file_hash

    content = path.read_bytes()
    assert content.count(before.tobytes()) == 1
    path.write_bytes(content.replace(before.tobytes(), after.tobytes()))
    if path.parent.name.startswith("nan"):
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest[path.name]["sha256"] = file_hash(path)
        (path.parent / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def work(folder, monkeypatch, tmp_path):
    """Works in the empty folder, with a store of parses of its own."""
    monkeypatch.chdir(folder / "work")
    monkeypatch.setenv("PROSODY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(bert.ENVIRONMENT, raising=False)
    return folder


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """A machine with neither parser nor encoder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("stanza", "benepar"):
        monkeypatch.setitem(syntax._IS_INSTALLED, name, lambda: False)
    monkeypatch.setattr(bert, "PACKAGE", "a_package_nobody_has")
    if importlib.util.find_spec("huggingface_hub"):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def refused(capsys, arguments) -> str:
    """The one line that a mistake gets; asserts exit code 2, nothing printed beside it, nothing written."""
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("prosody: ") and len(lines[0]) < 600, lines
    assert said.out == "" and os.listdir(".") == []
    return lines[0]


def select(text=PIZZA, *more, space="small"):
    """`prosody select` by trees that need no parser; `more` may override."""
    return ["select", text, "--space", f"../{space}", "--by", "syntactic", "--trees", "../trees.json", *more]


def by(way, *more, space="small"):
    return ["select", PIZZA, "--space", f"../{space}", "--by", way, *more]


def sweep(book="two.txt", *more):
    return ["sweep", f"../{book}", "--space", "../small", "--trees", "../trees.json", *more]


MISTAKES = {
    "empty text": (select(""), "empty text", "Give a sentence"),
    "white space": (select(" \n\t "), "empty text", "Give a sentence"),
    "no letters": (select("... !? *"), "no letters in '... !? *'", "Give words in Latin letters"),
    "emoji only": (select("😀🎉"), "no letters", "emoji and other scripts are dropped"),
    "another script": (select("你好"), "no letters", "emoji and other scripts are dropped"),
    "empty, by nothing": (["select", "", "--by", "centroid"], "empty text"),
    "5,000 words": (select("word " * 5000), "5000 words in one sentence", "400 are allowed", "Divide it"),
    "brackets left open": (by("syntactic", "--trees", "../open.json"), "open.json", "2 still open", PIZZA, "Close"),
    "brackets too many": (by("syntactic", "--trees", "../closed.json"), "closed.json", PIZZA),
    "no tree": (by("syntactic", "--trees", "../trees.json"), "no tree for 'Who ate", "trees.json", "Add one"),
    "no trees": (by("syntactic", "--trees", "../letter.json"), "letter.json, line 1", "not JSON"),
    "no file of trees": (by("syntactic", "--trees", "absent.json"), "absent.json", "No such file"),
    "another bundle": (select(PIZZA, "--bundle", VOICE, space="foreign"), "foreign", "another bundle", "build-space"),
    "no bundle": (select(PIZZA, "--bundle", "absent"), "no such bundle"),
    "NaN embedding": (select(space="nan_mean"), "nan_mean", "embedding of 'reader", "(row 4)", "Build the space"),
    "NaN vector": (by("bert", space="nan_vector"), "nan_vector", "vector of 'reader", "(row 3)", "Build the space"),
    "damaged space": (select(space="damaged"), "damaged prosody space", "space.safetensors", "Copy it again"),
    "cut space": (select(space="cut"), "damaged prosody space", "space.safetensors", "Copy it again"),
    "missing space": (select(space="absent"), "no such prosody space", "absent", "prosody build-space"),
    "not a space": (select(space="work"), "not a prosody space", "prosody build-space"),
    "another encoder": (by("bert", space="deaf"), "encoder given is", "build the space again"),
    "no vectors in it": (by("bert", space="bare"), "holds no sentence vectors", "with an encoder"),
    "no trees in it": (select(space="bare"), "holds no distances", "with a parser"),
    "nothing to shrink by": (by("shrunk", space="bare"), "holds no distances", "with a parser"),
    "no selector": (by("learned"), "no learned selector", "copycat train --config configs/selector.py"),
    "k above the bank": (select(PIZZA, "--top", "100"), "100 entries", "19 are there", "Ask for 1 to 19"),
    "k above what is left": (by("length", "--top", "19", "--exclude", FIRST), "18 are there"),
    "k = 0": (select(PIZZA, "--top", "0"), "0 entries", "Ask for 1 to 19"),
    "k = 0, by nothing": (by("centroid", "--top", "0"), "0 entries", "Ask for 1 to 19"),
    "k below 0": (select(PIZZA, "--top", "-2"), "-2 entries", "Ask for 1 to 19"),
    "k no number": (select(PIZZA, "--top", "many"), "--top", "'many'", "--help"),
    "unknown way": (select(PIZZA, "--by", "sintactic"), "'sintactic'", "Did you mean 'syntactic'?"),
    "unknown rule for ties": (select(PIZZA, "--ties", "lot"), "rule for ties 'lot'", "first, draw, vector, mean"),
    "unknown rule": (select(PIZZA, "--length-rule", "pad"), "length rule 'pad'", "zero-pad"),
    "unknown mean": (select(PIZZA, "--combine", "sum"), "combining scores 'sum'", "mean, z"),
    "unknown lock": (select(PIZZA, "--lock", "nobody"), "lock", "no utterance 'nobody'", "An id reads like 'reader__"),
    "misspelt lock": (select(PIZZA, "--lock", "reader__LJ003-000"), "Did you mean 'reader__LJ003-0001'?"),
    "unknown exclude": (select(PIZZA, "--exclude", "nobody,x"), "exclude", "no utterance 'nobody'"),
    "lock and exclude": (
        select(PIZZA, "--lock", FIRST, "--exclude", FIRST),
        "locked and excluded at once",
        "Take it out",
    ),
    "unknown parser": (by("syntactic", "--parser", "stanzza"), "'stanzza'", "Did you mean 'stanza'?"),
    "no encoder there": (by("bert", "--encoder", "../work"), "config.json"),
    "no text": (["select"], "TEXT", "--help"),
    "unknown flag": (["select", PIZZA, "--tpo", "3"], "--tpo", "--help"),
    "unknown verb": (["selct", PIZZA], "Did you mean 'select'?"),
    "empty book": (sweep("empty.txt"), "empty.txt", "nothing to read"),
    "book of emoji": (sweep("emoji.txt"), "emoji.txt", "nothing to read: no words in Latin letters"),
    "no book": (sweep("absent.txt"), "absent.txt", "no such file"),
    "book in cyrillic": (sweep("cyrillic.txt"), "cyrillic.txt", "not UTF-8", "Save it"),
    "one sentence": (sweep("one.txt", "--out", "o.png", "--json", "o.json"), "one.txt", "no paragraph of two"),
    "long sentence": (sweep("long.txt"), "no tree for 'word word", "Add one"),
    "weight above 1": (sweep("two.txt", "--lsw", "1.5", "--out", "o.png"), "lsw", "1.5", "from 0"),
    "weight no number": (sweep("two.txt", "--lsw", "nan"), "lsw", "nan", "from 0"),
    "weight a word": (sweep("two.txt", "--lsw", "most"), "--lsw", "'most'", "--help"),
    "nothing to sweep": (sweep("two.txt", "--by", "centroid"), "compares no sentences", "Choose among"),
    "picture of another kind": (sweep("two.txt", "--out", "o.pdf"), "o.pdf", "ends in .png"),
    "figures of another kind": (sweep("two.txt", "--json", "../small"), "small", "ends in .json"),
    "trees in the way": (
        ["sweep", "../two.txt", "--trees", "../open.json", "--json", "../open.json"],
        "open.json",
        "would replace what it is made from",
    ),
    "no folder": (sweep("two.txt", "--out", "absent/o.png"), "absent/o.png", "folder does not exist"),
    "no bundle to build with": (["build-space", "--bundle", "b", "--corpus", "c", "--out", "s"], "no such bundle"),
    "no corpus": (["build-space", "--bundle", VOICE, "--corpus", "c", "--out", "s"], "not a built corpus"),
    "space over a letter": (
        ["build-space", "--bundle", VOICE, "--corpus", "c", "--out", "../one.txt"],
        "is not a prosody space",
        "Choose another place",
    ),
    "batch of 0": (["build-space", "--bundle", "b", "--corpus", "c", "--out", "s", "--batch", "0"], "--batch"),
    "nothing to export": (["export", "--run", "r"], "--out, --space", "Give --out"),
    "no run": (["export", "--run", "r", "--space", "../small"], "no checkpoints"),
    "no kind of bench": (["bench"], "encode,parse", "--help"),
    "bench of nothing": (["bench", "topk", "--rows", "0"], "--rows", "Give a positive number"),
    "bench of an empty bank": (["bench", "topk", "--rows", "9", "--k", "10"], "1 <= k <= rows"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(capsys, work, name):
    arguments, *says = MISTAKES[name]
    if name in ("NaN vector", "another encoder"):
        pytest.importorskip(bert.PACKAGE)
    line = refused(capsys, arguments)
    assert all(part in line for part in says), line


@pytest.mark.parametrize("way", ["syntactic", "bert", "both", "shrunk"])
def test_without_parser_or_encoder_the_line_installs_one(capsys, work, bare_machine, way):
    line = refused(capsys, by(way))
    if way == "bert":
        assert "no sentence encoder is installed" in line and bert.INSTALL in line
    else:
        assert "no constituency parser is installed" in line or "no sentence encoder is installed" in line
    assert main(by("length", "--top", "1")) == 0


def test_foreign_letters_and_emoji_are_dropped_and_said(capsys, work):
    assert main(select(MIXED, "--top", "2")) == 0
    mixed = capsys.readouterr()
    assert main(select(PLAIN, "--top", "2")) == 0
    plain = capsys.readouterr()
    assert mixed.out.splitlines()[1:] == plain.out.splitlines()[1:] and plain.err == ""
    (line,) = mixed.err.splitlines()
    assert "will not be spoken" in line and all(f"'{part}'" in line for part in ("你好", "😀", "привет"))
    assert "café" not in line
