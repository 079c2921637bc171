"""The demo's page: one HTML file that needs nothing but the sounds and pictures beside it; light and dark."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from copycat_jax.page import facts, render_document, shown


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
details { margin: .4rem 0 0; color: var(--soft); font-size: .85rem; }
code { overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; }
img { display: block; width: 100%; margin: .5rem 0; }
blockquote { margin: .5rem 0 .2rem; padding-left: .75rem; border-left: 3px solid var(--accent);
  font-family: Georgia, serif; }
.source { margin: 0; color: var(--soft); font-size: .85rem; }
"""


def render_page(groups: Sequence[Group], about: Mapping[str, str]) -> str:
    """The page as HTML.

    Args:
      groups: the sentences; the file names of their cards are relative to the page.
      about: what made them, name -> value; stands at the foot.
    """
    lead = (
        "The same model, the same voice, the same words. What differs is the prosody embedding: the mean of all "
        "recordings, or that of the one recording whose sentence is linguistically most similar (after Tyagi et al., "
        "Interspeech 2020). Each picture shows the spectrogram of what you hear, and its F0 on a logarithmic scale; "
        "those of a sentence share their axes."
    )
    return render_document("Prosody chosen by language", lead, map(_section, groups), about, style=_STYLE)


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
    return f"""<article>
<h3>{escape(card.title)}</h3>
<p class="what">{escape(card.about)}</p>
<audio controls preload="metadata" src="{escape(card.wav)}"></audio>
<img src="{escape(card.picture)}" alt="spectrogram and F0, {card.seconds:.1f} seconds" loading="lazy">
{chosen}{note}
{facts(card.features)}
</article>"""
