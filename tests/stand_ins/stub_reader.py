"""A reader whose voice speaks tones and whose selector chooses nothing, and a book for it."""

import json
import weakref
from types import SimpleNamespace

import numpy as np

from prosody_vae.linguistics.document import Chapter, Document, Paragraph
from prosody_vae.reading.aloud import ReadAloud
from prosody_vae.selection.choice import Choice, Entry
from prosody_vae.tts.plan import SpeechPlan, cut_text, join_plans
from prosody_vae.tts.voice import Speech

RATE = 8000
BOOK = Document(
    "",
    (
        Chapter("One", (Paragraph(("It rains.", "Does it?", "\N{GRINNING FACE}")), Paragraph(("It does;",)))),
        Chapter("", (Paragraph(("The second part begins.",)), Paragraph(("It goes on.", "It ends!")))),
        Chapter("Three", (Paragraph(("Nobody came.",)),)),
    ),
)
SPOKEN = [
    *("One", "It rains.", "Does it?", "It does;", "The second part begins.", "It goes on.", "It ends!"),
    *("Three", "Nobody came."),
]


class StubVoice:
    """Speaks a text as a tone whose level names it; counts what it said and how much of that is still in memory."""

    sample_rate, fingerprint, spec = RATE, "stub", SimpleNamespace(hop_s=0.01)

    def __init__(self, stop_at: str = ""):
        self.said: list[str] = []
        self._texts: dict[bytes, str] = {}
        self.alive: list[weakref.ref] = []
        self.most_alive, self.stop_at = 0, stop_at

    def predict(self, texts, embeddings, speaker=None, rate=1.0, lexicon=None):
        (text,), frames = texts, lambda values: np.ones(len(values), np.int32)
        plan = join_plans(
            [SpeechPlan(*p, frames(p.breaks), 0 * p.breaks, *np.ones((2, len(p.breaks)))) for p in cut_text(text)]
        )
        self._texts[plan.phonemes.tobytes()] = text
        return [plan]

    def render(self, plans, embeddings, speaker=None, batch=8):
        text = self._texts[plans[0].phonemes.tobytes()]
        if text == self.stop_at:
            raise KeyboardInterrupt
        self.said.append(text)
        samples = np.full(1000 + 100 * len(text), level(text), np.float32)
        self.alive = [ref for ref in self.alive if ref() is not None] + [weakref.ref(samples)]
        self.most_alive = max(self.most_alive, len(self.alive))
        return [Speech(samples, RATE, np.zeros((1, 80)), (), *np.zeros((3, 0)))]


class StubSelector:
    def paragraph(self, texts, by, lsw=0.9, scaled=False, exact=False, ties=None):
        return [Choice(t, by, (Entry(3, "id3", "Like this.", 0.5, {by: 0.5}),), np.zeros(8, np.float32)) for t in texts]


def level(text: str) -> float:
    return (1 + SPOKEN.index(text)) / 32 if text in SPOKEN else 0.5


def reader(stop_at: str = "", **settings) -> ReadAloud:
    return ReadAloud(voice=StubVoice(stop_at), selector=StubSelector(), **settings)


def rows_of(path) -> list[dict]:
    return [row for chapter in json.loads(path.read_text("utf-8"))["chapters"] for row in chapter["sentences"]]
