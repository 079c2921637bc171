"""Samples and words to phone intervals, through PocketSphinx: the one door to it.

Two passes over the recording with the acoustic model of PocketSphinx's wheel. The first finds the path through the
words, hearing which of each word's variants was spoken and where silences lie; the second places the phones of that
path. Beams are wide, else some voices fail. Beside them a third pass listens with the text not binding: any word may be
left out and any phones may be said between, at a price. Each pass has a decoder of its own (20 ms), so that a result
depends on nothing that was aligned before.

The score is the second pass's mean over the 10 ms frames of words, silences left out, of the acoustic model's log
likelihood relative to the best state in play. What it and the third pass say against a text is found by
`align.suspicion`.

Times: against flite's own (4 voices, 200 clips) phone starts err by 8 ms in the median after a constant offset of
0.8 ms, 1.3 % by more than 50 ms; against Kokoro's tokens on a 25 ms grid (14 voices, 448 clips) by 15 ms, 6.3 %, after
an offset of -57 ms (its tokens run late against the sound by that much).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.align.suspicion import FRAME_S, Findings, Heard, ScoredPhone, find_doubts
from copycat_jax.audio.signal import check_samples, resample
from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon, Word, words_of
from copycat_jax.text.phonemes import INVENTORY, SIL, base, is_phone
from copycat_jax.types import Alignment, Interval

SAMPLE_RATE = 16000
# A boundary before frame t lies between the centres of the 25.6 ms windows t - 1 and t.
OFFSET_S = 0.0078
# A phone is three states of a frame or more.
FRAMES_PER_PHONE = 3
_PHONES = tuple(sorted({base(symbol) for symbol in INVENTORY if is_phone(symbol)}))


class _Search(NamedTuple):
    """How wide to search, and how much silence to put around the recording first."""

    beam: float
    word_beam: float
    padding_s: float


_SEARCHES = (_Search(1e-100, 1e-80, 0.0), _Search(1e-200, 1e-160, 0.2))

# Where the text is not binding: how likely a word is left out, one more after it, a phone said that is not written, one
# more after it, and the same in the place of words left out.
OMITTED, MORE_OMITTED, ADDED, MORE_ADDED, SWAPPED, MORE_SWAPPED = 1e-30, 1e-2, 1e-58, 1e-11, 1e-25, 1e-11
_LISTENING = (_Search(1e-66, 1e-66, 0.2), _Search(1e-90, 1e-90, 0.2))


class _Unaligned(Exception):
    """No path through the words reached the end of the recording."""


class _Piece(NamedTuple):
    """A stretch of the second pass: word index or -1 for silence, variant, phones (name, start, frames, score)."""

    word: int
    variant: int
    phones: tuple[tuple[str, int, int, int], ...]


def align_text(
    samples: Float[np.ndarray, " N"], sample_rate: int, text: str, lexicon: Lexicon | None = None
) -> Alignment:
    """Aligns a recording with written text; see `align` and `text.lexicon.words_of` for the errors raised."""
    return align(samples, sample_rate, words_of(text, lexicon))


def align(samples: Float[np.ndarray, " N"], sample_rate: int, words: Sequence[Word]) -> Alignment:
    """Finds where every phone of `words` lies in a recording.

    Args:
      samples: mono, float, within [-1, 1].
      sample_rate: in Hz; any.
      words: the words spoken, with the pronunciations to choose from.

    Returns:
      An Alignment whose phones tile [0, N / sample_rate], with the stress of the variant that was heard. Score and
      doubts decide nothing here; `suspicion.check_match` does.

    Raises:
      UserError: no words, bad samples, a recording too short for the words, or no path through them.
    """
    check_samples(np.asarray(samples), "recording")
    if not words:
        raise UserError("no words to align")
    end_s = len(samples) / sample_rate
    fewest = sum(min(map(len, word.variants)) for word in words)
    if end_s < fewest * FRAMES_PER_PHONE * FRAME_S:
        raise UserError(
            f"a recording of {end_s:.2f} s is too short for {len(words)} words of at least {fewest} phones",
            remedy="Is this the text that was spoken?",
        )
    heard = resample(samples, sample_rate, SAMPLE_RATE)
    with ThreadPoolExecutor(1) as beside:
        listening = beside.submit(_listen, heard, words)
        for search in _SEARCHES:
            try:
                pieces = _decode(heard, words, search)
            except _Unaligned:
                continue
            found = find_doubts(_scored(pieces, search), listening.result(), [word.text for word in words])
            return _alignment(pieces, words, found, search.padding_s, end_s)
    raise UserError("the words cannot be found in the recording", remedy="Is this the text that was spoken?")


def reach(
    samples: Float[np.ndarray, " N"], sample_rate: int, words: Sequence[Word]
) -> list[tuple[float, float, int | None]]:
    """How far into `words` a stretch of a recording comes that begins with them and may end anywhere.

    One pass only: boundaries are coarse, and the last words may be wrong where the stretch ends within one.

    Returns:
      (start, end, index into `words`) of what was found, in seconds and in order; the index of a silence is None. The
      words are the first of `words`, or none at all.
    """
    last = len(words)
    steps = [(i, i + 1, 1.0, _name(i, 0)) for i in range(last)]
    try:
        sound = _pcm(resample(samples, sample_rate, SAMPLE_RATE))
        found = _heard(sound, words, _SEARCHES[0], [*steps, *((i, last, 1.0) for i in range(last))])
    except _Unaligned:
        found = []
    return [(h.start * FRAME_S, h.stop * FRAME_S, None if h.word < 0 else h.word) for h in found]


def _listen(heard: Float[np.ndarray, " n"], words: Sequence[Word]) -> list[Heard]:
    """What 16 kHz samples hold where the text is not binding; nothing where no path reaches the end."""
    last = len(words)
    steps: list[tuple] = []
    for i in range(last + 1):
        # States behind words left out, phones put in, phones put in their place.
        gone, aside, instead = (last + 1 + 3 * i + k for k in range(3))
        steps += [(gone, i, 1.0), (aside, i, 1.0), (instead, i, 1.0)]
        for phone in _PHONES:
            steps += [(i, aside, ADDED, phone), (aside, aside, MORE_ADDED, phone)]
            steps += [(gone, instead, SWAPPED, phone), (instead, instead, MORE_SWAPPED, phone)]
        if i < last:
            steps += [(i, i + 1, 1.0, _name(i, 0)), (i, gone + 3, OMITTED), (gone, gone + 3, MORE_OMITTED)]
    for search in _LISTENING:
        try:
            return _heard(_pcm(_padded(heard, search)), words, search, steps)
        except _Unaligned:
            continue
    return []


def _heard(sound: bytes, words: Sequence[Word], search: _Search, steps: Sequence[tuple]) -> list[Heard]:
    """The best path through a grammar from its state 0 to its state len(words); raises _Unaligned where none ends.

    Steps: (from, to, probability, name of a word or a phone), or without a name where nothing is said.
    """
    decoder = _decoder(words, search)
    for phone in {name for _, _, _, *named in steps for name in named} & set(_PHONES):
        decoder.add_word(phone, phone, False)
    decoder.add_fsg("heard", decoder.create_fsg("heard", 0, len(words), list(steps)))
    decoder.activate_search("heard")
    _pass(decoder, sound)
    if decoder.hyp() is None:
        raise _Unaligned
    shift = _padding(search)
    return [
        Heard(
            _index(part.word)[0],
            part.word if part.word in _PHONES else "",
            part.start_frame - shift,
            part.end_frame + 1 - shift,
        )
        for part in decoder.seg() or ()
        if part.word != "(NULL)"
    ]


def _decode(heard: Float[np.ndarray, " n"], words: Sequence[Word], search: _Search) -> list[_Piece]:
    """Both passes over 16 kHz samples; raises _Unaligned where either does not reach the end."""
    sound, decoder = _pcm(_padded(heard, search)), _decoder(words, search)
    names = [_name(i, 0) for i in range(len(words))]
    decoder.set_align_text(" ".join(names))
    _pass(decoder, sound)
    if decoder.hyp() is None or decoder.hyp().hypstr.split() != names:
        raise _Unaligned
    decoder.set_alignment()
    _pass(decoder, sound)
    found = decoder.get_alignment()
    if found is None:
        raise _Unaligned
    # The iterators are views of one C structure: read everything in one go.
    pieces = [_Piece(*_index(word.name), tuple((p.name, p.start, p.duration, p.score) for p in word)) for word in found]
    if [piece.word for piece in pieces if piece.word >= 0] != list(range(len(words))):
        raise _Unaligned
    return pieces


def _padding(search: _Search) -> int:
    """Frames of silence before the recording."""
    return round(search.padding_s / FRAME_S)


def _padded(heard: Float[np.ndarray, " n"], search: _Search) -> Float[np.ndarray, " m"]:
    return np.pad(heard, round(search.padding_s * SAMPLE_RATE))


def _pcm(samples: Float[np.ndarray, " n"]) -> bytes:
    """16 kHz samples as the decoder takes them."""
    # A little noise keeps digital silence from being minus infinity; seeded, so that results repeat.
    noisy = samples * 32767.0 + np.random.default_rng(0).uniform(-1.0, 1.0, len(samples))
    return np.clip(np.rint(noisy), -32768, 32767).astype(np.int16).tobytes()


def _decoder(words: Sequence[Word], search: _Search):
    """A decoder that knows `words` and nothing else."""
    import pocketsphinx

    decoder = pocketsphinx.Decoder(
        hmm=pocketsphinx.get_model_path("en-us/en-us"),
        dict=None,
        lm=None,
        samprate=SAMPLE_RATE,
        cmn="batch",
        beam=search.beam,
        pbeam=search.beam,
        wbeam=search.word_beam,
        bestpath=False,
        compallsen=False,
        loglevel="FATAL",
    )
    for i, word in enumerate(words):
        for k, phones in enumerate(word.variants):
            decoder.add_word(_name(i, k), " ".join(map(base, phones)), False)
    return decoder


def _pass(decoder, sound: bytes) -> None:
    try:
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()
    except RuntimeError as error:
        raise _Unaligned from error


def _name(word: int, variant: int) -> str:
    return f"w{word}({variant + 1})" if variant else f"w{word}"


def _index(name: str) -> tuple[int, int]:
    """Word and variant of a name of `_name`; (-1, 0) for silences and noises."""
    if not name.startswith("w"):
        return -1, 0
    word, _, variant = name[1:].rstrip(")").partition("(")
    return int(word), int(variant or 1) - 1


def _scored(pieces: Sequence[_Piece], search: _Search) -> list[ScoredPhone]:
    """Phones on the clock of the recording without padding."""
    shift = _padding(search)
    return [
        ScoredPhone(piece.word, at - shift, long, -low / long, name)
        for piece in pieces
        for name, at, long, low in piece.phones
    ]


def _alignment(
    pieces: Sequence[_Piece], words: Sequence[Word], found: Findings, padding_s: float, end_s: float
) -> Alignment:
    """Frames of the padded recording to seconds of the unpadded one; stress reattached, silences merged."""
    shift_s = OFFSET_S - padding_s
    starts: list[tuple[float, str]] = [(0.0, SIL)]
    spans: list[tuple[int, int, int]] = []  # word, index of its first phone in `starts`, index after its last
    score, frames = 0, 0
    for piece in pieces:
        if piece.word < 0:
            starts.append((piece.phones[0][1] * FRAME_S + shift_s, SIL))
            continue
        labels = words[piece.word].variants[piece.variant]
        first = len(starts)
        for (_, start, duration, phone_score), label in zip(piece.phones, labels, strict=True):
            starts.append((start * FRAME_S + shift_s, label))
            score += phone_score
            frames += duration
        spans.append((piece.word, first, len(starts)))
    edges = [min(max(start, 0.0), end_s) for start, _ in starts] + [end_s]
    if pieces[0].word >= 0 and pieces[0].phones[0][1] == 0:
        edges[1] = 0.0  # speech from the first frame on
    phones: list[Interval] = []
    for i, (_, label) in enumerate(starts):
        if label == SIL and phones and phones[-1].label == SIL:
            phones[-1] = phones[-1]._replace(end_s=edges[i + 1])
        elif edges[i + 1] > edges[i] or label != SIL:
            phones.append(Interval(edges[i], edges[i + 1], label))
    spoken = tuple(Interval(edges[first], edges[last], words[word].text) for word, first, last in spans)
    doubts: list[Interval] = []
    for first, last, said in found.doubts:
        start_s, stop_s = (min(max(at * FRAME_S + OFFSET_S, 0.0), end_s) for at in (first, last))
        doubts.append(Interval(start_s, stop_s, said))
    return Alignment(tuple(phones), spoken, score / frames, found.confidences, tuple(doubts))
