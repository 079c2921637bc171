from copycat_jax.demo import CLIP, choose_voices, clip_text


def test_the_demo_chooses_from_what_there_is():
    assert choose_voices(["bf_emma", "x", "af_heart", "y"]) == ["af_heart", "bf_emma", "x"]
    assert choose_voices(["z"]) == ["z"]


def test_the_clip_ships_with_its_words():
    assert (CLIP / "source.opus").is_file() and clip_text()
