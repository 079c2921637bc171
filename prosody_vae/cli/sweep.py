"""Shows how the weight of language against acoustic continuity (LSW) changes what is chosen for a book.

  prosody sweep book.txt --by syntactic --out sweep.png

For every weight from 1.0 (language alone) to 0.7: the mean acoustic distance from one sentence's recording to the
next one's and the mean linguistic distance of the choices, by the paper's greedy rule and by the exact best path over
each paragraph (Tyagi et al. section 3, Figure 2: sound falls steeply from 1.0 to 0.9, language is given up evenly).
"""

import argparse

from copycat_jax import console
from prosody_vae.cli.select import add_choosing, selector_of

PAPER_WEIGHTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody sweep`."""
    parser.add_argument("book", metavar="BOOK", help="a file of text, Markdown, HTML or EPUB; - for standard input")
    add_choosing(parser, "syntactic")
    parser.add_argument("--out", metavar="OUT.png", help="where to draw the curves")
    parser.add_argument("--json", metavar="OUT.json", help="where to write the figures")
    parser.add_argument(
        "--lsw", type=float, nargs="+", default=list(PAPER_WEIGHTS), help="the weights (1.0 to 0.7 in steps of 0.05)"
    )
    parser.add_argument("--scaled", action="store_true", help="distances in units of the space's mean distance")


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody sweep`."""
    from pathlib import Path

    from copycat_jax.errors import UserError
    from copycat_jax.files import check_file
    from prosody_vae.linguistics.document import read_document
    from prosody_vae.selection.continuity import check_lsw, shape_of, sweep

    for lsw in arguments.lsw:
        check_lsw(lsw)
    for name, suffix in ((arguments.out, ".png"), (arguments.json, ".json")):
        if name is not None and (Path(name).suffix.lower() != suffix or Path(name).is_dir()):
            raise UserError(f"not the name of a {suffix[1:].upper()} file", name, f"Give one that ends in {suffix}.")
        if name is not None and not Path(name).absolute().parent.is_dir():
            raise UserError("its folder does not exist", name, "Make it, or write elsewhere.")
        if name is not None:
            check_file(
                name, suffix, tuple(given for given in (arguments.book, arguments.trees, arguments.parser) if given)
            )
    document = read_document(arguments.book)
    paragraphs = [p.sentences for chapter in document.chapters for p in chapter.paragraphs if p.sentences]
    if max(map(len, paragraphs)) < 2:
        remedy = "Give a text with longer paragraphs; a blank line ends one."
        raise UserError("no paragraph of two sentences, so nothing follows anything", arguments.book, remedy)
    selector = selector_of(arguments)
    plane = selector.plane
    scale = plane.scale if arguments.scaled else 1.0
    rows = sweep(
        (
            selector.similarity(p, arguments.by, weighed=True)
            for p in console.progress(paragraphs, "paragraphs", unit="par")
        ),
        plane.positions,
        sorted(set(arguments.lsw), reverse=True),
        scale=scale,
    )
    facts = {
        "book": Path(arguments.book).name,
        "paragraphs": len(paragraphs),
        "sentences": sum(map(len, paragraphs)),
        **selector.used(arguments.by),
        "scaled": arguments.scaled,
        "mean_distance": plane.scale,
        "rows": [row._asdict() for row in rows],
        "shape": shape_of(rows),
    }
    _print(facts)
    if arguments.json:
        from copycat_jax.files import write_json

        write_json(Path(arguments.json), facts)
    if arguments.out:
        from prosody_vae.plots import sweep_figure, write_png

        unit = "mean distances of two entries" if arguments.scaled else f"raw; two entries: {plane.scale:.2f}"
        write_png(arguments.out, sweep_figure(rows, f"{facts['book']}, by {arguments.by}", unit))
        console.say(f"{arguments.out}: the curves")


def _print(facts: dict) -> None:
    console.say(
        f"{facts['book']}: {facts['sentences']} sentences in {facts['paragraphs']} paragraphs, by {facts['by']}; two "
        f"entries lie {facts['mean_distance']:.3f} apart in the mean" + (" (the unit below)" if facts["scaled"] else "")
    )
    console.say(f"{'':>5}  {'greedy (paper)':^30}  {'exact path':^30}")
    heading = f"{'acoustic':>10}{'linguistic':>11}{'loss':>9}"
    console.say(f"{'LSW':>5}  {heading}  {heading}")
    for row in facts["rows"]:
        lines = [
            f"{row[f'{name}_acoustic']:>10.4f}{row[f'{name}_linguistic']:>11.4f}{row[f'{name}_loss']:>9.4f}"
            for name in ("greedy", "exact")
        ]
        console.say(f"{row['lsw']:>5.2f}  {lines[0]}  {lines[1]}")
    for name in ("greedy", "exact") if len(facts["rows"]) > 1 else ():
        monotone = "yes" if facts["shape"][f"{name}_monotone"] else "no"
        early = facts["shape"][f"{name}_early"]
        console.say(
            f"{name}: monotone {monotone}; {early:.0%} of the acoustic fall within the first third of the weights"
        )
