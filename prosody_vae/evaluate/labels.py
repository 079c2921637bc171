"""Labels of utterances: the category of a sentence, the style that it was spoken in, and features measured elsewhere.

Features by the names of `prosody_vae.features.FEATURES` replace those of the corpus. Rendered speech is measured on the
renderer's own curves that way: trackers lose the fast, soft final rise of a rendered question.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.errors import UserError
from prosody_vae.features import FEATURES


class Label(NamedTuple):
    """What is known of an utterance beside its recording; "" where nothing is."""

    category: str = ""
    style: str = ""
    features: tuple[tuple[str, float], ...] = ()  # (name, value), NaN where one is not known


def read_labels(path: str | Path) -> dict[str, Label]:
    """Reads `id`, `category`, `style` and features from JSON lines, or a table with a header (tabs, commas or bars).

    Other fields are ignored; a row without category or style has "" there, an empty feature is NaN.

    Raises:
      UserError: no such file, a line that is no object, no id, a feature that is no number, or one id with two
        different labels.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError("no such file", str(path), "Name a file of id, category, style.")
    text = path.read_text(encoding="utf-8")
    rows = _json_rows(text, path) if text.lstrip().startswith("{") else _table_rows(text, path)
    labels: dict[str, Label] = {}
    for number, row in rows:
        name = str(row.get("id") or "")
        if not name:
            raise UserError("no id", f"{path}:{number}", "Every row needs id, category, style.")
        where = f"{path}:{number}"
        features = tuple((f, _number(row[f], f, where)) for f in FEATURES if f in row)
        label = Label(str(row.get("category") or ""), str(row.get("style") or ""), features)
        if str(labels.setdefault(name, label)) != str(label):  # as text: NaN equals itself
            raise UserError(f"'{name}' has two different labels", where, "Keep one row an utterance.")
    return labels


def with_features(
    ids: Sequence[str], features: Mapping[str, Float[np.ndarray, " n"]], labels: Mapping[str, Label]
) -> dict[str, Float[np.ndarray, " n"]]:
    """The features of a corpus, replaced where a label has its own; one that a label names without a value is NaN."""
    out = {name: np.array(values, np.float64) for name, values in features.items()}
    for i, utterance in enumerate(ids):
        for name, value in labels.get(utterance, Label()).features:
            out[name][i] = value
    return out


def check_labels(labels: dict[str, Label], ids: Sequence[str], path: str | Path) -> None:
    """Raises UserError unless at least one of the `ids` has a label: a file of another corpus says nothing."""
    if not any(name in labels for name in ids):
        known = next(iter(labels), "none")
        remedy = f"Ids of the corpus look like '{ids[0]}', those of the labels like '{known}'."
        raise UserError("no label belongs to any utterance", str(path), remedy)


def _number(value: object, name: str, where: str) -> float:
    try:
        return float("nan") if value in (None, "") else float(str(value))
    except ValueError:
        raise UserError(f"{name} is '{value}'", where, "Give a number, or nothing.") from None


def _json_rows(text: str, path: Path) -> list[tuple[int, dict]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"not JSON ({error.msg})", f"{path}:{number}", "One object per line.") from None
        if not isinstance(row, dict):
            raise UserError("not an object", f"{path}:{number}", "One object per line.")
        rows.append((number, row))
    return rows


def _table_rows(text: str, path: Path) -> list[tuple[int, dict]]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = next((sign for sign in "\t|," if sign in header), "\t")
    if "id" not in header.split(delimiter):
        raise UserError("no column 'id' in its first line", str(path), "Give a header: id, category, style.")
    reader = csv.DictReader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return [(number, row) for number, row in enumerate(reader, 2)]
