// The prosody of a sentence to be seen and dragged: spectrogram with F0, energy, phones, pauses and words on one axis.
import { draw, f0Height, F0_HZ } from "./picture.js";
import { LIMITS, changed, isVowel, layout } from "./plan.js";

const TOP = 180, ENERGY = { top: 188, height: 44 }, PHONES = { top: 238, height: 28 }, PAUSES = { top: 270, height: 12 };
const WORDS = 302, HEIGHT = 312, LEAST_PX = 3.4; // of a frame
const VOICELESS = new Set(["SIL", "SPN", "CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"]);
const [QUIET, LOUD] = LIMITS.energy;

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Editor {
  // `onEdit(plan)` hears of a finished edit, `onChoose(index)` of the phone that is chosen, `onSeek(frame)` of a click.
  constructor(place, bins, { onEdit, onChoose, onSeek }) {
    Object.assign(this, { place, bins, onEdit, onChoose, onSeek, chosen: 1 });
    this.inner = document.createElement("div");
    this.inner.className = "inner";
    this.canvas = document.createElement("canvas");
    this.inner.append(this.canvas);
    place.append(this.inner);
    new ResizeObserver(() => this.spoken && this.show(this.sentence, this.plan, this.spoken)).observe(place);
  }

  show(sentence, plan, spoken) {
    const pictureIsNew = this.spoken !== spoken || this.width !== this.place.clientWidth;
    Object.assign(this, { sentence, plan, spoken, width: this.place.clientWidth });
    const { frames } = layout(plan);
    this.px = Math.max(this.width / Math.max(frames, spoken.frames), LEAST_PX);
    Object.assign(this.canvas.style, { width: `${spoken.frames * this.px}px`, height: `${TOP}px` });
    if (pictureIsNew || this.drawnPx !== this.px) draw(this.canvas, spoken, this.bins, 0, spoken.frames, false);
    this.drawnPx = this.px;
    const focused = this.svg && document.activeElement === this.svg;
    this.svg?.remove();
    this.svg = this.drawing(frames);
    this.inner.append(this.svg);
    if (focused) this.svg.focus({ preventScroll: true });
  }

  drawing(frames) {
    const { spans } = layout(this.plan), width = Math.ceil(Math.max(frames, this.spoken.frames) * this.px);
    const label = `Prosody of "${this.sentence.text}": choose phones with the arrow keys`;
    const svg = shape("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, tabindex: 0, role: "application", "aria-label": label });
    svg.append(...this.scales(width), this.melody(spans));
    spans.forEach((span, i) => svg.append(this.phone(span, i)));
    this.sentence.words.forEach(([text, first, count]) => {
      const middle = ((spans[first].start + spans[first + count - 1].stop) / 2) * this.px;
      svg.append(shape("text", { class: "word", x: middle, y: WORDS, "text-anchor": "middle" }, text));
    });
    this.head = shape("rect", { x: -4, y: 0, width: 2, height: HEIGHT, fill: "var(--accent)" });
    svg.append(this.head);
    svg.addEventListener("pointerdown", (event) => {
      if (event.offsetY < TOP && !event.target.dataset.field) this.onSeek(event.offsetX / this.px);
    });
    return svg;
  }

  *scales(width) {
    for (const hertz of [100, 200, 400]) {
      const y = f0Height(hertz) * TOP;
      yield shape("rect", { x: 0, y, width, height: 1, fill: "#fff", opacity: 0.18 });
      yield shape("text", { class: "scale", x: width - 6, y: y < 16 ? y + 12 : y - 3, "text-anchor": "end" }, `${hertz} Hz`);
    }
  }

  height(i) {
    return Math.min(TOP - 6, Math.max(6, f0Height(Math.exp(this.plan.logF0[i])) * TOP));
  }

  melody(spans) {
    const voiced = spans.map((span, i) => [span, i]).filter(([, i]) => !VOICELESS.has(this.sentence.symbols[i]));
    const points = voiced.map(([{ start, stop }, i]) => `${((start + stop) / 2) * this.px},${this.height(i)}`);
    return shape("polyline", { class: "melody", points: points.join(" ") });
  }

  phone({ start, stop, pause }, i) {
    const symbol = this.sentence.symbols[i], { px } = this, x = start * px, width = (stop - start) * px;
    const group = shape("g", { class: i === this.chosen ? "chosen" : "" });
    const box = shape("rect", { class: `phone-box${isVowel(symbol) ? " vowel" : ""}`, x: x + 0.5, y: PHONES.top, width: Math.max(1, width - 1), height: PHONES.height, rx: 3 });
    box.addEventListener("pointerdown", () => this.choose(i));
    group.append(box);
    const name = symbol.replace(/\d$/, "");
    if (width > 7 * name.length) group.append(shape("text", { x: x + width / 2, y: PHONES.top + 18, "text-anchor": "middle" }, name === "SIL" ? "" : name));
    const tall = ((this.plan.energy[i] - QUIET) / (LOUD - QUIET)) * ENERGY.height;
    const bar = shape("rect", { class: "energy", x: x + 1, y: ENERGY.top + ENERGY.height - tall, width: Math.max(1, width - 2), height: Math.max(2, tall) });
    this.draggable(bar, "energy", i);
    group.append(bar);
    if (!VOICELESS.has(symbol)) {
      const [cx, cy] = [x + width / 2, this.height(i)];
      const dot = shape("circle", { class: "dot", cx, cy, r: 5 }), reach = shape("circle", { class: "reach", cx, cy, r: 12 });
      this.draggable(dot, "logF0", i);
      this.draggable(reach, "logF0", i);
      group.append(dot, reach);
    }
    const edge = shape("rect", { class: "edge", x: stop * px - 5, y: PHONES.top, width: 10, height: PHONES.height });
    this.draggable(edge, "durations", i);
    group.append(edge);
    if (this.sentence.breaks[i] > 0 || pause) this.pause(group, stop, pause, i);
    return group;
  }

  pause(group, stop, pause, i) {
    const x = stop * this.px, width = pause * this.px;
    if (pause) group.append(shape("rect", { class: "pause-box", x: x + 1, y: PHONES.top, width: Math.max(1, width - 2), height: PHONES.height }));
    group.append(shape("rect", { x: x + width - 1.5, y: PAUSES.top, width: 3, height: PAUSES.height, rx: 1.5, fill: "var(--soft)" }));
    const grip = shape("rect", { class: "edge", x: x + width - 7, y: PAUSES.top - 2, width: 14, height: PAUSES.height + 6 });
    this.draggable(grip, "pauses", i);
    group.append(grip);
  }

  draggable(part, field, i) {
    part.dataset.field = field;
    part.dataset.phone = i;
    part.append(shape("title", {}, { durations: "length", pauses: "pause", logF0: "F0", energy: "energy" }[field]));
    part.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const before = this.plan, from = [event.clientX, event.clientY];
      this.choose(i, false);
      const move = ({ clientX, clientY }) => {
        const value = before[field][i] + this.by(field, clientX - from[0], clientY - from[1]);
        this.show(this.sentence, changed(before, field, i, value), this.spoken);
      };
      const stop = () => {
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", stop);
        removeEventListener("pointercancel", stop);
        this.onChoose(this.chosen);
        if (this.plan[field][i] !== before[field][i]) this.onEdit(this.plan);
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", stop);
      addEventListener("pointercancel", stop);
    });
  }

  // What a movement by so many pixels changes.
  by(field, dx, dy) {
    if (field === "logF0") return (-dy / TOP) * Math.log(F0_HZ[1] / F0_HZ[0]);
    if (field === "energy") return (-dy / ENERGY.height) * (LOUD - QUIET);
    return dx / this.px;
  }

  choose(i, again = true) {
    this.chosen = Math.min(Math.max(0, i), this.plan.durations.length - 1);
    if (again) {
      this.show(this.sentence, this.plan, this.spoken);
      this.onChoose(this.chosen);
    }
  }

  moved(frame) {
    this.head?.setAttribute("x", frame === null ? -4 : frame * this.px);
  }
}
