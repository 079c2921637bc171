"""What every page to listen on is made of: one HTML file in one style, light and dark, narrow and wide."""

import base64
import math
from collections.abc import Iterable, Mapping
from html import escape

_STYLE = """
:root { --paper: #fbfaf7; --ink: #1e2126; --soft: #666b74; --line: #e2dfd8; --card: #fff; --accent: #b0441f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14161a; --ink: #e9e7e2; --soft: #9aa0aa; --line: #2b2f36; --card: #1b1e24; --accent: #ff9d66; }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1, h2 { font-family: Georgia, 'Times New Roman', serif; font-weight: normal; line-height: 1.25; margin: 0;
  overflow-wrap: anywhere; }
h1 { font-size: 2rem; }
h2 { font-size: 1.5rem; }
h3 { margin: 0; font-size: 1rem; color: var(--accent); }
header p { max-width: 44rem; color: var(--soft); }
section { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
audio { width: 100%; height: 2.4rem; }
.what, footer { color: var(--soft); font-size: .85rem; }
.what { margin: .1rem 0 .6rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: .2rem 1rem; margin: .5rem 0 0;
  font-size: .85rem; }
dl div { display: flex; gap: .4rem; }
dt { white-space: nowrap; color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
"""


def shown(value: float, form: str, unit: str = "", unknown: str = "not tracked") -> str:
    """A number as print has it: its unit behind it, a minus for a hyphen, and the word `unknown` for NaN."""
    return f"{value:{form}} {unit}".strip().replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else unknown


def facts(values: Mapping[str, str]) -> str:
    """Names and values as a list in HTML."""
    rows = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return f"<dl>{''.join(rows)}</dl>"


def embedded(content: bytes, kind: str) -> str:
    """The address of a file that lies in the page itself, of the media type `kind`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def render_document(
    title: str,
    lead: str,
    sections: Iterable[str],
    about: Mapping[str, str],
    mark: str = "All of it is synthetic speech.",
    style: str = "",
    script: str = "",
) -> str:
    """A whole page as HTML.

    Args:
      title: its heading.
      lead: a paragraph below it.
      sections: what it holds, in HTML.
      about: what made it, name -> value; stands at the foot.
      mark: what of it is synthetic, in words.
      style: CSS of what is particular to this kind of page.
      script: JavaScript that runs when all is there.
    """
    body = "\n".join(sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(lead)}</p>
</header>
{body}
<footer>{facts(about)}<p>{escape(mark)}</p></footer>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""
