"""From training runs to bundles: models read from runs, assembled with voices and a card.

What is assembled is a `Bundle` in memory. Which tasks may be exported, and by what config their fields are read, the
caller says. Formats of others are written from bundles, by `copycat_jax.export`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from copycat_jax.bundle.bundle import Bundle, Speaker, write_bundle
from copycat_jax.bundle.voices import make_card
from copycat_jax.config import Config
from copycat_jax.errors import UserError
from copycat_jax.files import plain
from copycat_jax.mel_spec import MelSpec
from copycat_jax.train import checkpoint


class Trained(NamedTuple):
    """A model of a run: its weights under group "model", complete fields, and what it was trained on and how."""

    task: str
    params: dict[str, Any]
    fields: dict[str, Any]
    spec: MelSpec
    config: dict[str, Any]  # the run's resolved configuration
    step: int


def read_run(
    run_dir: str | Path,
    configs: Mapping[str, type[Config]],
    ema: bool = True,
    step: int | None = None,
    remedy: str = "",
) -> Trained:
    """The model of a run.

    Args:
      run_dir: of `copycat train`.
      configs: the models' own, by the names of the tasks that may be read.
      ema: take the moving average of the weights.
      step: which checkpoint; the latest by default.
      remedy: what to do about a run of another task.

    Raises:
      UserError: no such run or checkpoint, or of another task.
    """
    task = checkpoint.read_task_name(run_dir)
    if task not in configs:
        remedy = remedy or f"Known: {', '.join(configs)}."
        raise UserError(f"a run of '{task}' makes no bundle here", str(run_dir), remedy)
    params, config, found = checkpoint.restore_params(run_dir, ema=ema, step=step)
    fields = configs[task].from_dict(config["model"]).sized(config["shapes"]).to_dict()
    spec = MelSpec.from_dict(config["mel_spec"])
    return Trained(task, params["model"], plain(fields), spec, config, found)


def assemble_bundle(
    trained: Trained,
    parts: Mapping[str, tuple[dict[str, Any], dict[str, Any]]],
    speakers: Mapping[str, Speaker],
    *,
    title: str,
    use: str = "",
    preface: str = "",
) -> Bundle:
    """The bundle of a run, not yet written (its fingerprint is empty).

    Args:
      trained: the run's model.
      parts: (parameters, fields) of the other models of the bundle, by name.
      speakers: its voices.
      title, use: of the model card, see `make_card`.
      preface: text that goes on top of it.
    """
    models = {trained.task: (trained.params, trained.fields), **parts}
    params = {name: model[0] for name, model in models.items()}
    card = preface + make_card(title, params, trained.config, trained.step, speakers, use)
    fields = {name: model[1] for name, model in models.items()}
    return Bundle(trained.task, params, fields, trained.spec, dict(speakers), card, "")


def write_assembled(bundle: Bundle, out: str | Path) -> Path:
    """Writes what `assemble_bundle` made; raises UserError like `write_bundle`."""
    return write_bundle(out, bundle.kind, bundle.params, bundle.config, bundle.spec, bundle.speakers, bundle.card)


def summary(path: Path, bundle: Bundle, step: int) -> str:
    """One line about what was written."""
    files = path.iterdir() if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files) / 1e6
    voices = f", {len(bundle.speakers)} voices" if bundle.speakers else ""
    return f"{path}: kind {bundle.kind}, step {step}, {size:.1f} MB{voices}"
