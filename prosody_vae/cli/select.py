"""Chooses, among the recordings of a prosody space, those whose prosody fits a sentence, and says why.

  prosody select "Who ate the rest of my pizza?" --by both --top 5

What a sentence is compared by is a way of choosing (--by); which of several recordings that score alike is taken, a
rule (--ties).
"""

import argparse
import json
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from prosody_vae.selection.ties import TIES
from prosody_vae.selection.ways import WAYS

if TYPE_CHECKING:
    from prosody_vae.selection.choice import Choice
    from prosody_vae.selection.selector import Selector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `prosody select`."""
    parser.add_argument("text", metavar="TEXT", help="one sentence")
    add_choosing(parser, "both")
    own = {rule: [name for name, way in WAYS.items() if way.ties == rule] for rule in TIES}
    add_ties(parser, "; ".join(f"{rule} for {', '.join(names)}" for rule, names in own.items() if names))
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many recordings to list (5)")
    parser.add_argument("--lock", metavar="ID", help="speak like this recording, whatever is most similar")
    parser.add_argument("--exclude", metavar="ID,...", default="", help="recordings never to choose")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_choosing(parser: argparse.ArgumentParser, by: str) -> None:
    """Declares what every verb that chooses takes: the space, the way, and what analyses the sentences."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["ways of choosing:", *(f"  {name:<14}{way.about}" for name, way in WAYS.items())])
    parser.add_argument("--space", metavar="DIR", help="the prosody space; the one that ships by default")
    parser.add_argument("--bundle", metavar="DIR", help="check that the space was built with this bundle")
    parser.add_argument("--by", default=by, metavar="WAY", help=f"one of {', '.join(WAYS)} ({by})")
    parser.add_argument(
        "--length-rule",
        default="zero-pad",
        metavar="RULE",
        help="how distance vectors of different length are compared: zero-pad (default), truncate, resample",
    )
    parser.add_argument(
        "--combine", default="mean", metavar="HOW", help="both: mean (default, the paper's) or z (of z-scores)"
    )
    parser.add_argument("--encoder", metavar="DIR", help="sentence encoder: a folder, or a hub name")
    parser.add_argument("--parser", metavar="NAME", help="constituency parser; the first one installed by default")
    parser.add_argument("--trees", metavar="FILE", help="JSON of recorded trees {sentence: tree}, instead of a parser")


def add_ties(parser: argparse.ArgumentParser, default: str) -> None:
    """Declares the rule for ties, of verbs that choose one entry for each sentence."""
    rules = "; ".join(f"{name}: {rule.about}" for name, rule in TIES.items())
    parser.add_argument(
        "--ties",
        metavar="RULE",
        help=f"which of several recordings that score alike is taken (default: {default}). {rules}",
    )


def names_in(given: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in given.split(",") if name.strip()]


def selector_of(arguments: argparse.Namespace) -> "Selector":
    """The selector that the arguments of `add_choosing` ask for."""
    from prosody_vae.selection.opening import open_selector

    return open_selector(
        arguments.space,
        bundle=arguments.bundle,
        encoder=arguments.encoder,
        parser=arguments.parser,
        trees=arguments.trees,
        rule=arguments.length_rule,
        combine=arguments.combine,
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs `prosody select`."""
    from copycat_jax.text.lexicon import tell_unspoken

    selector = selector_of(arguments)
    exclude = names_in(arguments.exclude)
    lock = None if arguments.lock is None else {0: arguments.lock}
    choice = selector.select([arguments.text], arguments.by, arguments.top, lock, exclude, arguments.ties)[0]
    facts, details = _facts(selector, choice, arguments.ties), selector.details(choice)
    tell_unspoken(arguments.text)
    if arguments.json:
        console.say(json.dumps({**choice.to_dict(), **facts, **details}, indent=1, allow_nan=False))
        return
    for line in _table(choice):
        console.say(line)
    console.say(
        f"centroid: the mean of {facts['space_entries']} recordings; the embedding chosen lies "
        f"{facts['from_centroid']:.2f} from it ({facts['from_centroid_mean']:.2f} in the mean over the recordings)"
    )
    for line in WAYS[choice.by].explain(details) if details else ():
        console.say(line)


def _facts(selector: "Selector", choice: "Choice", ties: str | None) -> dict[str, Any]:
    """What surrounds the choice: what it was made with, and the centroid."""
    distance, mean = selector.bank.from_centroid(choice.embedding)
    return {**selector.used(choice.by, ties), "from_centroid": distance, "from_centroid_mean": mean}


def _table(choice: "Choice") -> list[str]:
    """The choice's entries as lines: every score, the recording, what it says."""
    lines = [f"'{choice.text}' by {choice.by}{f' ({choice.note})' if choice.note else ''}"]
    if not choice.entries:
        return lines
    names = list(dict.fromkeys(name for entry in choice.entries for name in entry.scores))
    width = max(len("recording"), *(len(entry.id) for entry in choice.entries))
    lines.append(f"   {'score':>9}" + "".join(f" {n:>9}" for n in names) + f"  {'recording':<{width}}  its sentence")
    for place, entry in enumerate(choice.entries, 1):
        mark = "*" if choice.locked and place == 1 else " "
        scores = "".join(f" {_number(entry.scores.get(name))}" for name in names)
        lines.append(f"{place:>2}{mark}{_number(entry.score)}{scores}  {entry.id:<{width}}  {_short(entry.text, 60)}")
    if choice.locked:
        lines.append("* locked")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return f"{'':>9}"
    return f"{value:>9.4f}" if abs(value) < 100 else f"{value:>9.2f}"


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
