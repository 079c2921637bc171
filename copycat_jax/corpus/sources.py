"""The utterances of several corpora, less what must not enter."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from copycat_jax import console
from copycat_jax.corpus.readers import Raw, read_corpus
from copycat_jax.corpus.utterance import text_key
from copycat_jax.errors import UserError
from copycat_jax.files import check_local


@dataclasses.dataclass(frozen=True)
class Exclusions:
    """What must not enter a corpus, whatever the reason: checked on every raw utterance."""

    ids: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()  # as given by utterance.text_key
    pattern: str = ""  # regular expression searched in the id

    def cover(self, raw: Raw) -> bool:
        """Whether `raw` is excluded."""
        if raw.id in self.ids or raw.speaker in self.speakers:
            return True
        if raw.text is not None and text_key(raw.text) in self.texts:
            return True
        return bool(self.pattern and re.search(self.pattern, raw.id))

    def __bool__(self) -> bool:
        return bool(self.ids or self.speakers or self.texts or self.pattern)


def read_sources(sources: Sequence[tuple[str, str | Path]], exclusions: Exclusions) -> tuple[list[Raw], int]:
    """Raw utterances of all sources that are not excluded, and how many are.

    Raises:
      UserError: no source, an id in two sources, or exclusions that exclude nothing (a list for another corpus).
    """
    if not sources:
        raise UserError("no source given", "copycat build", "Add --source LAYOUT:PATH.")
    try:
        re.compile(exclusions.pattern)
    except re.error as error:
        raise UserError(f"'{exclusions.pattern}' is no regular expression ({error})", "--exclude") from error
    seen, kept, excluded = {}, [], 0
    for layout, path in sources:
        for raw in read_corpus(layout, check_local(path)):
            if raw.id in seen:
                raise UserError(
                    f"the id '{raw.id}' is in {seen[raw.id]} and in {path}", "copycat build", "Make ids unique."
                )
            seen[raw.id] = path
            if exclusions.cover(raw):
                excluded += 1
            else:
                kept.append(raw)
    if exclusions and not excluded:
        console.warn("the exclusion lists match no utterance of these sources")
    return kept, excluded
