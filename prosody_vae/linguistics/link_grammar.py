"""The door to link-grammar, through its `link-parser` program or its Python binding.

Link grammar draws links between words; its library derives Penn-style constituents from them. The program is taken
first: several run side by side, a sentence that it cannot finish ends one process and not ours, and it needs no
package for this Python. Both use the same library and the same limits, and give the same trees.

What is done with a hard sentence, in order: all words linked; as few words as possible left unlinked; after
`SECONDS`, link-grammar's panic mode (short links only); then, or where it prints only a part of the sentence, and at
once for more than `WORDS` words, the sentence is cut in two at the phrase mark nearest its middle (semicolon, colon and
dash before comma, any space where there is none), and the trees of the parts are joined under one S. A part of at most
three words that cannot be parsed is flat.
"""

import abc
import contextlib
import importlib.util
import os
import queue
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from copycat_jax.errors import UserError
from prosody_vae.linguistics.alignment import align_tree
from prosody_vae.linguistics.document import words_of_sentence
from prosody_vae.linguistics.trees import Tree, leaves, parse_brackets, rebuild

WORDS = 50
SECONDS = 5
PANIC_SECONDS = 5
LINKAGES = 1000
PER_PROCESS = 20  # a program takes as long to start as some twenty sentences to parse

_OPTIONS = {"constituents": 3, "graphics": 0, "spell": 0, "limit": LINKAGES, "timeout": SECONDS, "verbosity": 1}
_MARKS = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "…": " ... "})
# What link-grammar adds to a token: {!} (matched by a pattern), {?} (unknown), .n or .v-d (which entry), .#correction
_GUESS = re.compile(r"\{[!?~&]\}")
_ENTRY = re.compile(r"(?<=.)\.(?:#\S*|[a-z]+(?:-[a-z]+)*)$")


class LinkGrammar:
    """A parser for `syntax.open_parser`: sentences to trees over their written words.

    Attributes:
      label: name and version.
    """

    def __init__(self, processes: int | None = None):
        self.processes = processes or min(8, os.cpu_count() or 1)
        self.program = shutil.which("link-parser")
        self.label = f"link-grammar {self._version()}"

    def _version(self) -> str:
        if self.program is None:
            import linkgrammar

            return str(linkgrammar.Clinkgrammar.linkgrammar_get_version()).removeprefix("link-grammar-")
        shown = subprocess.run([self.program, "--version"], capture_output=True, text=True, timeout=60)
        found = re.search(r"Version:\s*(?:link-grammar-)?([\w.]+)", shown.stdout + shown.stderr)
        return found[1] if found else "unknown"

    def parse_each(self, sentences: Sequence[str]) -> Iterator[Tree]:
        """The trees of the sentences, in order, as they are finished."""
        workers = min(self.processes, 1 + len(sentences) // PER_PROCESS) if self.program else 1
        with contextlib.ExitStack() as stack:
            free: queue.Queue[_Session] = queue.Queue()
            for _ in range(max(workers, 1)):
                free.put(stack.enter_context(_Program(self.program) if self.program else _Binding()))

            def parse_one(sentence: str) -> Tree:
                session = free.get()
                try:
                    return parse_text(sentence, session.constituents)
                finally:
                    free.put(session)

            if workers <= 1:
                yield from map(parse_one, sentences)
                return
            from concurrent.futures import ThreadPoolExecutor  # the threads only wait for the programs

            pool = stack.enter_context(ThreadPoolExecutor(workers))
            yield from pool.map(parse_one, sentences)


def is_installed() -> bool:
    """Whether the program or the binding is there."""
    return shutil.which("link-parser") is not None or importlib.util.find_spec("linkgrammar") is not None


def parse_text(sentence: str, constituents: Callable[[str], str | None]) -> Tree:
    """The tree over the words of a sentence; `constituents` parses one line to a printed tree, None where it fails."""
    waiting: list[str | int] = [" ".join(sentence.split())]
    finished: list[Tree] = []
    while waiting:
        part = waiting.pop()
        if isinstance(part, int):  # the two parts before it are finished
            right, left = finished.pop(), finished.pop()
            finished.append(Tree("S", (left, right)))
            continue
        words = words_of_sentence(part)
        tree = _whole(part, words, constituents) if len(words) <= WORDS else None
        halves = _cut(part) if tree is None and len(words) > 3 else None
        if tree is not None:
            finished.append(align_tree(tree, words))
        elif halves is None:
            finished.append(Tree("S", tuple(Tree("", (), word) for word in words)))
        else:
            waiting += [2, halves[1], halves[0]]
    return finished[0]


def _whole(text: str, words: Sequence[str], constituents: Callable[[str], str | None]) -> Tree | None:
    """The tree of one text, None where it cannot be had.

    Of about one text in three hundred link-grammar prints the first clause only, often where quotation marks do not
    pair. Such a text is tried without them, and given up (that is, cut) where a fifth of its letters is still missing.
    """
    line = _prepared(text)
    for attempt in dict.fromkeys((line, _prepared(line.replace('"', " ")))):
        printed = constituents(attempt)
        if printed is None:
            return None
        tree = read_constituents(printed)
        if _letters(leaves(tree)) >= 0.8 * _letters(words):
            return tree
    return None


def _letters(words: Iterable[str]) -> int:
    return sum(c.isalnum() for word in words for c in word)


def read_constituents(printed: str) -> Tree:
    """A tree as link-grammar prints it, with its marks taken off the tokens.

    A word that it could not link is printed in braces, in the smallest constituent around its place, and stays there:
    mostly it is a conjunction or an adverb, which a treebank would put there too.
    """
    tree = parse_brackets(_GUESS.sub("", printed))

    def leaf(node: Tree) -> list[Tree]:
        return [node._replace(word=_ENTRY.sub("", node.word or ""))]

    return rebuild(tree, leaf, lambda label, children: [Tree(label, tuple(children))])[0]


def _prepared(text: str) -> str:
    """One line that link-parser reads as a sentence: plain quotes, no emoji, no sign at its start that is a command.

    A fragment gets a full stop: without one, the trees that link-grammar prints lack all after the first clause.
    """
    text = text.translate(_MARKS)
    text = "".join(c if c.isascii() or c.isalpha() or c in "–—" else " " for c in text)
    text = " ".join(re.sub(r"^[\W_]+", "", text).split())
    open_end = re.search(r"[^.!?\"')\]]$", text)
    return re.sub(r"[\s,;:–—-]+$", "", text) + "." if open_end else text


def _cut(text: str) -> tuple[str, str] | None:
    """Two parts of a text, both with words; None where there is no place to cut."""
    middle = len(text) / 2
    for mark in (r"[;:](?=\s)|--|[–—]", r"[,)\]](?=\s)", r"(?=\s)"):
        for match in sorted(re.finditer(mark, text), key=lambda m: abs(m.end() - middle)):
            left, right = text[: match.end()], text[match.end() :]
            if min(len(words_of_sentence(left)), len(words_of_sentence(right))) > len(text.split()) // 10:
                return left, right
    return None


class _Session(abc.ABC):
    """One running parser; a context manager."""

    @abc.abstractmethod
    def constituents(self, line: str) -> str | None:
        """The bracketed tree that the parser prints for one line; None where it finds none."""

    def close(self) -> None:  # noqa: B027 (not every session has something to end)
        """Ends it."""

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _Program(_Session):
    """`link-parser` as a child process that reads one sentence after another.

    Before and after every sentence it is asked to set a variable to a number not used before; the reply is what stands
    between the echoes. It holds back what it prints until a later sentence wants reading, hence two more of one word.
    """

    def __init__(self, program: str):
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = 0

    def constituents(self, line: str) -> str | None:
        if not line or len(line.encode()) > 2000:  # the program's own limit is 2046
            return None
        reply = self._ask(self.process or self._start(), line)
        if reply is None:  # it died of the sentence, or hangs
            self.close()
        printed = [row for row in (reply or "").splitlines() if row.startswith("(")]
        return printed[0] if printed else None

    def _start(self) -> "subprocess.Popen[bytes]":
        options = [f"-{name}={value}" for name, value in _OPTIONS.items()]
        self.process = subprocess.Popen(
            [self.program, "en", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if self._ask(self.process, f"!panic_timeout={PANIC_SECONDS}") is None:
            self.close()
            raise UserError(
                "does not start", self.program, "Install link-grammar-dictionaries-en, or name another parser."
            )
        return self.process

    def _ask(self, process: "subprocess.Popen[bytes]", line: str) -> str | None:
        """What the program prints about a line; None where it has died or does not answer in time."""
        assert process.stdin is not None and process.stdout is not None
        self.asked += 2
        begin, end = 20000 + self.asked, 20001 + self.asked
        try:
            process.stdin.write(f"!width={begin}\n{line}\n!width={end}\nDog\nDog\n".encode())
            process.stdin.flush()
        except OSError:
            return None
        deadline = time.monotonic() + 60 + 4 * (SECONDS + PANIC_SECONDS)
        reply, mark = b"", f"width set to {end}\n".encode()
        while mark not in reply:
            ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                return None
            reply += piece
        return reply.partition(mark)[0].partition(f"width set to {begin}\n".encode())[2].decode(errors="replace")

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


class _Binding(_Session):
    """The Python binding, taken through the same steps as `link-parser` takes a sentence."""

    def __init__(self):
        import linkgrammar

        self.binding = linkgrammar
        self.dictionary = linkgrammar.Dictionary("en")

    def constituents(self, line: str) -> str | None:
        nulls = 250  # the library allows no longer sentence
        options = {"linkage_limit": LINKAGES, "spell_guess": False, "display_morphology": False}
        attempts = (
            {"max_parse_time": SECONDS},
            {"max_parse_time": SECONDS, "min_null_count": 1, "max_null_count": nulls, "islands_ok": False},
            {"max_parse_time": PANIC_SECONDS, "max_null_count": 10, "islands_ok": False, "short_length": 12,
             "all_short_connectors": True, "disjunct_cost": 4.0},
        )  # fmt: skip
        for attempt in attempts:
            choice = self.binding.ParseOptions(**options, **attempt)
            sentence = self.binding.Sentence(line, self.dictionary, choice)
            with contextlib.suppress(self.binding.LG_TimerExhausted):
                linkage = next(iter(sentence.parse()), None)
                if linkage is not None:
                    return linkage.constituent_tree(3)
        return None
