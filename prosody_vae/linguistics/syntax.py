"""Constituency parsers behind one small interface, and a store of what they have parsed.

`open_parser("auto")` takes the first of `PARSERS` that is installed with its model: stanza, then benepar, then
link-grammar. The two neural parsers come first because they agree with the Penn Treebank far better (about 0.95 of
their brackets by their authors' measurement; link-grammar 0.82 of 24 sentences, always branching to the right 0.62),
stanza before benepar because it is kept up. A name overrides the order; so does a file of recorded trees. Nothing is
ever downloaded from here. "right-branching" is no parser and is taken only when it is named.

Every parser's tree comes back over the written words of its sentence, see `alignment.align_tree`.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from copycat_jax import console
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import replacing_file, user_cache_folder
from prosody_vae.linguistics.alignment import align_tree
from prosody_vae.linguistics.document import check_sentence, words_of_sentence
from prosody_vae.linguistics.protocols import Parser
from prosody_vae.linguistics.trees import Tree, parse_brackets, to_brackets

__all__ = ["HINTS", "PARSERS", "align_tree", "installed_parsers", "open_parser", "recorded_parser"]

PARSERS = ("stanza", "benepar", "link-grammar")
"""The order in which "auto" looks."""

HINTS = {
    "stanza": "pip install stanza && python -c \"import stanza; stanza.download('en')\"",
    "benepar": "pip install benepar && python -c \"import benepar; benepar.download('benepar_en3')\"",
    "link-grammar": "sudo apt install link-grammar link-grammar-dictionaries-en # macOS: brew install link-grammar",
}
"""The line that installs each parser with its English model."""

_BLOCK = 200  # sentences between two writes of the store
_RULES = 2  # of alignment and of the adapters; raised when they change, so that what older ones stored is parsed again


@runtime_checkable
class _Engine(Protocol):
    """A parser as its adapter knows it: without a store, trees in order as they are finished."""

    label: str

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]: ...


def open_parser(name: str = "auto", cache: str | Path | None = None) -> Parser:
    """Opens a parser.

    Args:
      name: "auto" (the first of `PARSERS` that is installed), one of `PARSERS`, "right-branching", or a file of
        recorded trees.
      cache: the folder in which parses are kept, by text and parser label; the user's cache folder by default
        (`$PROSODY_CACHE`, else `prosody` in `$XDG_CACHE_HOME` or `~/.cache`); "" for none.

    Raises:
      UserError: unknown, or not installed, with the line that installs it.
    """
    if name == "auto":
        name = next(iter(installed_parsers()), "")
        if not name:
            lines = "; ".join(f"{known}: {line}" for known, line in HINTS.items())
            raise UserError("no constituency parser is installed", "parser", f"Install one. {lines}")
    if name == "right-branching":
        return _Stored(_RightBranching(), None)
    if name not in PARSERS:
        if Path(name).is_file():
            return recorded_parser(name)
        known = ("auto", *PARSERS, "right-branching")
        raise UserError(
            f"unknown parser '{name}'",
            "parser",
            nearest(name, known) or f"Choose one of {', '.join(known)}, or a file of trees.",
        )
    if not _IS_INSTALLED[name]():
        raise UserError(f"{name} or its English model is not installed", "parser", f"Run: {HINTS[name]}")
    return _Stored(_OPENERS[name](), None if cache == "" else Path(cache or _cache_folder()))


def installed_parsers() -> list[str]:
    """Those of `PARSERS` that are installed together with their English model, in order."""
    return [name for name in PARSERS if _IS_INSTALLED[name]()]


def recorded_parser(trees: str | Path | Mapping[str, str], label: str = "") -> Parser:
    """A parser that looks its trees up, for parses made elsewhere, by hand or by another program.

    Args:
      trees: Penn brackets by text; or a file of them, JSON `{text: tree}`, JSON `{text: {"tree": tree, "parser": what
        made it}}`, or lines `text<TAB>tree`.
      label: what made the trees; by default what the file says made them, else "recorded" and the file's name.

    Raises:
      UserError: no such file, or not of that form; when parsing, a text that has no tree, or brackets that do not
        balance.
    """
    if isinstance(trees, Mapping):
        return _Stored(_Recorded(dict(trees), label or "recorded trees", label or "the recorded trees"), None)
    path = Path(trees)
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(reason, str(path), "Give a file of recorded trees.") from None
    found, made_by = _recorded(content, path)
    return _Stored(_Recorded(found, label or made_by or f"recorded {path.name}", str(path)), None)


def _recorded(content: str, path: Path) -> tuple[dict[str, str], str]:
    """The trees of a file's content, and what it says made them."""
    if content.lstrip().startswith("{"):
        try:
            found = json.loads(content)
        except json.JSONDecodeError as error:
            raise UserError(f"not JSON: {error.msg}", f"{path}, line {error.lineno}", "Write {text: tree}.") from None
        rows = {text: row if isinstance(row, dict) else {"tree": row} for text, row in found.items()}
        if all(isinstance(row.get("tree"), str) for row in rows.values()):
            makers = dict.fromkeys(str(row["parser"]) for row in rows.values() if row.get("parser"))
            return {text: row["tree"] for text, row in rows.items()}, ", ".join(makers)
        raise UserError("a tree that is not a string", str(path), "Write {text: tree}, the tree in Penn brackets.")
    trees = {}
    for i, line in enumerate(content.splitlines(), 1):
        text, tab, tree = line.partition("\t")
        if tab:
            trees[text.strip()] = tree.strip()
        elif line.strip():
            raise UserError("no tab in the line", f"{path}, line {i}", "Write text<TAB>tree on each line.")
    return trees, ""


class _Stored:
    """A parser over an engine: sentences checked, each parsed once, parses kept in a folder.

    The folder holds JSON lines in files of up to `_BLOCK` parses that are written once, under a temporary name, and
    never changed; so any number of processes may share it.
    """

    def __init__(self, engine: _Engine, folder: Path | None):
        self.engine = engine
        self.label = engine.label
        self.folder = folder / re.sub(r"[^\w.-]+", "_", engine.label) if folder else None
        self.known: dict[str, str] | None = None

    def parse(self, sentences: Sequence[str]) -> list[Tree]:
        """See `protocols.Parser.parse`."""
        sentences = list(sentences)
        for sentence in sentences:
            check_sentence(sentence)
        if self.known is None:
            self.known = self._read()
        missing = [text for text in dict.fromkeys(sentences) if self._key(text) not in self.known]
        found = self.engine.parse_each(missing)
        if len(missing) > 50:
            found = console.progress(found, f"parsing ({self.label})", total=len(missing), unit="sentence")
        fresh: dict[str, str] = {}
        try:
            for text, tree in zip(missing, found, strict=True):
                fresh[text] = to_brackets(tree)
                if len(fresh) == _BLOCK:
                    self._keep(fresh)
                    fresh = {}
        finally:
            self._keep(fresh)
        return [parse_brackets(self.known[self._key(text)]) for text in sentences]

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.label}\n{_RULES}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()

    def _read(self) -> dict[str, str]:
        """What the folder holds; a line that is damaged or not ours is parsed again."""
        known = {}
        for path in sorted(self.folder.glob("*.jsonl")) if self.folder else ():
            for line in path.read_text("utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                    parse_brackets(row["tree"])
                    known[row["key"]] = row["tree"]
                except (ValueError, KeyError, TypeError, UserError):
                    continue
        return known

    def _keep(self, trees: dict[str, str]) -> None:
        """Adds trees to what is known, and writes them; a folder that refuses is done without."""
        rows = [{"key": self._key(text), "text": text, "tree": tree} for text, tree in trees.items()]
        assert self.known is not None
        self.known |= {row["key"]: row["tree"] for row in rows}
        if not rows or self.folder is None:
            return
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        path = self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing_file(path) as temporary:
                temporary.write_bytes(content)
        except (OSError, UserError) as error:
            console.warn(f"parses are not kept: {error}")
            self.folder = None


def _cache_folder() -> Path:
    return Path(os.environ.get("PROSODY_CACHE") or user_cache_folder() / "prosody") / "trees"


class _Recorded:
    """Trees that are looked up by their text, exactly or but for white space."""

    def __init__(self, trees: dict[str, str], label: str, where: str):
        self.trees = {" ".join(text.split()): tree for text, tree in trees.items()}
        self.label, self.where = label, where

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]:
        for sentence in sentences:
            written = self.trees.get(" ".join(sentence.split()))
            if written is None:
                shown = sentence if len(sentence) <= 200 else f"{sentence[:200]}..."
                raise UserError(f"no tree for '{shown}'", self.where, "Add one, or name a parser.")
            try:
                tree = parse_brackets(written)
            except UserError as error:
                raise UserError(f"{error.what} (tree of '{sentence}')", self.where, error.remedy) from None
            yield align_tree(tree, words_of_sentence(sentence))


class _RightBranching:
    """No parser: every sentence one flat constituent, which binarising branches to the right."""

    label = "right-branching"

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]:
        for sentence in sentences:
            yield Tree("S", tuple(Tree("", (), word) for word in words_of_sentence(sentence)))


class _Stanza:
    """stanza's constituency processor; it splits words its own way, and keeps each text one sentence."""

    def __init__(self):
        import stanza

        self.pipeline: Any = stanza.Pipeline(
            "en",
            processors="tokenize,pos,constituency",
            tokenize_no_ssplit=True,
            download_method=None,
            verbose=False,
        )
        self.label = f"stanza {stanza.__version__} {_stanza_models()[0]}"

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]:
        for sentence in sentences:
            parts = [parse_brackets(str(part.constituency)) for part in self.pipeline(sentence).sentences]
            tree = parts[0] if len(parts) == 1 else Tree("S", tuple(parts))
            yield align_tree(tree, words_of_sentence(sentence))


def _stanza_models() -> list[str]:
    """Names of the English constituency models that stanza finds on this disk."""
    if importlib.util.find_spec("stanza") is None:
        return []
    from stanza.resources.common import DEFAULT_MODEL_DIR

    return sorted(path.stem for path in Path(DEFAULT_MODEL_DIR).glob("en/constituency/*.pt"))


class _Benepar:
    """benepar with its English model; its tokens are the Treebank's."""

    def __init__(self):
        import benepar
        from nltk.tokenize import TreebankWordTokenizer

        self.parser: Any = benepar.Parser("benepar_en3")
        self.tokens = TreebankWordTokenizer()
        self.sentence = benepar.InputSentence
        self.label = f"benepar {importlib.metadata.version('benepar')} benepar_en3"

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]:
        for sentence in sentences:
            tree = self.parser.parse(self.sentence(words=self.tokens.tokenize(" ".join(sentence.split()))))
            yield align_tree(parse_brackets(tree.pformat(margin=1 << 30)), words_of_sentence(sentence))


def _has_benepar() -> bool:
    if importlib.util.find_spec("benepar") is None or importlib.util.find_spec("nltk") is None:
        return False
    import nltk

    try:
        nltk.data.find("models/benepar_en3")
    except LookupError:
        return False
    return True


def _has_link_grammar() -> bool:
    from prosody_vae.linguistics import link_grammar

    return link_grammar.is_installed()


def _link_grammar() -> _Engine:
    from prosody_vae.linguistics.link_grammar import LinkGrammar

    return LinkGrammar()


_IS_INSTALLED: dict[str, Callable[[], bool]] = {
    "stanza": lambda: bool(_stanza_models()),
    "benepar": _has_benepar,
    "link-grammar": _has_link_grammar,
}
_OPENERS: dict[str, Callable[[], _Engine]] = {"stanza": _Stanza, "benepar": _Benepar, "link-grammar": _link_grammar}
