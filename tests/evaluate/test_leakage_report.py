import json
from html import escape

import numpy as np
import pytest
from one_line import refused
from tiny_bundle import write_tiny

from copycat_jax import synthesis
from copycat_jax.audio import signal
from copycat_jax.cli import main
from copycat_jax.demo import CLIP
from copycat_jax.evaluate import latents, leakage_report
from copycat_jax.evaluate.probes import Probe

TEXT = (CLIP / "source.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """One recording by two speakers, each of them twice: at two levels, under two sentences."""
    folder, clip = tmp_path_factory.mktemp("clips"), signal.read_audio(CLIP / "source.opus")
    rows = []
    for number, (speaker, sentence) in enumerate([("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")]):
        name = f"{number}.wav"
        signal.write_wav(folder / name, (1.0 - 0.2 * number) * clip.samples, clip.sample_rate)
        rows.append({"source": name, "source_voice": speaker, "text": TEXT, "sentence": sentence})
    (folder / "sources.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "sources.jsonl"


def test_the_report_has_a_line_a_measure_and_its_counterparts(bundle, sources, tmp_path, capsys):
    out = tmp_path / "leakage.html"
    asked = ["evaluate", "leakage", str(sources), "--bundle", str(bundle)]
    assert main([*asked, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0] for line in printed.splitlines()[:4]] == ["probe", "similarity", "cycle", "transfer"]
    found = json.loads(out.with_suffix(".json").read_text())
    assert found["clips"] == 4 and found["latents"]["classes"] == 2 and found["deviation"] > 0 and found["unused"] == {}
    assert -1 <= found["to_source"] <= 1 and found["cycle"] > 0 and 0 <= found["voicing_error"] <= 1
    page = out.read_text()
    assert page.count(escape(found["verdicts"]["transfer"])) == 3 and "<script>" not in page


def test_latents_that_are_read_are_those_that_the_model_speaks_from(bundle):
    synthesizer = synthesis.load(bundle)
    source = synthesizer.prepare(CLIP / "source.opus", TEXT)
    reader = latents.LatentReader(synthesizer)
    mel, tau = source.analysis.mel, reader.config.tau
    kept = reader.kept(source, mel, 1.0, source.vector)
    assert kept.shape == (-(-len(mel) // tau), reader.config.latent)
    other = mel.copy()
    other[: 4 * tau] += 1.0
    moved = np.abs(reader.kept(source, other, 1.0, source.vector) - kept).max(axis=1)
    assert moved[:4].max() > 1e-3
    cycle, made = reader.cycle(source, "af_heart")
    assert cycle.there.shape == cycle.back.shape == kept.shape and made.shape == mel.shape


def test_a_verdict_says_more_only_where_the_clips_do():
    def probe_of(hits: int, total: int = 40) -> Probe:
        return Probe(hits / total, 0.0, 1.0, 0.1, total, 10, tuple(k < hits for k in range(total)))

    def verdict(latents: int, prosody: int) -> str:
        rest = dict.fromkeys(leakage_report.Leakage._fields[4:-1], 0.5)
        probes = {"latents": probe_of(latents), "prosody": probe_of(prosody), "levels": probe_of(latents)}
        return leakage_report.Leakage(40, **probes, **rest, unused={}).verdicts()["probe"]

    assert "the latents tell more (right alone in 6 and 0 clips" in verdict(30, 24)
    assert "the latents tell less" in verdict(20, 30)
    assert "the latents tell" not in verdict(28, 24) and verdict(28, 24).count("a difference is not shown") == 2


def test_bad_input_is_one_line(bundle, sources, tmp_path, capsys):
    asked = ["evaluate", "leakage", "--bundle", str(bundle)]
    lone = sources.parent / "lone.jsonl"
    lone.write_text(sources.read_text().splitlines()[0])
    assert "not two speakers" in refused(capsys, *asked, str(lone))
    baseline = write_tiny(tmp_path / "baseline", "baseline")
    assert "has no latents" in refused(capsys, *asked[:2], "--bundle", str(baseline), str(sources))
    assert ".html" in refused(capsys, *asked, str(sources), "--out", str(tmp_path / "x.txt"))
