"""Measures the ways of choosing against the truth: what is chosen for test sentences, and what the model then says.

  prosody evaluate --space SPACE --test DATA --test-labels TEST.jsonl --bank-labels BANK.jsonl --bundle BUNDLE \\
      --out figures.json --pictures .

Labels are JSON lines or a table with a header: id, category (wh, orq, yn, compound, list, complex, neutral), style, and
any feature measured better elsewhere. Without labels correlations, regret and the gate remain. Ways that lack what they
need (a parser, an encoder, a learned selector), or that were trained on a tested sentence, are left out and named.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.errors import UserError

if TYPE_CHECKING:
    from prosody_vae.evaluate.systems import Chosen
    from prosody_vae.selection.selector import Selector

BASES = ("centroid",)  # what others are held against is measured whether asked for or not
SHOWN = ("syntactic", "bert", "both", "learned", "best")  # rows of the picture of what was chosen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--space", metavar="DIR", help="the bank; the space that ships by default")
    parser.add_argument("--test", required=True, metavar="DATA", help="test recordings, a folder of `copycat build`")
    parser.add_argument("--bundle", metavar="BUNDLE", help="also measure what this model says (the space's own bundle)")
    parser.add_argument("--bank-labels", metavar="FILE", help="labels of the bank's utterances")
    parser.add_argument("--test-labels", metavar="FILE", help="labels of the test utterances")
    parser.add_argument("--bank-ids", metavar="REGEX", help="only these entries of the space")
    parser.add_argument("--test-ids", metavar="REGEX", help="only these utterances of the test corpus")
    parser.add_argument("--systems", metavar="A,B", help="only these ways of choosing (default: all)")
    parser.add_argument("--takes", action="store_true", help="add the ceiling: another take of the same sentence")
    parser.add_argument("--encoder", metavar="DIR", help="sentence encoder: a folder, or a hub name")
    parser.add_argument("--parser", metavar="NAME", help="constituency parser; the first one installed by default")
    parser.add_argument("--trees", metavar="FILE", help="recorded trees {sentence: tree}, instead of a parser")
    parser.add_argument("--length-rule", default="zero-pad", metavar="RULE", help="as for `prosody select`")
    parser.add_argument("--combine", default="mean", metavar="HOW", help="as for `prosody select`")
    parser.add_argument("--length-rules", action="store_true", help="also compare the rules for unequal lengths")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap samples and random orders (1000)")
    parser.add_argument("--out", required=True, metavar="FILE.json", help="all figures, per sentence and per table")
    parser.add_argument("--pictures", metavar="DIR", help="draw hits.png and chosen.png here")


def run(arguments: argparse.Namespace) -> int | None:
    """Chooses, speaks, measures, prints the tables, and writes the JSON file."""
    _check(arguments)
    import numpy as np

    from copycat_jax.bundle.bundle import read_bundle
    from copycat_jax.corpus.corpus import open_corpus
    from prosody_vae.evaluate import comparison, systems
    from prosody_vae.evaluate.labels import check_labels, read_labels
    from prosody_vae.evaluate.speech import voice_vectors
    from prosody_vae.selection.opening import open_selector
    from prosody_vae.space.files import open_space, shipped_space
    from prosody_vae.space.table import KIND

    bank_labels = read_labels(arguments.bank_labels) if arguments.bank_labels else {}
    test_labels = read_labels(arguments.test_labels) if arguments.test_labels else {}
    space = open_space(arguments.space or shipped_space())
    bundle = None if arguments.bundle is None else read_bundle(arguments.bundle, KIND)
    if bundle is not None:
        space.check_bundle(bundle)
    corpus = open_corpus(arguments.test, with_vectors=False)
    places = comparison.matching(corpus.ids.tolist(), arguments.test_ids, "--test-ids")
    utterances = [corpus.utterance(i) for i in places]
    if bank_labels:
        check_labels(bank_labels, space.ids, arguments.bank_labels)
    if test_labels:
        check_labels(test_labels, [u.id for u in utterances], arguments.test_labels)
    voices = None if bundle is None else voice_vectors(bundle, utterances)
    kept = comparison.matching(space.ids, arguments.bank_ids, "--bank-ids")
    whole, space_kept = space, space.subset(kept)
    unseen = comparison.unseen(space_kept, [u.text for u in utterances])
    if len(unseen) < len(space_kept):
        console.say(f"{len(space_kept) - len(unseen)} entries say a test sentence and are left out of the bank")
    space = space_kept.subset(unseen)

    bank = comparison.make_bank(space, bank_labels)
    test = comparison.make_test(utterances, corpus.spec.frame_rate_hz, test_labels)
    selector = open_selector(
        space,
        encoder=arguments.encoder,
        parser=arguments.parser,
        trees=arguments.trees,
        rule=arguments.length_rule,
        combine=arguments.combine,
    )
    asked = _asked(arguments.systems)
    skipped = _trained(asked, whole, test.texts)
    fair = [name for name in dict.fromkeys((*BASES, *asked)) if name not in skipped]
    chosen, lacking = systems.choose(selector, tuple(fair), test.texts)
    skipped |= lacking
    for name, why in skipped.items():
        console.warn(f"no {name}: {why}")
    own = None
    if bundle is not None:
        from prosody_vae.space.build import build_space

        own = np.asarray(build_space(bundle, corpus, indices=places).mean)
    chosen |= systems.references(bank, test, space.mean, own)
    said = None
    if bundle is not None and voices is not None:
        said = comparison.say_all(bundle, utterances, chosen, voices)
    report = comparison.compare(bank, test, chosen, said, arguments.takes, arguments.draws)
    used = {name: selector.used(name) for name in asked if name in chosen}
    options = {"length_rule": arguments.length_rule, "combine": arguments.combine}
    report = comparison.facts(space, bank, test) | options | {"used": used, "skipped": skipped} | report
    console.say(comparison.format_report(report))
    if arguments.length_rules:
        report["length_rules"] = _length_rules(selector, bank, test)
    _write(report, Path(arguments.out))
    if arguments.pictures:
        _draw(report, chosen, bank, test, Path(arguments.pictures))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    out = Path(arguments.out).absolute()
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise UserError("cannot write there", f"--out {arguments.out}", "Name a file in a folder that you may write.")
    pictures = Path(arguments.pictures or ".").absolute()
    if not os.access(pictures if pictures.exists() else pictures.parent, os.W_OK) or pictures.is_file():
        raise UserError("no folder to write into", f"--pictures {arguments.pictures}", "Name another one.")
    if arguments.draws < 1:
        raise UserError(f"{arguments.draws}", "--draws", "Give a positive number.")
    _asked(arguments.systems)


def _asked(systems: str | None) -> list[str]:
    """The ways of choosing that are measured."""
    from prosody_vae.selection.ways import WAYS, way_named

    return [way_named(name.strip(), "--systems").name for name in systems.split(",")] if systems else list(WAYS)


def _trained(asked: list[str], space: Any, texts: Sequence[str]) -> dict[str, str]:
    """{way: why} of those asked for that were trained on a tested sentence."""
    from prosody_vae.evaluate.comparison import trained_on
    from prosody_vae.selection.ways import WAYS

    learning = [name for name in asked if WAYS[name].learns]
    why = trained_on(space, texts) if learning else ""
    return dict.fromkeys(learning, why) if why else {}


def _length_rules(selector: "Selector", bank: Any, test: Any) -> list[dict[str, Any]]:
    """Prints how the rules for distance vectors of different length choose, and returns the rows."""
    from prosody_vae.selection.lengths import format_table, length_rule_table

    space = selector.space
    if space.distances is None or not any(test.categories):
        remedy = "Build the space with a parser, and give --test-labels and --bank-labels."
        raise UserError("the rules are compared by distances and categories", "--length-rules", remedy)
    queries = selector.equipment.read(test.texts, ("distances",)).distances or ()
    rows = length_rule_table(queries, space.distances, test.categories, bank.categories)
    console.say("\nRules for distance vectors of different length\n\n" + format_table(rows))
    return [row._asdict() for row in rows]


def _write(report: dict[str, Any], path: Path) -> None:
    from copycat_jax.files import plain, write_json

    write_json(path, plain(report))
    console.say(f"wrote {path}")


def _draw(report: dict[str, Any], chosen: "dict[str, Chosen]", bank: Any, test: Any, folder: Path) -> None:
    from prosody_vae.evaluate.systems import in_order
    from prosody_vae.evaluate.tables import SHORT, label
    from prosody_vae.plots import chosen_figure, interval_figure, write_png

    folder.mkdir(exist_ok=True)
    choice = report["choice"]["figures"]
    measure = "hit" if any(test.styles) else "regret"
    rows = {label(s): choice[s][measure] for s in in_order(list(choice))}
    title = "How often the planted style is chosen" if measure == "hit" else "Regret of the choice"
    write_png(folder / "hits.png", interval_figure(rows, title))
    picks = {label(s): bank.prosody[chosen[s].picks[0]] for s in SHOWN if s in chosen}
    write_png(folder / "chosen.png", chosen_figure(picks, test.prosody, test.categories, list(SHORT.values())))
    console.say(f"wrote {folder / 'hits.png'} and {folder / 'chosen.png'}")
