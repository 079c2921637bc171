"""All measures of all systems together: what was chosen, what is said with it, the gate, and the ceiling of takes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.corpus.utterance import Utterance, text_key
from copycat_jax.errors import UserError
from prosody_vae.evaluate import intervals, measures, speech, tables
from prosody_vae.evaluate.labels import Label, with_features
from prosody_vae.evaluate.measures import (
    PROSODY,
    LabelledBank,
    Scores,
    Test,
    bank_mean,
    prosody_of,
    score_picks,
    score_prosody,
)
from prosody_vae.evaluate.systems import REFERENCES, Chosen, in_order
from prosody_vae.features import prosodic_features

COMPARED = ("hit", "distance", "rise_hit")  # measures that get a table per category


class SaidFigures(NamedTuple):
    """What the model says with every system's embeddings."""

    features: dict[str, Float[np.ndarray, "d q 4"]]  # system -> prosody of what is said; "heard": the recording
    errors: dict[str, list[dict[str, float]]]  # system -> `speech.phone_errors` of each sentence, means over draws


def make_bank(space: Any, labels: Mapping[str, Label]) -> LabelledBank:
    """The bank of a space; entries without a row in `labels` have none."""
    found = [labels.get(name, Label()) for name in space.ids]
    prosody = prosody_of(with_features(space.ids, space.features, labels))
    return LabelledBank(tuple(space.ids), tuple(x.category for x in found), tuple(x.style for x in found), prosody)


def make_test(utterances: Sequence[Utterance], frame_rate_hz: float, labels: Mapping[str, Label]) -> Test:
    """The test sentences with the prosody of their recordings; what has the same words is one sentence."""
    ids, texts = tuple(u.id for u in utterances), tuple(u.text for u in utterances)
    rows = [prosodic_features(u.f0_hz, u.energy, u.phonemes, u.durations, frame_rate_hz) for u in utterances]
    prosody = prosody_of(with_features(ids, _columns(rows), labels))
    found = [labels.get(name, Label()) for name in ids]
    clusters = tuple(text_key(text) or name for name, text in zip(ids, texts, strict=True))
    return Test(ids, texts, tuple(x.category for x in found), tuple(x.style for x in found), prosody, clusters)


def matching(ids: Sequence[str], pattern: str | None, flag: str) -> np.ndarray:
    """Places of the ids that a regular expression matches; UserError for a bad one, or where none is left."""
    try:
        kept = [i for i, name in enumerate(ids) if pattern is None or re.search(pattern, name)]
    except re.error as error:
        raise UserError(f"not a regular expression ({error})", f"{flag} '{pattern}'", "Quote special signs.") from None
    if not kept:
        raise UserError("matches no utterance", f"{flag} '{pattern}'", f"Ids look like '{ids[0]}'." if ids else "")
    return np.array(kept, np.int64)


def unseen(space: Any, texts: Sequence[str]) -> np.ndarray:
    """Places of the entries of a space that say nothing that is tested: a take of a test sentence may not be chosen."""
    tested = {text_key(text) for text in texts}
    kept = np.array([i for i, text in enumerate(space.texts) if text_key(text) not in tested], np.int64)
    if not len(kept):
        raise UserError("every sentence of the bank is tested too", "--space", "Test other sentences than the bank's.")
    return kept


def trained_on(space: Any, texts: Sequence[str]) -> str:
    """Why the learned selector of a space, given whole, may not be tested on `texts`, or an empty string.

    It would know the answers: where entries that it was trained on, or whose loss chose its weights, say one of them. A
    space without a learned selector has nothing to refuse.
    """
    from prosody_vae.selection.learned import open_learned

    try:
        learned = open_learned(space.path)
    except UserError:
        return ""
    tested, heard = {text_key(text) for text in texts}, learned.heard(space.ids, space.texts)
    known = {key for text, h in zip(space.texts, heard, strict=True) if h and (key := text_key(text)) in tested}
    if not known:
        return ""
    remedy = "Train it without them: copycat train --config configs/selector.py --set data.ids=REGEX."
    return str(UserError(f"it was trained on {len(known)} of {len(tested)} sentences that are tested", remedy=remedy))


def facts(space: Any, bank: LabelledBank, test: Test) -> dict[str, Any]:
    """What was compared: sizes, what analysed the space, the scale of each feature, and what the measures mean."""
    scale = dict(zip(PROSODY, measures.scale_of(bank.prosody).tolist(), strict=True))
    return {
        "bank": {"entries": len(bank.ids), "encoder": space.info.encoder, "parser": space.info.parser, "scale": scale},
        "test": {"recordings": len(test.ids), "sentences": len(set(test.clusters))},
        "definitions": measures.__doc__,
        "dead_zone_st": measures.DEAD_ZONE_ST,
    }


def say_all(
    bundle: Bundle, utterances: Sequence[Utterance], chosen: Mapping[str, Chosen], voices: Float[np.ndarray, "q E"]
) -> SaidFigures:
    """Says every test sentence with every system's embedding, on the recording's own phones, and listens."""
    phones = speech.phones_of(utterances)
    said = {"heard": _stack(speech.heard_features(utterances, bundle.spec))[None]}
    errors: dict[str, list[dict[str, float]]] = {}
    for system, choice in chosen.items():
        rows, found = [], []
        for embeddings in choice.embeddings:
            predicted = speech.predict_phones(bundle, phones, embeddings, voices, label=f"speaking: {system}")
            pairs = list(zip(phones, predicted, strict=True))
            plans = [speech.said_plan(p, prosody) for p, prosody in pairs]
            rows.append(_stack(speech.said_features(bundle, plans, embeddings, voices)))
            found.append([speech.phone_errors(p, np.asarray(x.frames), np.asarray(x.log_f0)) for p, x in pairs])
        said[system] = np.stack(rows)
        errors[system] = [
            {name: float(np.mean([row[name] for row in draws])) for name in draws[0]}
            for draws in zip(*found, strict=True)
        ]
    return SaidFigures(said, errors)


def compare(
    bank: LabelledBank,
    test: Test,
    chosen: Mapping[str, Chosen],
    said: SaidFigures | None = None,
    takes: bool = False,
    draws: int = 1000,
) -> dict[str, Any]:
    """All figures, ready for JSON.

    Args:
      bank: what was chosen from.
      test: what was chosen for.
      chosen: what each system chose; "centroid" must be among them.
      said: what is said with it; without, only the choices are measured.
      takes: add the ceiling, another take of the same sentence.
      draws: bootstrap samples and random orders.
    """
    scores = {
        s: score_picks(s, c.picks, bank, test) for s, c in chosen.items() if s in ("best", "category") or _picked(c)
    }
    scores["centroid"] = score_prosody("centroid", bank_mean(bank, test), bank, test)
    report: dict[str, Any] = {"choice": _section(scores, bank, test, draws)}
    report["equals"] = {s: float(np.median(c.equals)) for s, c in chosen.items() if c.equals is not None}
    every = dict(scores)
    if said is not None:
        spoken = {s: score_prosody(s, p, bank, test) for s, p in said.features.items()}
        if "best" in spoken:  # regret of what is said: against what is said with the best entry
            spoken = {s: x._replace(regret=x.distance - spoken["best"].distance) for s, x in spoken.items()}
        report["speech"] = _section(spoken, bank, test, draws)
        report["gate"] = speech.gate(said.errors, test.clusters, draws)
        report["gate_passed"] = speech.gate_passed(report["gate"]) if "own" in said.errors else None
        every |= {f"{s}, said": x for s, x in spoken.items()}
    if takes:
        report["takes"] = take_ceiling(bank, test, draws)
    report["sentences"] = _sentences(every, bank, test)
    return report


def another_take(test: Test) -> np.ndarray:
    """For each recording the next take of its sentence (the first after the last), -1 where it has no other."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(test.clusters):
        places.setdefault(name, []).append(i)
    return np.array(
        [p[(p.index(i) + 1) % len(p)] if len(p := places[c]) > 1 else -1 for i, c in enumerate(test.clusters)]
    )


def take_ceiling(bank: LabelledBank, test: Test, draws: int = 1000) -> dict[str, Any]:
    """How well another take of a sentence by the same speaker predicts a take: no choice can be asked for more."""
    other = another_take(test)
    prosody = np.where((other >= 0)[:, None], test.prosody[other], np.nan)
    scores = score_prosody("another take", prosody, bank, test)
    kept = other >= 0
    sentences = {test.clusters[i] for i in np.flatnonzero(kept)}
    count = {"recordings": int(kept.sum()), "sentences": len(sentences)}
    return count | {"figures": intervals.figures_of(scores, bank, test, draws)}


def format_report(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    parts = []
    if report.get("gate"):
        own = report["gate_passed"]
        verdict = (
            "" if own is None else " (" + ", ".join(f"{k}: {'passed' if v else 'FAILED'}" for k, v in own.items()) + ")"
        )
        parts.append(
            tables.gate_table(f"Gate: what is said against held-out speech, phone by phone{verdict}", report["gate"])
        )
    for name, what in (("choice", "what was chosen"), ("speech", "what is said with it")):
        if name not in report:
            continue
        section = report[name]
        parts.append(tables.choice_table(f"{what.capitalize()} (null mean, 97.5 %)", section["figures"]))
        if name == "choice" and report.get("takes", {}).get("recordings"):
            section = section | {"figures": section["figures"] | {"another take": report["takes"]["figures"]}}
        title = f"Correlation over sentences with the truth, {what} (null mean, 97.5 %)"
        parts.append(tables.correlation_table(title, section["figures"]))
        parts.append(tables.correlation_table(f"Spearman correlation, {what}", section["figures"], "spearman"))
        parts.append(tables.correlation_table(f"RMSE (secondary), {what}", section["figures"], "rmse"))
        for measure, table in section["by_category"].items():
            shown = tables.MEASURES[measure]
            parts.append(tables.category_table(f"{shown.capitalize()} by category, {what}", table))
        for base, tests in section["t_tests"].items():
            title = f"Paired t-tests on the negative distance to the truth against {base}, {what}"
            parts.append(tables.t_table(title, tests))
    for name, count in report.get("equals", {}).items():
        parts.append(f"{name}: {count:.0f} entries score alike for half of the sentences or more.")
    if report.get("skipped"):
        parts.append("Left out:\n" + "\n".join(f"- {name}: {why}" for name, why in report["skipped"].items()))
    if any(name in report["choice"]["figures"] for name in REFERENCES):
        parts.append("\\* looks at the answer: a reference, no system.")
    return "\n\n".join(parts)


def _section(scores: dict[str, Scores], bank: LabelledBank, test: Test, draws: int) -> dict[str, Any]:
    scores = {name: scores[name] for name in in_order(list(scores))}
    per_category = {}
    if any(test.categories):
        for measure in COMPARED:
            columns = {s: getattr(x, measure) for s, x in scores.items()}
            columns = {s: c for s, c in columns.items() if np.isfinite(c).any()}
            if columns:
                per_category[measure] = {s: intervals.by_category(c, test, draws) for s, c in columns.items()}
    negative = {s: -x.distance for s, x in scores.items()}
    bases = [b for b in ("centroid", "length") if b in scores]
    return {
        "figures": {s: intervals.figures_of(x, bank, test, draws) for s, x in scores.items()},
        "by_category": per_category,
        "t_tests": {base: intervals.t_tests(negative, base, test) for base in bases},
    }


def _sentences(scores: Mapping[str, Scores], bank: LabelledBank, test: Test) -> list[dict[str, Any]]:
    rows = []
    for i, name in enumerate(test.ids):
        row: dict[str, Any] = {
            "id": name,
            "text": test.texts[i],
            "category": test.categories[i],
            "style": test.styles[i],
        }
        row["truth"] = dict(zip(PROSODY, test.prosody[i].tolist(), strict=True))
        row["systems"] = {
            s: {
                "entry": bank.ids[x.picks[0, i]] if x.picks[0, i] >= 0 else None,
                "prosody": dict(zip(PROSODY, x.prosody[0, i].tolist(), strict=True)),
                "distance": float(x.distance[i]),
                "regret": float(x.regret[i]),
            }
            for s, x in scores.items()
        }
        rows.append(row)
    return rows


def _picked(chosen: Chosen) -> bool:
    return bool((chosen.picks >= 0).any())


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def _stack(rows: Sequence[Mapping[str, float]]) -> Float[np.ndarray, "q 4"]:
    return prosody_of(_columns(rows))
