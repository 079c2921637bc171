"""Configuration files: loaded, overridden from the command line, and turned into plain dictionaries.

A file of `configs/` has `get_config(variant)` returning an `Experiment`, which states differences from the defaults. It
becomes a complete, locked ConfigDict here; nothing below the command line sees more of it than a plain dictionary. This
is also the only place where the dotted names of a configuration become functions.
"""

import argparse
import ast
import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    from copycat_jax.train.config import Experiment

Fields = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """`--config FILE[:variant]` and `--set FIELD=VALUE`."""
    parser.add_argument(
        "--config",
        required=required,
        metavar="FILE[:VARIANT]",
        help="a page of configs/, and which size or variant of it",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="overrides",
        help="override a field, such as optimizer.lr=1e-4 (also written --config.optimizer.lr=1e-4); may be repeated",
    )


def rewrite(arguments: Iterable[str]) -> list[str]:
    """Turns flags in the style of ml_collections (`--config.a.b=c` or `--config.a.b c`) into `--set a.b=c`."""
    arguments, out = list(arguments), []
    while arguments:
        argument = arguments.pop(0)
        if not argument.startswith("--config."):
            out.append(argument)
            continue
        name, equals, value = argument.removeprefix("--config.").partition("=")
        if not equals:
            value = arguments.pop(0) if arguments else ""
        out += ["--set", f"{name}={value}"]
    return out


def load_config(place: str, overrides: Iterable[str] = ()) -> Fields:
    """The resolved configuration as a plain nested dictionary.

    Args:
      place: "configs/copycat.py:base"; without a variant the file's own default.
      overrides: "section.field=value", each checked against the field's type.

    Raises:
      UserError: no such file, not a configuration, unknown variant or field, or a value of the wrong type or that its
        field does not allow.
    """
    from ml_collections import ConfigDict

    from copycat_jax.train.config import completed

    path, _, variant = place.partition(":")
    experiment = _load_file(Path(path), variant)
    config = ConfigDict(experiment.to_dict()).lock()
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"no '=' in '{override}'", "--set", "Write FIELD=VALUE.")
        override_field(config, name.strip(), text.strip())
    plain = to_plain(config)
    for section in (experiment.model, experiment.data):
        section.from_dict(plain[section.section])
    return completed(plain)


def _load_file(path: Path, variant: str) -> "Experiment":
    from copycat_jax.train.config import Experiment

    if not path.is_file():
        pages = sorted(str(p) for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        remedy = nearest(str(path), pages) or (
            f"There are: {', '.join(pages)}." if pages else "Run this from a clone of the repository."
        )
        raise UserError("no such configuration", str(path), remedy)
    try:
        spec = importlib.util.spec_from_file_location(f"configuration_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        known = getattr(module, "VARIANTS", ())
        if variant and variant not in known:
            remedy = f"{nearest(variant, known)} Known: {', '.join(known)}."
            raise UserError(f"unknown variant '{variant}'", str(path), remedy)
        experiment = module.get_config(variant) if variant else module.get_config()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"cannot be read ({type(error).__name__}: {error})", str(path), "Give a page of configs/."
        ) from error
    if not isinstance(experiment, Experiment):
        raise UserError("its get_config() returns no Experiment", str(path), "Give a page of configs/.")
    return experiment


def override_field(config: Any, name: str, text: str) -> None:
    """Sets the dotted field `name` of a locked ConfigDict from its text, keeping the field's type; raises UserError."""
    *sections, field = name.split(".")
    place: Any = config
    for depth, section in enumerate(sections):
        inside: Any = place.get(section) if hasattr(place, "keys") else None
        if not hasattr(inside, "keys"):
            raise _unknown(config, name, ".".join(sections[:depth]), section, place)
        place = inside
    if field not in place:
        raise _unknown(config, name, ".".join(sections), field, place)
    if hasattr(place[field], "keys"):
        raise UserError(f"'{name}' is a section", "--set", f"Name a field of it: {', '.join(place[field].keys())}.")
    place[field] = parse_value(text, place[field], name)


def _unknown(config: Any, name: str, prefix: str, part: str, place: Any) -> UserError:
    known = [f"{prefix}.{k}" if prefix else k for k in place] if hasattr(place, "keys") else []
    elsewhere = [f for f in flat(to_plain(config)) if f.rpartition(".")[2] == name.rpartition(".")[2]]
    if elsewhere:  # the right field in the wrong section
        suggestion = f"Did you mean '{min(elsewhere, key=lambda field: field.count('.'))}'?"
    else:
        suggestion = nearest(f"{prefix}.{part}" if prefix else part, known) or f"Known: {', '.join(known)}."
    return UserError(f"unknown field '{name}'", "--set", suggestion)


def parse_value(text: str, current: Any, name: str) -> Any:
    """`text` as a value of the type of `current`; raises UserError where it is not one."""
    wrong = UserError(f"'{text}' is not of type {type(current).__name__} (now {current!r})", f"--set {name}")
    if isinstance(current, bool):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise wrong
        return words[text.lower()]
    if isinstance(current, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError) as error:
        raise wrong from error
    if isinstance(current, tuple | list):
        if not isinstance(value, tuple | list) or (current and len(value) != len(current)):
            raise wrong
        if not current:
            return type(current)(value)
        return type(current)(parse_value(repr(v), c, name) for c, v in zip(current, value, strict=True))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    if isinstance(current, int):
        if not math.isfinite(value) or int(value) != value:
            raise wrong
        return int(value)
    return float(value)


def to_plain(config: Any) -> Any:
    """Nested plain dictionaries of a ConfigDict."""
    return {k: to_plain(v) for k, v in config.items()} if hasattr(config, "items") else config


def flat(fields: Fields, prefix: str = "") -> dict[str, Any]:
    """{"section.field": value} of a nested dictionary."""
    out = {}
    for key, value in fields.items():
        name = f"{prefix}.{key}" if prefix else key
        out |= flat(value, name) if isinstance(value, dict) else {name: value}
    return out


def load_function(dotted: str) -> Callable:
    """The function that a configuration names as "package.module:function"; raises UserError where there is none."""
    module, _, name = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"cannot import '{dotted}' ({error})", "configuration", "Write package.module:function."
        ) from error
