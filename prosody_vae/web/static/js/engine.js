// What the models are for: a recording in another voice, and a sentence with a prosody. Arithmetic as in Python's
// `Synthesizer.convert` and `Voice.render`; the tests compare them.
import { faded, limited, toLoudness, surrounded } from "./sound.js";

const RATIOS = [0.35, 3.0]; // of registers; beyond, an estimate is wrong, not a voice strange

export class Engine {
  constructor(about, onLoading = () => {}) {
    this.about = about;
    this.waiting = new Map();
    this.count = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onerror = (event) => this.fail(event.message || "the models cannot be run in this browser");
    this.worker.onmessage = ({ data }) => {
      if (data.loading) return onLoading(data.loading, data.share);
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      data.error ? reject(new Error(data.error)) : resolve(data.outputs);
    };
  }

  fail(reason) {
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }

  run(model, feeds) {
    return new Promise((resolve, reject) => {
      this.waiting.set(++this.count, { resolve, reject });
      this.worker.postMessage({ id: this.count, model, feeds });
    });
  }

  load(...models) {
    return Promise.all(models.map((model) => this.run(model, null)));
  }

  async speakerVector(mel, frames) {
    const mask = new Uint8Array(frames).fill(1);
    const feeds = { mel: this.melFeed(mel, frames), mask: ["bool", mask, [1, frames]] };
    return (await this.run("speaker", feeds)).vector.data;
  }

  async heardF0(mel, frames) {
    return (await this.run("pitch", { mel: this.melFeed(mel, frames) })).f0_hz.data;
  }

  async sound(mel, f0Hz, frames) {
    const feeds = { mel: this.melFeed(mel, frames), f0_hz: ["float32", f0Hz, [1, frames]] };
    return (await this.run("vocoder", feeds)).samples.data;
  }

  // What of a source is the same for every voice; kept with it.
  async heard(source) {
    source.vector ??= await this.speakerVector(source.mel, source.frames);
    source.f0Hz ??= await this.heardF0(source.mel, source.frames);
    return source;
  }

  async transfer(source, voice, shiftSemitones = 0) {
    const { frames } = source;
    const target = this.about.voices[voice];
    await this.heard(source);
    const ratio = registerRatio(source.register_hz, target.register_hz, shiftSemitones);
    const made = await this.run("transfer", {
      mel: this.melFeed(source.mel, frames),
      ratio: ["float32", Float32Array.of(ratio), [1]],
      phonemes: ["int32", Int32Array.from(source.phonemes), [1, source.phonemes.length]],
      durations: ["int32", Int32Array.from(source.durations), [1, source.durations.length]],
      mask: ["bool", new Uint8Array(frames).fill(1), [1, frames]],
      source: ["float32", source.vector, [1, source.vector.length]],
      target: ["float32", Float32Array.from(target.centroid), [1, target.centroid.length]],
    });
    const mel = made.out.data;
    const f0Hz = source.f0Hz.map((hertz) => hertz * ratio);
    const spoken = await this.sound(mel, f0Hz, frames);
    const loud = source.lufs === null ? spoken : toLoudness(source.lufs, spoken, this.about.sample_rate);
    const fade = Math.round(0.005 * this.about.sample_rate);
    const vector = await this.speakerVector(mel, frames);
    return {
      voice,
      ratio,
      mel,
      frames,
      f0Hz,
      samples: limited(surrounded(loud, source.start, source.length, fade)),
      likeTarget: cosine(vector, target.centroid),
      likeSource: cosine(vector, source.vector),
      sourceLikeTarget: cosine(source.vector, target.centroid),
    };
  }

  // A sentence by its plan (see plan.js); null in `plan` means that the model predicts it.
  async speak(sentence, embedding, speaker, plan = null) {
    const count = sentence.phonemes.length;
    const whole = (values, unknown) =>
      values ? ["int32", Int32Array.from(values), [1, count]] : ["int32", Int32Array.of(unknown), [1, 1]];
    const real = (values) =>
      values ? ["float32", Float32Array.from(values), [1, count]] : ["float32", Float32Array.of(NaN), [1, 1]];
    const made = await this.run("voice", {
      phonemes: whole(sentence.phonemes),
      breaks: whole(sentence.breaks),
      mask: ["bool", new Uint8Array(count).fill(1), [1, count]],
      z: ["float32", Float32Array.from(embedding), [1, embedding.length]],
      speaker: ["float32", Float32Array.from(speaker.centroid), [1, speaker.centroid.length]],
      rate: ["float32", Float32Array.of(1), [1]],
      last: ["bool", Uint8Array.of(1), [1]],
      durations: whole(plan?.durations, 0),
      pauses: whole(plan?.pauses, -1),
      log_f0: real(plan?.logF0),
      energy: real(plan?.energy),
    });
    const mel = made.mel.data;
    const frames = made.mel.dims[1];
    const f0Hz = await this.heardF0(mel, frames);
    const samples = faded(limited(await this.sound(mel, f0Hz, frames)), this.about.sample_rate);
    const spoken = {
      durations: Array.from(made.spoken_durations.data),
      pauses: Array.from(made.spoken_pauses.data),
      logF0: Array.from(made.spoken_log_f0.data),
      energy: Array.from(made.spoken_energy.data),
    };
    return { mel, frames, f0Hz, samples, plan: spoken };
  }

  melFeed(mel, frames) {
    return ["float32", mel, [1, frames, this.about.mel_bins]];
  }
}

export function registerRatio(sourceHz, targetHz, shiftSemitones) {
  const shift = 2 ** (shiftSemitones / 12);
  if (!sourceHz) return shift;
  return Math.min(Math.max((targetHz / sourceHz) * shift, RATIOS[0]), RATIOS[1]);
}

export function cosine(one, other) {
  let dot = 0, a = 0, b = 0;
  for (let i = 0; i < one.length; i++) {
    dot += one[i] * other[i];
    a += one[i] ** 2;
    b += other[i] ** 2;
  }
  return dot / Math.sqrt(a * b || 1);
}
