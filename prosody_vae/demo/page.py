"""The demo's page: one HTML file that needs nothing but the sounds and pictures beside it; light and dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple


class Card(NamedTuple):
    """One way of saying one sentence."""

    title: str
    about: str  # what the way of choosing takes
    wav: str  # file name beside the page
    picture: str
    seconds: float
    features: Mapping[str, str]  # what was measured on the sound: name -> value with unit
    chosen: str  # the text of the chosen recording; empty where none was chosen
    source: str  # its id
    scores: Mapping[str, float]  # similarity by name
    note: str = ""  # how a tie, or a score that says nothing, was settled


class Group(NamedTuple):
    """A sentence with every way of saying it."""

    text: str
    tree: str  # bracketed, or empty
    cards: Sequence[Card]


_STYLE = """
:root { --paper: #fbfaf7; --ink: #1e2126; --soft: #666b74; --line: #e2dfd8; --card: #fff; --accent: #b0441f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14161a; --ink: #e9e7e2; --soft: #9aa0aa; --line: #2b2f36; --card: #1b1e24; --accent: #ff9d66; }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1, h2 { font-family: Georgia, 'Times New Roman', serif; font-weight: normal; line-height: 1.25; margin: 0; }
h1 { font-size: 2rem; }
h2 { font-size: 1.5rem; }
header p { max-width: 44rem; color: var(--soft); }
section { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
details { margin: .4rem 0 0; color: var(--soft); font-size: .85rem; }
code { overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; }
h3 { margin: 0; font-size: 1rem; color: var(--accent); }
.what, .source, footer { color: var(--soft); font-size: .85rem; }
.what { margin: .1rem 0 .6rem; }
audio { width: 100%; height: 2.4rem; }
img { display: block; width: 100%; margin: .5rem 0; }
blockquote { margin: .5rem 0 .2rem; padding-left: .75rem; border-left: 3px solid var(--accent);
  font-family: Georgia, serif; }
.source { margin: 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: .2rem 1rem; margin: .5rem 0 0;
  font-size: .85rem; }
dl div { display: flex; gap: .4rem; }
dt { white-space: nowrap; }
dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
"""


def shown(value: float, form: str, unit: str = "") -> str:
    """A number as print has it: its unit behind it, a minus for a hyphen, and words for NaN."""
    return f"{value:{form}} {unit}".strip().replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "not tracked"


def render_page(groups: Sequence[Group], about: Mapping[str, str]) -> str:
    """The page as HTML.

    Args:
      groups: the sentences; the file names of their cards are relative to the page.
      about: what made them, name -> value; stands at the foot.
    """
    sections = "\n".join(_section(group) for group in groups)
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in about.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Prosody chosen by language</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Prosody chosen by language</h1>
<p>The same model, the same voice, the same words. What differs is the prosody embedding: the mean of all
recordings, or that of the one recording whose sentence is linguistically most similar (after Tyagi et al., Interspeech
2020). Each picture shows the spectrogram of what you hear, and its F0 on a logarithmic scale; those of a sentence share
their axes.</p>
</header>
{sections}
<footer><dl>{rows}</dl><p>All of it is synthetic speech.</p></footer>
</body>
</html>
"""


def _section(group: Group) -> str:
    tree = ""
    if group.tree:
        tree = f"<details><summary>its constituency tree</summary><code>{escape(group.tree)}</code></details>"
    cards = "\n".join(_card(card) for card in group.cards)
    return f'<section>\n<h2>{escape(group.text)}</h2>\n{tree}\n<div class="cards">\n{cards}\n</div>\n</section>'


def _card(card: Card) -> str:
    chosen = '<p class="source">No recording is chosen.</p>'
    if card.chosen:
        scores = ", ".join(f"{key} {shown(value, '.3f')}" for key, value in card.scores.items())
        chosen = (
            f"<blockquote>{escape(card.chosen)}</blockquote>"
            f'<p class="source">{escape(card.source)}{" &middot; " if scores else ""}{escape(scores)}</p>'
        )
    note = f'\n<p class="source">{escape(card.note[0].upper() + card.note[1:])}.</p>' if card.note else ""
    measured = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in card.features.items()
    )
    return f"""<article>
<h3>{escape(card.title)}</h3>
<p class="what">{escape(card.about)}</p>
<audio controls preload="metadata" src="{escape(card.wav)}"></audio>
<img src="{escape(card.picture)}" alt="spectrogram and F0, {card.seconds:.1f} seconds" loading="lazy">
{chosen}{note}
<dl>{measured}</dl>
</article>"""
