import pytest

from copycat_jax.text.lexicon import words_of

HOMOGRAPHS = """\
she has *read* it | R EH1 D
they have never *read* it | R EH1 D
had you *read* it | R EH1 D
it was carefully *read* | R EH1 D
I will *read* it | R IY1 D
do you *read* | R IY1 D
he *read* it yesterday | R EH1 D
I *object* to that | AH0 B JH EH1 K T
the *object* is red | AA1 B JH EH0 K T
we *record* the sound | R IH0 K AO1 R D
a new *record* | R EH1 K ER0 D
they will *present* the prize | P R IH0 Z EH1 N T
the *present* day | P R EH1 Z AH0 N T
they *lead* the way | L IY1 D
a pipe made of *lead* | L EH1 D
the *lead* pipe | L EH1 D
he was in the *lead* | L IY1 D
the *lead* actor | L IY1 D
a *tear* fell | T IH1 R
a *tear* in the cloth | T EH1 R
*tear* it up | T EH1 R
she *tears* it | T EH1 R Z
they *bow* to him | B AW1
a *bow* and arrow | B OW1
*polish* the desk | P AA1 L IH0 SH
the *polish* army | P OW1 L IH0 SH
we *live* stream it | L AY1 V
a bandage was *wound* around it | W AW1 N D
a deep *wound* | W UW1 N D
a *minute* amount | M AY0 N UW1 T
a five *minute* walk | M IH1 N IH0 T
what *does* it | D AH1 Z
a *tv* show | T IY1 V IY1
the *wind* blew | W IH1 N D
roads that *wind* through hills | W AY1 N D
a *live* broadcast | L AY1 V
we *live* in Paris | L IH1 V
their *lives* were saved | L AY1 V Z
he *lives* here | L IH1 V Z
they *close* at nine | K L OW1 Z
stay *close* to me | K L OW1 S
he *used* to go | Y UW1 S T
he has *used* a knife | Y UW1 Z D
both *houses* | HH AW1 Z IH0 Z
three *transports* | T R AE1 N S P AO0 R T S
eight *convicts* ran | K AA1 N V IH0 K T S""".splitlines()


@pytest.mark.parametrize("line", HOMOGRAPHS)
def test_homographs_follow_their_part_of_speech(line):
    text, phones = line.split(" | ")
    at = next(i for i, word in enumerate(text.split()) if word.startswith("*"))
    assert " ".join(words_of(text.replace("*", ""))[at].variants[0]) == phones
