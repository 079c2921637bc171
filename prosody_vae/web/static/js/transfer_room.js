// The room of transfer: a recording, a voice, and both on one time axis.
import { element, json, numbersOf } from "./data.js";
import { OwnRecording } from "./own_recording.js";
import { draw } from "./picture.js";
import { Player } from "./player.js";
import { save, fileName } from "./saving.js";
import { wavBlob } from "./sound.js";

const $ = (id) => document.getElementById(id);
const RECORDING = 0, RESULT = 1;

export class TransferRoom {
  constructor(engine, { tell, failed }) {
    Object.assign(this, { engine, about: engine.about, tell, failed, sources: new Map(), wish: 0, result: null });
    this.player = new Player((seconds) => this.moved(seconds), () => this.showPlaying());
    this.hear(RESULT);
    $("play").onclick = () => this.toggle();
    $("hear-source").onclick = () => this.hear(RECORDING);
    $("hear-result").onclick = () => this.hear(RESULT);
    $("save").onclick = () => this.save();
    $("shift").oninput = () => ($("shift-shown").textContent = this.shiftShown());
    $("shift").onchange = () => this.make();
    new ResizeObserver(() => this.paint()).observe($("lanes"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    if (this.about.server) new OwnRecording(this.about, (source) => this.offer(source, true), failed);
  }

  async enter() {
    if (this.rows) return;
    this.rows = await json("data/sources.json");
    for (const row of this.rows) this.offer(row, row === this.rows[0], false);
    Object.entries(this.about.voices).forEach(([name, voice], i) => {
      const input = element("input", { type: "radio", name: "voice", value: name, checked: i === 0, onchange: () => this.make() });
      const register = Math.round(voice.register_hz);
      $("voices").append(element("label", { title: `register ${register} Hz` }, input, name));
    });
    await this.make();
  }

  leave() {
    this.player.stop();
    this.showPlaying();
  }

  // Adds a recording to the list; one of the user's own comes with its numbers and is taken at once.
  offer(source, checked, atOnce = true) {
    this.sources.set(source.id, source);
    const input = element("input", { type: "radio", name: "source", value: source.id, checked, onchange: () => this.make() });
    const seconds = (source.length / this.about.sample_rate).toFixed(1);
    $("sources").append(element("label", {}, input, element("span", {}, sentence(source.text)), element("small", {}, `${source.who}, ${seconds} s`)));
    if (atOnce) {
      input.checked = true;
      this.make().catch(this.failed);
    }
  }

  get chosen() {
    return {
      id: document.querySelector("[name=source]:checked").value,
      voice: document.querySelector("[name=voice]:checked").value,
      shift: Number($("shift").value),
    };
  }

  shiftShown() {
    const shift = Number($("shift").value);
    return `${shift > 0 ? "+" : ""}${String(shift).replace("-", "\u2212")} semitone${Math.abs(shift) === 1 ? "" : "s"}`;
  }

  // Makes what is chosen now; of several wishes only the last is shown.
  async make() {
    const own = ++this.wish, { id, voice, shift } = this.chosen;
    try {
      this.tell("Speaking");
      if (!this.sources.get(id).mel) this.sources.set(id, await numbersOf(this.sources.get(id), this.about.mel_bins));
      const source = this.sources.get(id);
      await this.engine.load("speaker", "transfer", "pitch", "vocoder");
      if (own !== this.wish) return;
      this.tell("Speaking");
      const begun = performance.now();
      const result = await this.engine.transfer(source, voice, shift);
      if (own !== this.wish) return;
      const took = (performance.now() - begun) / 1000;
      const seconds = source.length / this.about.sample_rate;
      this.tell(`${seconds.toFixed(1)} s of speech as ${voice}, made here in ${took.toFixed(2)} s.`);
      this.show(source, result);
    } catch (error) {
      if (own === this.wish) this.failed(error);
    }
  }

  show(source, result) {
    const other = this.source !== source;
    Object.assign(this, { source, result });
    if (other) this.player.at = 0;
    const again = this.player.set([source.recording, result.samples], this.about.sample_rate);
    this.lanes();
    this.likeness();
    if (again) this.player.play(this.player.at);
    this.showPlaying();
  }

  lanes() {
    const seconds = this.source.length / this.about.sample_rate;
    const lane = (name, label) =>
      element("div", { class: "lane" }, element("canvas", { role: "img", "aria-label": label }), element("span", { class: "name" }, name));
    const place = (start) => `${((100 * start) / seconds).toFixed(3)}%`;
    const words = this.source.words.map(([text, start, end]) =>
      element("button", { type: "button", style: `left:${place(start)};width:${place(end - start)}`, title: text, onclick: (event) => {
        event.stopPropagation();
        this.player.seek(start);
      } }, text));
    this.words = words;
    this.head = element("div", { class: "head" });
    this.pictures = [lane("recording", "spectrogram and F0 of the recording"), lane(this.result.voice, `spectrogram and F0 of the result, ${this.result.voice}`)];
    $("lanes").replaceChildren(...this.pictures, element("div", { class: "words", role: "group", "aria-label": "Words" }, ...words), this.head);
    $("lanes").onpointerdown = (event) => {
      if (event.target.closest(".words")) return;
      const box = $("lanes").getBoundingClientRect();
      this.player.seek(((event.clientX - box.left) / box.width) * seconds);
    };
    this.hear(this.player.heard);
    this.moved(this.player.at);
    this.paint();
  }

  paint() {
    if (!this.result || !this.pictures) return;
    const { hop, mel_bins: bins } = this.about;
    const start = this.source.start / hop, total = this.source.length / hop;
    const drawn = [this.source, this.result];
    this.pictures.forEach((lane, i) => draw(lane.querySelector("canvas"), drawn[i], bins, start, total));
  }

  likeness() {
    const { result } = this, name = result.voice;
    const meter = (label, value, kind) =>
      element("div", { class: `meter ${kind}`, style: `--share:${Math.round(100 * Math.max(0, value))}%` },
        element("div", {}, element("span", {}, label), element("b", {}, shown(value))), element("i"));
    $("likeness").replaceChildren(
      element("h2", {}, "Whose voice is it?"),
      meter(`result and ${name}`, result.likeTarget, "target"),
      meter("result and recording", result.likeSource, ""),
      meter(`recording and ${name}`, result.sourceLikeTarget, ""),
      element("p", { class: "note" }, "Cosine of speaker vectors, by the bundle's own classifier. What the recording's voice leaks into the result shows as more likeness to the recording than the third bar has."),
    );
  }

  hear(index) {
    this.player.hear(index);
    $("hear-source").setAttribute("aria-checked", index === RECORDING);
    $("hear-result").setAttribute("aria-checked", index === RESULT);
    this.pictures?.forEach((lane, i) => lane.classList.toggle("heard", i === index));
  }

  async toggle() {
    this.player.playing ? this.player.stop() : await this.player.play();
    this.showPlaying();
  }

  showPlaying() {
    $("play").textContent = this.player.playing ? "Pause" : "Play";
  }

  moved(seconds) {
    $("clock").textContent = `${seconds.toFixed(1)} s`;
    if (!this.head) return;
    this.head.style.left = `${(100 * seconds * this.about.sample_rate) / this.source.length}%`;
    this.words.forEach((word, i) => word.classList.toggle("now", seconds >= this.source.words[i][1] && seconds < this.source.words[i][2]));
  }

  save() {
    if (!this.result) return;
    save(fileName(`${this.result.voice} ${this.source.text}`, "wav"), wavBlob(this.result.samples, this.about.sample_rate));
  }

  key(event) {
    if (event.ctrlKey || event.target.matches("[role=tab]")) return;
    const onControl = event.target.matches("button, input");
    if (event.key === " " && !onControl) this.toggle();
    else if (event.key === "a" || event.key === "A") this.hear(RECORDING);
    else if (event.key === "b" || event.key === "B") this.hear(RESULT);
    else if (!onControl && event.key === "ArrowLeft") this.player.seek(this.player.now - 0.25);
    else if (!onControl && event.key === "ArrowRight") this.player.seek(this.player.now + 0.25);
    else return;
    event.preventDefault();
  }
}

const shown = (value) => Math.abs(value).toFixed(2).replace(/^/, value <= -0.005 ? "\u2212" : "");
const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/,$/, "");
