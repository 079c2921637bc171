"""The blocks of Markdown: which lines are headings, which are paragraphs, and which are not read.

Read are headings (# and underlined), paragraphs, block quotes, every item of a list as a paragraph of its own, the text
of links and of inline code. Not read: code blocks, tables, pictures, formulas, rules, HTML tags and comments, scripts,
footnotes and their marks, what is struck out, link definitions, a header, and the marks of emphasis around what they
emphasise.
"""

import html
import re
from collections.abc import Callable

from prosody_vae.linguistics.apparatus import without_asides
from prosody_vae.linguistics.blocks import CONTENTS, Block, Items, Unread, is_table, join_lines, unread
from prosody_vae.linguistics.plain_text import HEADING, without_tags

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?")
_RULE = re.compile(r"^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_DEFINITION = re.compile(r"^ {0,3}\[(\^)?[^\]]+\]:\s")
_ELEMENTS = re.compile(r"<(script|style|table|svg|pre|iframe)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_HEADER = re.compile(r"\A(?:---\n(?=[#\w-]).*?\n(?:---|\.\.\.)|\+\+\+\n.*?\n\+\+\+)[^\S\n]*\n", re.DOTALL)
_TOC = re.compile(r"^ {0,3}(?:\[\[?_?toc_?\]\]?|\{:toc\}|\$\{toc\})[^\S\n]*$", re.IGNORECASE | re.MULTILINE)
# Marks of extensions on lines of their own: divisions, attributes, includes, kinds of notes.
_DIRECTIVE = re.compile(
    r"^ {0,3}(?::::+.*|\{[:%][^{}]*\})$|^(?: {0,3}> ?)+\[![A-Z]+\][^\S\n]*$|^!!! *\w+[^\S\n]*|\{%.*?%\}", re.MULTILINE
)
_FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)
_INLINE_FORMULA = re.compile(r"\$(?=\S)(?:[A-Za-z]|[^$\n]*[\\^_={}+][^$\n]*)(?<=\S)\$(?!\d)")
_KINDS = {"table": "table", "svg": "picture", "pre": "code"}


def blocks_of_markdown(text: str) -> Items:
    """The headings and paragraphs of a Markdown text, without marks, and what is not read."""
    items: Items = []

    def element(match: re.Match[str]) -> str:
        if kind := _KINDS.get(match[1].lower()):
            items.append(unread(kind, re.sub(r"<[^>]*>", " ", match[0])))
        return "\n"

    def part(kind: str) -> Callable[[re.Match[str]], str]:
        def leave_out(match: re.Match[str]) -> str:
            items.append(unread(kind, match[0]))
            return "\n"

        return leave_out

    text = re.sub(r"<!--.*?-->", "", text.replace("\r\n", "\n").replace("\r", "\n"), flags=re.DOTALL)
    text = _HEADER.sub(part("header"), text)
    text = _FORMULA.sub(part("formula"), _TOC.sub(part(CONTENTS), _DIRECTIVE.sub("", text)))
    text = _ELEMENTS.sub(element, text)
    left_out: list[Unread] = []
    text = without_asides(
        re.sub(r"</?(?:br|details|div|p|summary)\b[^<>]*>", lambda m: without_tags(m[0]), text), left_out
    )
    items += left_out
    lines: list[str] = []

    def close(level: int | None = None) -> None:
        if lines and level is None and is_table(lines):
            items.append(unread("table", " ".join(lines)))
        elif lines:
            items.extend(_unmarked(join_lines(re.sub(r"\\$", "", line) for line in lines), level))
        lines.clear()

    fence, previous, listed, noted = "", "", False, False
    for raw in text.split("\n"):
        line = re.sub(r"^(?: {0,3}> ?)+", "", raw)
        opened = _FENCE.match(line)
        if fence:
            if opened and opened[1].startswith(fence) and not line.strip(" `~"):
                items.append(unread("code", " ".join(lines)))
                lines.clear()
                fence = ""
            else:
                lines.append(line)
        elif opened:
            close()
            fence, listed, noted = opened[1], listed and line[0].isspace(), False
        elif not line.strip():
            close()
        elif _DEFINITION.match(line):
            close()
            noted = line.lstrip().startswith("[^")
            items += [unread("footnote", line)] if noted else []
        elif noted and (line[0].isspace() or previous.strip()):
            pass  # the note goes on
        elif lines and "|" in lines[-1] and "|" in line and re.fullmatch(r"[\s|:-]+", line):
            heads = lines.pop()
            close()
            lines += [heads, line]
        elif previous.strip() and re.match(r"^ {0,3}: ", line):  # a definition
            close()
            lines.append(line.lstrip(" :"))
        elif lines and re.fullmatch(r" {0,3}(?:=+|-+)\s*", line):
            close(1 if "=" in line else 2)
        elif heading := HEADING.match(line):
            close()
            lines.append(heading[2] or "")
            close(len(heading[1]))
            listed = noted = False
        elif _RULE.match(line):
            close()
        elif _ITEM.match(line) and (listed or not re.match(r"^(?: {4}|\t)", line)):
            close()
            lines.append(_ITEM.sub("", line))
            listed, noted = True, False
        elif re.match(r"^(?: {4}|\t)", line) and not lines and not listed:
            items.append(unread("code", line))
        else:
            if "|" not in line and is_table(lines):
                close()
            listed, noted = listed and (bool(lines) or line[0].isspace()), False
            lines.append(line)
        previous = line
    if fence:
        items.append(unread("code", " ".join(lines)))
        lines.clear()
    close()
    return items


def _unmarked(text: str, level: int | None) -> Items:
    """A block of running text without the marks of Markdown, and the pictures in it."""
    kept: list[str] = []  # what a backslash or backticks protect from the rules that follow
    left_out: list[Unread] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\ue000{len(kept) - 1}\ue001"

    def leave_out(kind: str) -> Callable[[re.Match[str]], str]:
        def leave(match: re.Match[str]) -> str:
            left_out.append(unread(kind, match[match.lastindex or 0]))
            return ""

        return leave

    whole = re.fullmatch(r"\[[^\[\]]+\]\(#[^()]*\)", text)
    text = re.sub(r"(`+)(.+?)\1", lambda m: keep(m[2].strip()), text)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", lambda m: keep(m[1]), text)
    text = re.sub(r"!\[([^\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])?", leave_out("picture"), text)
    text = re.sub(r"\[\^[^\]]+\]", leave_out("footnote mark"), text)
    text = re.sub(r"\^\[([^\[\]]+)\]", leave_out("footnote"), text)
    text = re.sub(r"~~(?=\S)(.+?)(?<=\S)~~", leave_out("struck out"), text)
    text = re.sub(r"(?<!\w):[a-z][a-z0-9_+-]+:(?!\w)", leave_out("picture"), text)
    text = _INLINE_FORMULA.sub(leave_out("formula"), text)
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]+)\]\]", r"\1", text)
    text = re.sub(r"\[([^\[\]]+)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"<((?:https?://|mailto:)[^\s<>]+)>", r"\1", text)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    text = re.sub(r"\{[:#.][^{}]*\}", "", text)
    text = re.sub(r"(?<=\w)~(\w{1,4})~", r"\1", re.sub(r"(?<=\w)\^(\w{1,4})\^", r"^\1", text))
    text = re.sub(r"(\*{1,3}|==)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", text)
    text = html.unescape(text)
    text = " ".join(re.sub(r"\ue000(\d+)\ue001", lambda m: kept[int(m[1])], text).split())
    block: Items = [unread(CONTENTS, text) if whole else Block(level, text)]
    return [*block, *left_out]
