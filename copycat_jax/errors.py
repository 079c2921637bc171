"""The exception for mistakes that a user can mend; `copycat_jax.console` turns it into one line and exit code 2."""

from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's: one line that says what is wrong, where, and what to do.

    Args:
      what: what was wrong, with the value that was found.
      where: the file, field, flag or argument it was found in; empty if `what` names it.
      remedy: what to do about it, as an imperative sentence.
    """

    def __init__(self, what: str, where: str = "", remedy: str = ""):
        self.what, self.where, self.remedy = what, where, remedy
        line = f"{where}: {what}" if where else what
        if remedy:
            line = f"{line.rstrip('.')}. {remedy}"
        super().__init__(" ".join(line.split()))


def nearest(name: str, known: Iterable[object]) -> str:
    """Returns "Did you mean 'x'?" for the closest of the `known` names, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""


def refuse_unknown(fields: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises UserError for the first of the `fields` of section `where` that is not `known`, with the nearest known."""
    names = sorted(known)
    for name in fields:
        if name not in names:
            raise UserError(f"unknown field '{name}'", where, nearest(name, names) or f"Known: {', '.join(names)}.")
