// The room of the voice: a sentence, the prosody chosen for it, and that prosody edited phone by phone.
import { ask, element, json } from "./data.js";
import { Editor } from "./editor.js";
import { PhoneForm } from "./phone_form.js";
import { History, changed, emphasised, faster, layout, moved, semitones } from "./plan.js";
import { Player } from "./player.js";
import { fileName, prosodyJson, save, textGrid, timed } from "./saving.js";
import { wavBlob } from "./sound.js";

const $ = (id) => document.getElementById(id);

export class VoiceRoom {
  constructor(engine, { tell, failed }) {
    Object.assign(this, { engine, about: engine.about, tell, failed, wish: 0, result: null, history: null });
    this.frameS = this.about.hop / this.about.sample_rate;
    this.player = new Player((seconds) => this.moved(seconds), () => this.showPlaying());
    this.editor = new Editor($("editor"), this.about.mel_bins, {
      onEdit: (plan) => this.edit(plan),
      onChoose: (index) => this.phone.show(this.sentence, this.editor.plan, index),
      onSeek: (frame) => this.player.seek(frame * this.frameS),
    });
    this.phone = new PhoneForm($("phone"), this.frameS, (field, index, value) => this.edit(changed(this.history.now, field, index, value)));
    $("say").onclick = () => this.toggle();
    $("undo").onclick = () => this.again(this.history?.undo());
    $("redo").onclick = () => this.again(this.history?.redo());
    $("reset").onclick = () => this.history && this.edit(this.history.states[0]);
    $("emphasise").onclick = () => this.emphasise();
    for (const button of document.querySelectorAll("[data-pitch]")) button.onclick = () => this.edit(moved(this.history.now, Number(button.dataset.pitch)));
    for (const button of document.querySelectorAll("[data-speed]")) button.onclick = () => this.edit(faster(this.history.now, Number(button.dataset.speed)));
    $("save-wav").onclick = () => this.keep("wav", wavBlob(this.result.samples, this.about.sample_rate));
    $("save-grid").onclick = () => this.keep("TextGrid", this.textGrid(), "text/plain");
    $("save-json").onclick = () => this.keep("json", this.prosody(), "application/json");
    $("free").hidden = !this.about.server;
    $("free").onsubmit = (event) => {
      event.preventDefault();
      this.takeText($("free-text").value).catch(this.failed);
    };
  }

  async enter() {
    if (this.sentences) return;
    const { sentences, speaker, ways } = await json("data/sentences.json");
    Object.assign(this, { sentences, ways });
    for (const name of Object.keys(this.about.speakers)) $("speaker").append(element("option", { selected: name === speaker }, name));
    $("sentence").append(...sentences.map(({ text }, i) => element("option", { value: i }, text)));
    $("sentence").onchange = () => this.start();
    $("speaker").onchange = () => this.start();
    await this.start();
  }

  leave() {
    this.player.stop();
    this.showPlaying();
  }

  get sentence() {
    return this.sentences[Number($("sentence").value)];
  }
  get way() {
    return document.querySelector("[name=way]:checked")?.value;
  }
  get embedding() {
    return this.sentence.choices[this.way].embedding;
  }

  // A sentence, a voice or a way was chosen: its prosody is predicted, and edits begin anew.
  async start() {
    const own = Object.keys(this.sentence.choices);
    const before = own.includes(this.way) ? this.way : own.includes("both") ? "both" : own[0];
    $("ways").replaceChildren(
      ...own.map((name) => {
        const { like, note } = this.sentence.choices[name];
        const why = like ? `like \u201c${like.text}\u201d (${like.score.toFixed(2)})` : note || "the mean of all recordings";
        const input = element("input", { type: "radio", name: "way", value: name, checked: name === before, onchange: () => this.start() });
        return element("label", { title: this.ways[name].about }, input, element("span", {}, this.ways[name].title), element("span"), element("small", { class: "why" }, why));
      }),
    );
    this.history = null;
    this.editor.chosen = this.sentence.words.at(-1)[1];
    await this.render(null);
  }

  edit(plan) {
    if (!this.history) return;
    this.history.push(plan);
    return this.again(plan);
  }

  again(plan) {
    if (plan) return this.render(plan, $("at-once").checked);
  }

  // Speaks the plan; of several wishes only the last is heard.
  async render(plan, atOnce = false) {
    const own = ++this.wish;
    try {
      if (!this.result) this.tell("Loading the models of the voice");
      await this.engine.load("voice", "pitch", "vocoder");
      const begun = performance.now();
      const made = await this.engine.speak(this.sentence, this.embedding, this.about.speakers[$("speaker").value], plan);
      if (own !== this.wish) return;
      const took = (performance.now() - begun) / 1000;
      this.result = made;
      if (plan) made.plan = plan; // as it was given, unrounded
      else this.history = new History(made.plan);
      this.player.set([made.samples], this.about.sample_rate);
      this.editor.show(this.sentence, made.plan, made);
      this.phone.show(this.sentence, made.plan, this.editor.chosen);
      this.tell(`${this.player.seconds.toFixed(2)} s of speech, made here in ${took.toFixed(2)} s.`);
      $("undo").disabled = !this.history.canUndo;
      $("redo").disabled = !this.history.canRedo;
      $("reset").disabled = this.history.now === this.history.states[0];
      this.player.at = 0;
      this.moved(0);
      if (atOnce) await this.player.play(0);
      this.showPlaying();
    } catch (error) {
      if (own === this.wish) this.failed(error);
    }
  }

  emphasise() {
    const index = this.editor.chosen;
    const word = this.sentence.words.find(([, first, count]) => index >= first && index < first + count);
    if (word && this.history) this.edit(emphasised(this.history.now, this.sentence.symbols, word));
  }

  async takeText(text) {
    this.tell("Choosing on this machine");
    const answer = await ask("api/sentence", JSON.stringify({ text }), "application/json");
    this.sentences.push(await answer.json());
    $("sentence").append(element("option", { value: this.sentences.length - 1 }, this.sentences.at(-1).text));
    $("sentence").value = this.sentences.length - 1;
    await this.start();
  }

  textGrid() {
    const times = timed(this.sentence, this.history.now, this.frameS);
    return textGrid(times, layout(this.history.now).frames * this.frameS);
  }

  prosody() {
    const like = this.sentence.choices[this.way].like?.id;
    return prosodyJson(this.sentence, this.history.now, this.embedding, like, this.about.voice_bundle, $("speaker").value, this.frameS);
  }

  keep(ending, content, type) {
    if (this.history) save(fileName(this.sentence.text, ending), content, type);
  }

  async toggle() {
    this.player.playing ? this.player.stop() : await this.player.play();
    this.showPlaying();
  }

  showPlaying() {
    $("say").textContent = this.player.playing ? "Pause" : "Play";
  }

  moved(seconds) {
    $("said").textContent = `${seconds.toFixed(2)} s`;
    this.editor.moved(seconds / this.frameS);
  }

  key(event) {
    const control = event.target.matches("button, input") || event.target.matches("[role=tab]");
    const { key } = event, chosen = this.editor.chosen;
    if (event.ctrlKey) {
      if (key.toLowerCase() === "z") this.again(event.shiftKey ? this.history?.redo() : this.history?.undo());
      else if (key === "y") this.again(this.history?.redo());
      else return;
    } else if (control || !this.history) return;
    else if (key === " ") this.toggle();
    else if (key === "ArrowLeft") this.editor.choose(chosen - 1);
    else if (key === "ArrowRight") this.editor.choose(chosen + 1);
    else if (key === "ArrowUp" || key === "ArrowDown") {
      const step = semitones(key === "ArrowUp" ? 0.5 : -0.5);
      this.edit(changed(this.history.now, "logF0", chosen, this.history.now.logF0[chosen] + step));
    } else if (key === "+" || key === "-") {
      this.edit(changed(this.history.now, "durations", chosen, this.history.now.durations[chosen] + (key === "+" ? 1 : -1)));
    } else return;
    event.preventDefault();
  }
}
