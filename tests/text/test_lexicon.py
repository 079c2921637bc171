import unicodedata

import pytest

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Word, read_lexicon, words_of
from copycat_jax.text.phonemes import INVENTORY, is_vowel
from copycat_jax.text.pronunciation import from_ipa, is_known


def first(text):
    return [" ".join(word.variants[0]) for word in words_of(text)]


def test_words_carry_stress():
    assert first("world")[0] == "W ER1 L D"
    assert first("butter")[0] == "B AH1 T ER0"


def test_ipa_of_every_kind_of_sound():
    ipa = ["t͡ʃ", "d͡ʒ", "ˈaɪ", "ˌoʊ", "ɔɪ", "ɚ", "ˈɝ", "ɾ", "ŋ", "ʒ", "ð", "ə", "ˈʌ"]
    assert from_ipa(ipa) == ("CH", "JH", "AY1", "OW2", "OY0", "ER0", "ER1", "T", "NG", "ZH", "DH", "AH0", "AH1")
    assert from_ipa(["|", "‖"]) == ()


def test_variants_differ_in_sound_and_are_of_the_inventory():
    for word in words_of("The record that I read to the live tomato: either aluminium or xylographer's, A.M. hmm"):
        bare = {tuple(phone.rstrip("012") for phone in phones) for phones in word.variants}
        assert len(bare) == len(word.variants) >= 1
        for phones in word.variants:
            assert set(phones) <= set(INVENTORY[3:]) and any(map(is_vowel, phones))


def test_dictionaries_add_variants():
    assert len(words_of("the")[0].variants) >= 2
    assert {"R IY1 D", "R EH1 D"} <= {" ".join(phones) for phones in words_of("read")[0].variants}


def test_unknown_words_are_guessed():
    (word,) = words_of("blorptangle")
    assert not is_known("blorptangle")
    assert word.variants[0][:4] == ("B", "L", "AO1", "R") and word.variants[0][-2:] == ("AH0", "L")


def test_unknown_possessive_follows_its_stem():
    assert words_of("blorptangle's")[0].variants[0][-1] == "Z"
    assert " ".join(words_of("Hasselback's")[0].variants[0]).endswith("K S")


@pytest.mark.parametrize("text", ["shh", "hmm", "mhm", "psst", "nth", "xkcd", "brr", "tsk tsk", "km", "Mrs", "pdf"])
def test_no_word_without_a_vowel(text):
    for word in words_of(text):
        assert all(any(map(is_vowel, phones)) for phones in word.variants)


def test_letters_are_spoken_by_name():
    assert [word.variants[0] for word in words_of("U.S.")] == [("Y", "UW1"), ("EH1", "S")]


def test_inline_phonemes():
    words = words_of("say {hh ah l ow}")
    assert words[1] == Word("hh ah l ow", (("HH", "AH1", "L", "OW0"),))
    with pytest.raises(UserError, match="'QQ'"):
        words_of("say {HH QQ}")
    with pytest.raises(UserError, match="vowel"):
        words_of("say {HH}")


@pytest.mark.parametrize("text", ["", "  \n", "?!", "😀 ..."])
def test_nothing_to_speak_is_refused(text):
    with pytest.raises(UserError, match="text"):
        words_of(text)


def test_custom_lexicon(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("# mine\nxkcd EH1 K S K EY0\n\nxkcd K AO1 M\nHello Y OW1\n")
    lexicon = read_lexicon(path)
    words = words_of("Hello, xkcd.", lexicon)
    assert words == [Word("hello", (("Y", "OW1"),)), Word("xkcd", (("EH1", "K", "S", "K", "EY0"), ("K", "AO1", "M")))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_lexicon_of_any_editor(tmp_path, encoding, form, end):
    path = tmp_path / "own.txt"
    lines = ["Zoë Z OW1", "# mine", "don’t D OW1", ""]
    path.write_bytes(unicodedata.normalize(form, end.join(lines)).encode(encoding))
    assert words_of("zoë DON'T", read_lexicon(path)) == [Word("zoe", (("Z", "OW1"),)), Word("don't", (("D", "OW1"),))]


@pytest.mark.parametrize("line", ["word HH QX", "word", "word SIL AA1", "word S T", "covid-19 K OW1", "5g F AY1"])
def test_a_mistake_in_the_lexicon_names_its_line(tmp_path, line):
    path = tmp_path / "own.txt"
    path.write_text(f"hello HH AH0 L OW1\n{line}\n")
    with pytest.raises(UserError, match=r"own\.txt:2"):
        read_lexicon(path)


def test_a_missing_lexicon(tmp_path):
    with pytest.raises(UserError, match="none"):
        read_lexicon(tmp_path / "none")


def test_what_is_not_spoken_is_told_once(capsys):
    for _ in range(2):
        words_of("hello ♫♪ ☂ мирный")
    assert capsys.readouterr().err == "warning: '♫♪', '☂', 'мирный' will not be spoken\n"
    words_of("hello, “you” – 5 €")
    assert capsys.readouterr().err == ""
