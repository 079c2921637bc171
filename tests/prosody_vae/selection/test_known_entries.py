"""Which entry of the shipped space each sentence gets, written out, so that a reader can judge it.

These are records, not merits: they change with the space, and are then to be judged anew (a failure shows both texts).
Syntactic distances see the shape of a tree and its length, not what kind of sentence it is: by them alone most of
these questions are spoken like something else, unless the tie is broken by sentence vector ("vector").
"""

import numpy as np
import pytest
from tiny_bert import minilm

from prosody_vae.demo.takes import DEMO_SENTENCES, open_recorded
from prosody_vae.linguistics import bert, link_grammar
from prosody_vae.linguistics.document import words_of_sentence
from prosody_vae.linguistics.syntax import HINTS, open_parser
from prosody_vae.linguistics.tree_distance import syntactic_distance
from prosody_vae.linguistics.trees import parse_brackets, to_brackets
from prosody_vae.selection.opening import open_selector
from prosody_vae.selection.selector import NO_INFORMATION, Selector
from prosody_vae.selection.ties import TIES
from prosody_vae.space.files import open_space, shipped_space

# The first three rows of entries are "syntactic" under that rule for ties; the others are the way of that name.
KNOWN = """
sentence Does he wear a black suit or a blue one?
kind     or-question
tree     (S Does (NP he) (VP wear (NP a black suit or a blue one)))
first    reader__LJ003-0034 | This gradually was forced upon the consciousness of the Corporation,
draw     reader__yn_0069 | Have you seen the birthday cake on the top shelf?
vector   reader__orq_0006 | Would you prefer a black suit or a blue one?
bert     reader__orq_0882 | Did the mayor choose a black suit or a blue one at midnight?
both     reader__orq_0006 | Would you prefer a black suit or a blue one?
learned  reader__orq_0038 | Was the spare key left at the station or by the river?

sentence Who ate the rest of my pizza?
kind     wh-question
tree     (S Who (S (VP ate (NP the rest of (NP my pizza)))))
first    reader__LJ003-0164 | or the daring reporter of parliamentary debates.
draw     reader__LJ003-0164 | or the daring reporter of parliamentary debates.
vector   reader__wh_1839 | What did my aunt hide before dinner?
bert     reader__wh_0149 | What did your brother borrow at midnight?
both     reader__wh_1839 | What did my aunt hide before dinner?
learned  reader__yn_0098 | Is the camera still at the station?

sentence Get scores, schedules, and listen to live audio streams.
kind     list of commands
tree     (S (VP Get (NP (NP scores) (NP schedules)) and listen (PP to (NP live audio streams))))
first    reader__LJ004-0034 | Moreover, the laws applied more particularly to county jurisdictions.
draw     reader__yn_0601 | Can the mayor lose the morning paper before dinner?
vector   reader__yn_0539 | Can the mayor open the school report before dinner?
bert     reader__list_0462 | Take the school report, lock the door, and meet the teacher in the kitchen.
both     reader__list_0106 | Check the weather, pack the camera, and leave during the storm.
learned  reader__list_0055 | Take the camera, lock the door, and meet the teacher on the top shelf.

sentence Have you seen my keys?
kind     yes/no question
tree     (S Have (NP you) (VP seen (NP my keys)))
first    reader__LJ003-0104 | Having been committed to Clerkenwell,
draw     reader__LJ003-0104 | Having been committed to Clerkenwell,
vector   reader__LJ003-0225 | were meager or altogether absent.
bert     reader__yn_0312 | Have you seen the spare key in the attic?
both     reader__yn_0099 | Have you seen the camera at the station?
learned  reader__LJ004-0150 | Matters were on much the same footing at St. Albans.

sentence Where did they find the old map?
kind     wh-question
tree     (S Where did (NP they) (VP find (NP the old map)))
first    reader__LJ003-0164 | or the daring reporter of parliamentary debates.
draw     reader__yn_0230 | Is the camera still under the bridge?
vector   reader__wh_1839 | What did my aunt hide before dinner?
bert     reader__wh_1804 | Where did the mayor find the camera?
both     reader__wh_1804 | Where did the mayor find the camera?
learned  reader__yn_0098 | Is the camera still at the station?

sentence The children walked slowly across the frozen lake.
kind     statement
tree     (S (NP The children) (VP walked (ADVP slowly) (PP across (NP the frozen lake))))
first    reader__LJ004-0042 | The association was organized under the most promising auspices.
draw     reader__LJ004-0221 | The food was properly prepared in the prison kitchen.
vector   reader__LJ004-0221 | The food was properly prepared in the prison kitchen.
bert     reader__LJ004-0165 | the visitors were furnished with candles, and they descended eighteen long steps
         into a vault.
both     reader__LJ004-0167 | The floor was on the level of the river, and very damp.
learned  reader__LJ003-0123 | The most trifling acts were magnified into offenses.

sentence What a beautiful morning this is!
kind     exclamation
tree     (S What (NP (NP (ADJP a beautiful) morning) (SBAR (S (NP this) (VP is)))))
first    reader__LJ004-0109 | according to their categories or crimes.
draw     reader__LJ004-0109 | according to their categories or crimes.
vector   reader__LJ004-0109 | according to their categories or crimes.
bert     reader__wh_0184 | What did your brother forget this afternoon?
both     reader__wh_0184 | What did your brother forget this afternoon?
learned  reader__LJ003-0164 | or the daring reporter of parliamentary debates.

sentence We bought apples, pears, plums, and a bag of nuts.
kind     list
tree     (S (NP We) (VP bought (NP (NP apples) (NP pears)) (NP plums) and (NP a bag (PP of nuts))))
first    reader__wh_0476 | How could our neighbor repair the morning paper at midnight?
draw     reader__wh_1966 | How could our neighbor hide the camera during the storm?
vector   reader__wh_1642 | How could our neighbor take the birthday cake at midnight?
bert     reader__LJ004-0220 | for breakfast a pint of gruel; for dinner half a pound of boiled meat, or a quart
         of soup with vegetables, on alternate days.
both     reader__wh_1080 | What did our neighbor sell at midnight?
learned  reader__LJ004-0237 | The first still produced deplorable results -- results to be observable for many years to
         come.

sentence When the storm had finally passed, the sailors came up on deck, looked at the broken mast, and began to
         repair the sails that the wind had torn.
kind     long sentence
tree     (S (SBAR (WHADVP When) (S (NP the storm) (VP had))) (S (VP (S (ADVP finally) passed)) (S (NP the
         sailors) (VP came (PRT up) (PP on deck) looked (PP at (NP the broken mast)) and began (S (VP to (VP
         repair (NP the (SBAR (NP (WHNP sails)) (SBAR (S (WHNP that) (S (NP the wind) (VP had (VP
         torn))))))))))))))
first    reader__LJ003-0250 | the culprit was chained down to the floor by running a chain through his irons
         which prevented him from climbing to the window of his cell.
draw     reader__LJ003-0250 | the culprit was chained down to the floor by running a chain through his irons
         which prevented him from climbing to the window of his cell.
vector   reader__LJ003-0250 | the culprit was chained down to the floor by running a chain through his irons
         which prevented him from climbing to the window of his cell.
bert     reader__LJ004-0171 | was by a kind of chimney, which the prisoners kept hermetically sealed, and which
         had never been opened in the memory of the turnkey.
both     reader__LJ003-0250 | the culprit was chained down to the floor by running a chain through his irons
         which prevented him from climbing to the window of his cell.
learned  reader__LJ004-0106 | They were to report in writing to quarter sessions as to the state of the jail, and as to
         all abuses which they might observe therein.

sentence You locked the door, didn't you?
kind     question tag
tree     (S (S (NP You) (VP locked (NP the door))) didn't (NP you))
first    reader__compound_0276 | The city bus driver was closed yesterday.
draw     reader__compound_0596 | The coffee window curtain was closed yesterday.
vector   reader__compound_0596 | The coffee window curtain was closed yesterday.
bert     reader__complex_0088 | If my aunt had not painted the camera, we would have gone home this afternoon.
both     reader__wh_0184 | What did your brother forget this afternoon?
learned  reader__LJ004-0150 | Matters were on much the same footing at St. Albans.

sentence Close the window before you leave.
kind     command
tree     (S Close (NP the window) (SBAR before (S (NP you) (VP leave))))
first    reader__orq_0873 | Did your brother choose chess or checkers yesterday?
draw     reader__orq_0873 | Did your brother choose chess or checkers yesterday?
vector   reader__yn_0007 | Can the teacher lose the camera before dinner?
bert     reader__list_0300 | Take the broken window, lock the door, and meet the new manager at the station.
both     reader__list_0248 | Check the weather, pack the garden gate, and leave after the meeting.
learned  reader__list_0320 | Take the camera, lock the door, and meet our neighbor across the street.

sentence "I will never go back there," she said.
kind     quotation
tree     (S (S (NP I) (VP will (VP (ADVP never) go (PP back (PP there))))) (NP she) (VP said))
first    reader__LJ003-0200 | Visitors were permitted access to them without stint;
draw     reader__LJ003-0200 | Visitors were permitted access to them without stint;
vector   reader__LJ003-0200 | Visitors were permitted access to them without stint;
bert     reader__LJ004-0060 | "You have no right," he says, addressing the authorities, "to subject a prisoner to
         suffering from cold,
both     reader__LJ004-0116 | "Care also was to be taken that the prisoners shall not be kept in any apartment
         underground."
learned  reader__LJ004-0237 | The first still produced deplorable results -- results to be observable for many years to
         come.

sentence If it rains tomorrow, we will stay at home.
kind     condition
tree     (S (SBAR If (S (NP it) (VP rains (NP tomorrow)))) (S (NP we) (VP will (VP stay (PP at home)))))
first    reader__LJ004-0126 | The want of room was still a crying evil.
draw     reader__compound_0351 | The coffee report summary was closed after the meeting.
vector   reader__compound_0745 | The school freight company was closed during the storm.
bert     reader__list_0335 | Check the weather, pack the garden gate, and leave on Sunday morning.
both     reader__compound_0745 | The school freight company was closed during the storm.
learned  reader__list_0055 | Take the camera, lock the door, and meet the teacher on the top shelf.
"""
COLUMNS = {
    **{rule: ("syntactic", rule) for rule in ("first", "draw", "vector")},
    **{by: (by, None) for by in ("bert", "both", "learned")},
}
ONE_WORD = {"Yes.": "(S (VP Yes))", "Why?": "(S Why)"}


def known_entries(text):
    """{sentence: {column: value}}; a line that starts with blanks goes on with the column before."""
    rows = []
    for block in text.strip().split("\n\n"):
        row, name = {}, ""
        for line in block.splitlines():
            name = line[:9].strip() or name
            row[name] = f"{row[name]} {line[9:]}" if name in row else line[9:]
        rows.append(row)
    return {row["sentence"]: row for row in rows}


SENTENCES = known_entries(KNOWN)
TREES = {text: row["tree"] for text, row in SENTENCES.items()} | ONE_WORD


@pytest.fixture(scope="module")
def space():
    return open_space(shipped_space())


@pytest.fixture(scope="module")
def by_trees(space):
    """Knows the trees and nothing else."""
    return open_selector(space, trees=TREES)


@pytest.fixture(scope="module")
def by_encoder(space):
    """Skips, saying why, where the encoder of the space is not installed."""
    return open_selector(space, trees=TREES, encoder=bert.open_encoder(str(minilm())))


def check_entries(selector, sentences, column):
    by, ties = COLUMNS[column]
    choices = selector.select(sentences, by, top=1, ties=ties)
    found = {choice.text: f"{choice.entries[0].id} | {choice.entries[0].text}" for choice in choices}
    assert found == {text: SENTENCES[text][column] for text in sentences}
    assert all(choice.entries[0].index == choice.tied[0] for choice in choices)


@pytest.mark.parametrize("column", ["first", "draw"])
def test_entries_by_syntax(by_trees, column):
    check_entries(by_trees, list(SENTENCES), column)


@pytest.mark.parametrize("column", ["vector", "bert", "both", "learned"])
def test_entries_of_the_demo_by_its_recorded_vectors(space, column):
    recorded = open_recorded()
    assert {text: TREES[text] for text in DEMO_SENTENCES} == dict(recorded.trees)
    check_entries(Selector(space, **recorded.options()), DEMO_SENTENCES, column)


@pytest.mark.parametrize("column", ["vector", "bert", "both", "learned"])
def test_entries_by_the_encoder(by_encoder, column):
    check_entries(by_encoder, list(SENTENCES), column)


@pytest.mark.parametrize("ties", [name for name, rule in TIES.items() if not rule.reads])
def test_the_entry_is_among_those_of_minimal_distance_and_the_note_counts_them(space, by_trees, ties):
    rows = [np.asarray(space.distances.row(i), np.float64) for i in range(len(space))]
    for choice in by_trees.select(list(SENTENCES), "syntactic", top=1, ties=ties):
        query = np.asarray(syntactic_distance(TREES[choice.text]), np.float64)
        products = np.array([query[: len(row)] @ row[: len(query)] for row in rows])
        apart = 1 - products / (np.linalg.norm(query) * np.array([np.linalg.norm(row) for row in rows]))
        nearest = np.flatnonzero(apart < apart.min() + 1e-9)
        assert sorted(choice.tied) == nearest.tolist() and choice.entries[0].index in nearest
        assert choice.entries[0].score == pytest.approx(1 - apart.min(), abs=1e-6)
        assert np.delete(apart, nearest).min() > apart.min() + 1e-4  # no matter of rounding
        spoken = space.mean[nearest].mean(axis=0) if TIES[ties].averages else space.mean[choice.entries[0].index]
        np.testing.assert_allclose(choice.embedding, spoken, atol=1e-6)
        alike = f"{len(nearest)} recordings score alike: {TIES[ties].about}"
        assert choice.note == (alike if len(nearest) > 1 else "")


@pytest.mark.parametrize("ties", TIES)
def test_a_sentence_of_one_word_gets_the_centroid_and_says_so(space, ties):
    encoder = open_recorded().encoder
    encoder = encoder._replace(vectors=dict.fromkeys(ONE_WORD, encoder.vectors[DEMO_SENTENCES[0]]))
    for choice in Selector(space, encoder, trees=TREES).select(list(ONE_WORD), "syntactic", ties=ties):
        assert len(words_of_sentence(choice.text)) == 1 and choice.entries == ()
        np.testing.assert_allclose(choice.embedding, space.mean.mean(axis=0), atol=1e-6)
        assert len(choice.tied) == len(space)
        assert choice.note == NO_INFORMATION and "the mean of all recordings" in choice.why()
        assert NO_INFORMATION in choice.why() and choice.to_dict()["note"] == NO_INFORMATION


@pytest.mark.skipif(not link_grammar.is_installed(), reason=HINTS["link-grammar"])
def test_the_trees_are_those_of_the_parser_of_the_space(space):
    parser = open_parser("link-grammar", cache="")
    if parser.label != space.info.parser:
        pytest.skip(f"the space was parsed by {space.info.parser}, {parser.label} is installed")
    found = dict(zip(TREES, map(to_brackets, parser.parse(list(TREES))), strict=True))
    assert found == {text: to_brackets(parse_brackets(tree)) for text, tree in TREES.items()}
