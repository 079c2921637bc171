"""A suite whose recordings are their own melody: a sample is F0, and a judge's stand-in reads it from there."""

import json
from pathlib import Path

import numpy as np
import soundfile

from copycat_jax.audio.signal import read_audio
from copycat_jax.cli import main
from copycat_jax.evaluate import judges

RATE, SECONDS = 8000, 1.5
REGISTERS = {"low": 110.0, "high": 220.0, "s0": 140.0, "s1": 170.0, "s2": 190.0}
TIMES = np.arange(0, SECONDS, 0.016)


def melody(sentence: int, voice: str, depth: float = 1.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """F0 in Hz at every sample: a sentence's tune in a voice's register."""
    time = np.arange(int(RATE * SECONDS)) / RATE
    steps = depth * 3 * np.sin((3 + sentence) * time + sentence)
    steps = steps + noise * np.random.default_rng(seed).normal(size=40)[(time * 26).astype(int)]
    return REGISTERS[voice] * 2 ** (steps / 12)


def write_melody(path: Path, f0_hz: np.ndarray) -> Path:
    """A recording of a melody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, f0_hz / 1000, RATE)
    return path


def judge_melody(judge: str, path: Path, place: Path) -> None:
    """In place of `judges.judge_file`."""
    f0_hz = 1000 * read_audio(path).samples
    curve = f0_hz[np.minimum((TIMES * RATE).astype(int), len(f0_hz) - 1)]
    nearest = np.abs(np.log(np.array(list(REGISTERS.values())) / np.exp(np.log(curve.clip(1)).mean())))
    said = {
        "f0": {"times_s": TIMES.tolist(), "f0_hz": curve.tolist()},
        "voice": np.exp(-20 * nearest).tolist(),
        "words": "the cat sat",
    }
    place.write_text(json.dumps(said[judge]))


def make_world(folder: Path, monkeypatch, sentences: int = 4, sources: int = 3) -> Path:
    """Writes suite.jsonl with its voices, `sentences` x `sources` x 2 targets, and has the stand-in judge them."""
    monkeypatch.setattr(judges, "missing", lambda judge: "" if judge in ("f0", "voice", "words") else "not installed")
    monkeypatch.setattr(judges, "judge_file", judge_melody)
    monkeypatch.setattr(judges.transcription, "default_folder", lambda: folder)
    (folder / "model.bin").write_bytes(b"x")
    rows, voices = [], []
    for voice in REGISTERS:
        write_melody(folder / "voices" / f"{voice}.wav", melody(9, voice))
        voices.append({"voice": voice, "path": f"voices/{voice}.wav"})
    for sentence in range(sentences):
        for source in [f"s{i}" for i in range(sources)]:
            write_melody(folder / "sources" / f"{sentence}_{source}.wav", melody(sentence, source))
            for target in ("low", "high"):
                name = f"{sentence}_{source}_{target}"
                write_melody(folder / "truths" / f"{name}.wav", melody(sentence, target))
                rows.append(
                    {
                        "id": name,
                        "source": f"sources/{sentence}_{source}.wav",
                        "source_voice": source,
                        "voice": target,
                        "text": "The cat sat.",
                        "truth": f"truths/{name}.wav",
                        "sentence": str(sentence),
                        "group": "odd" if sentence % 2 else "even",
                    }
                )
    for name, lines in (("suite", rows), ("suite.voices", voices)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def make_system(folder: Path, world: Path, noise: float, seed: int = 0) -> Path:
    """A folder of recordings of the suite: the truth, `noise` semitones off."""
    for number, line in enumerate((world / "suite.jsonl").read_text().splitlines()):
        row = json.loads(line)
        tune = melody(int(row["sentence"]), row["voice"], noise=noise, seed=100 * seed + number)
        write_melody(folder / f"{row['id']}.wav", tune)
    return folder


def evaluate(world, *arguments):
    """Runs `copycat evaluate` with a cache of its own."""
    return main(["evaluate", *map(str, arguments), "--cache", str(world / "cache"), "--draws", "200"])


def asked(world, *names):
    """--system for folders of the world and built-in systems."""
    found = [f"{name}={world / name}" if (world / name).is_dir() else name for name in names]
    return [argument for text in found for argument in ("--system", text)]
