"""`copycat runs show`: a run as a page of text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copycat_jax.console import duration
from copycat_jax.errors import UserError
from copycat_jax.runs.account import ROWS, Account, Host, account, hosts
from copycat_jax.train.goodput import LOGS, read_attempts
from copycat_jax.train.writer import METRICS_FILE, RUN_PAGE, read_metrics


def read_page(run_dir: str | Path) -> dict[str, Any]:
    """`config.json` of a run: what, with which configuration, of which code and data; raises UserError without one."""
    path = Path(run_dir) / RUN_PAGE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("is no run", str(run_dir), "Give the --run-dir of `copycat train`.") from error


def show(run_dir: str | Path) -> str:
    """The page; raises UserError where the folder is no run, or has no ledgers."""
    page, attempts = read_page(run_dir), read_attempts(run_dir)
    if not attempts:
        raise UserError("no ledger of any attempt", str(Path(run_dir) / LOGS), "Runs write them since 0.4.")
    trained = [r for r in read_metrics(Path(run_dir) / METRICS_FILE) if r["kind"] == "train"]
    own = [a for a in attempts if a.facts["process"] == 0]
    latest = [a for a in attempts if a.number == attempts[-1].number]
    step, steps = trained[-1]["step"] if trained else 0, page["config"]["train"]["steps"]
    lines = [f"{run_dir}: {page['task']}, step {step:,} of {steps:,}, {latest[0].facts['processes']} processes"]
    return "\n".join([*lines, "", *_account_lines(account(own)), "", *_host_lines(hosts(latest))])


def _account_lines(found: Account) -> list[str]:
    lines = [f"{'time':<20} {'seconds':>12} {'share':>8}"]
    for row, title in ROWS.items():
        count = {"step": f"   {found.steps:,} steps", "lost": f"   {found.lost_steps:,} steps"}.get(row, "")
        share = found.seconds[row] / max(found.wall_s, 1e-9)
        lines.append(f"{title:<20} {found.seconds[row]:>12,.1f} {share:>8.1%}{count}")
    lines.append(f"{'wall time':<20} {found.wall_s:>12,.1f} {'':>8}   {duration(found.wall_s)}")
    ends = ", ".join(f"{i}: {end}" for i, end in enumerate(found.ends, 1))
    return [*lines, "", f"{found.attempts} attempts, {found.attempts - 1} restarts ({ends})"]


def _host_lines(rows: Sequence[Host]) -> list[str]:
    if not rows:
        return ["no steps in the last attempt"]
    width = max(4, *(len(r.host) for r in rows))
    lines = [f"{'process':>7}  {'host':<{width}} {'ms a step':>10} {'input':>8} {'slowest':>9}   between steps"]
    for r in sorted(rows, key=lambda r: r.process):
        note = "   <- waits for its input" * r.starved + "   <- slow there" * r.slow
        spans = f"{r.slowest[0]:,} and {r.slowest[1]:,}"
        figures = f"{r.step_ms:>10.1f} {r.input_ms:>8.1f} {r.slowest_ms:>9.1f}"
        lines.append(f"{r.process:>7}  {r.host:<{width}} {figures}   {spans}{note}")
    return lines
