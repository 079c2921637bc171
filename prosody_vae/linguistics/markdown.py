"""The blocks of Markdown and of plain text: which lines are headings, which are paragraphs, and which are not read.

Of Markdown is read: headings (# and underlined), paragraphs, block quotes, every item of a list as a paragraph of its
own, the text of links and of inline code. Not read: code blocks, tables, images, rules, HTML tags and comments,
footnotes and their marks, link definitions, a YAML header, and the marks of emphasis around what they emphasise.
"""

import html
import re
from typing import NamedTuple

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?")
_RULE = re.compile(r"^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_CHAPTER = re.compile(
    r"^(?:(?:chapter|part|book|section|volume|act|scene|canto)\s+(?:[ivxlcdm]+|\d+|the\s+\w+|[a-z]+)\b"
    r"|(?:prologue|epilogue|preface|foreword|introduction|afterword|conclusion|appendix|interlude)\b)",
    re.IGNORECASE,
)
_GUTENBERG = re.compile(r"^\*\*\* ?(START|END) OF TH(?:E|IS) PROJECT GUTENBERG.*$", re.MULTILINE)


class Block(NamedTuple):
    """A heading or a paragraph of running text.

    Attributes:
      level: of a heading, 0 for the title of the whole, 1 for the largest; None for a paragraph.
      text: without line breaks or marks.
    """

    level: int | None
    text: str


def blocks_of_markdown(text: str) -> list[Block]:
    """The headings and paragraphs of a Markdown text, without marks."""
    text = re.sub(r"<!--.*?-->", "", text.replace("\r\n", "\n"), flags=re.DOTALL)
    text = re.sub(r"\A---\n.*?\n(?:---|\.\.\.)\n", "", text, flags=re.DOTALL)
    blocks: list[Block] = []
    lines: list[str] = []

    def close(level: int | None = None) -> None:
        if lines:
            blocks.append(Block(level, _unmarked(_joined(lines))))
            lines.clear()

    fence, listed = "", False
    for raw in text.split("\n"):
        line = re.sub(r"^(?: {0,3}> ?)+", "", raw)
        opened = _FENCE.match(line)
        if fence:
            fence = "" if opened and opened[1].startswith(fence) and not line.strip(" `~") else fence
        elif opened:
            close()
            fence, listed = opened[1], listed and line[0].isspace()
        elif not line.strip():
            close()
        elif lines and re.fullmatch(r" {0,3}(?:=+|-+)\s*", line):
            close(1 if "=" in line else 2)
        elif heading := _HEADING.match(line):
            close()
            lines.append(heading[2] or "")
            close(len(heading[1]))
            listed = False
        elif _RULE.match(line) or re.match(r"^\s*\|", line) or re.match(r"^ {0,3}\[[^\]]+\]:\s", line):
            close()
        elif _ITEM.match(line) and (listed or not re.match(r"^(?: {4}|\t)", line)):
            close()
            lines.append(_ITEM.sub("", line))
            listed = True
        elif re.match(r"^(?: {4}|\t)", line) and not lines and not listed:
            pass  # indented code
        else:
            listed = listed and (bool(lines) or line[0].isspace())
            lines.append(line)
    close()
    return blocks


def _unmarked(text: str) -> str:
    """The running text without the marks of Markdown."""
    kept: list[str] = []  # what a backslash or backticks protect from the rules that follow

    def keep(text: str) -> str:
        kept.append(text)
        return f"\ue000{len(kept) - 1}\ue001"

    text = re.sub(r"(`+)(.+?)\1", lambda m: keep(m[2].strip()), text)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", lambda m: keep(m[1]), text)
    text = re.sub(r"!\[[^\]]*\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])?", "", text)
    text = re.sub(r"\[\^[^\]]+\]", "", text)
    text = re.sub(r"\[([^\[\]]+)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"<((?:https?://|mailto:)[^\s<>]+)>", r"\1", text)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    text = re.sub(r"(\*{1,3}|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", text)
    text = html.unescape(text)
    return " ".join(re.sub(r"\ue000(\d+)\ue001", lambda m: kept[int(m[1])], text).split())


def blocks_of_text(text: str) -> list[Block]:
    """The headings and paragraphs of a plain text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    marks = list(_GUTENBERG.finditer(text))
    begin = next((m.end() for m in marks if m[1] == "START"), 0)
    text = text[begin : next((m.start() for m in marks if m[1] == "END"), len(text))]
    blocks: list[Block] = []
    awaits_name = False  # a heading that only counts ("CHAPTER IV") may be followed by the chapter's name
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        while lines and (heading := _HEADING.match(lines[0])):
            blocks.append(Block(len(heading[1]), heading[2] or ""))
            lines.pop(0)
        if not lines:
            continue
        short = len(lines) <= 3 and all(len(line.split()) <= 12 for line in lines)
        unstopped = not re.search(r"[.!?,;:…\"”]$", lines[-1])
        if short and _CHAPTER.match(lines[0]) and (unstopped or len(lines[0].split()) <= 3):
            blocks.append(Block(1, ": ".join(line.rstrip(".:") for line in lines)))
            awaits_name = len(lines) == 1 and len(lines[0].split()) <= 2
            continue
        if awaits_name and len(lines) == 1 and short and unstopped:
            blocks[-1] = Block(1, f"{blocks[-1].text}: {lines[0]}")
        elif not blocks and len(lines) <= 3 and short and unstopped and text.strip() != paragraph.strip():
            blocks.append(Block(0, " ".join(lines)))
        else:
            blocks.append(Block(None, _joined(lines)))
        awaits_name = False
    return blocks


def _joined(lines: list[str]) -> str:
    """Lines to running text; a word divided at its hyphen is joined and keeps the hyphen, which may be its own."""
    joined = ""
    for line in (line.strip() for line in lines):
        divided = re.search(r"\w-$", joined) and line[:1].islower()
        joined = joined + line if divided or not joined else f"{joined} {line}"
    return joined
