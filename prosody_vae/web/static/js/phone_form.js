// The chosen phone in numbers: what can be dragged can be typed too.
import { element } from "./data.js";

const NEPER_DB = 20 / Math.LN10;
const FIELDS = {
  durations: { label: "length, ms", step: 10, shown: (v, ms) => Math.round(v * ms), read: (v, ms) => v / ms },
  pauses: { label: "pause after it, ms", step: 10, shown: (v, ms) => Math.round(v * ms), read: (v, ms) => v / ms },
  logF0: { label: "F0, Hz", step: 1, shown: (v) => Math.round(Math.exp(v)), read: (v) => Math.log(v) },
  energy: { label: "energy, dB", step: 1, shown: (v) => Math.round(v * NEPER_DB), read: (v) => v / NEPER_DB },
};

export class PhoneForm {
  constructor(place, frameS, onEdit) {
    Object.assign(this, { onEdit, ms: 1000 * frameS, inputs: {} });
    this.title = element("h2");
    place.onsubmit = (event) => event.preventDefault();
    place.append(this.title);
    for (const [field, { label, step }] of Object.entries(FIELDS)) {
      const input = element("input", { type: "number", step: "any", id: `phone-${field}`, onchange: () => this.typed(field) });
      input.addEventListener("keydown", (event) => {
        const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
        if (!way) return;
        event.preventDefault();
        input.value = Number(input.value) + way * step;
        this.typed(field);
      });
      this.inputs[field] = input;
      place.append(element("label", { for: `phone-${field}` }, label, input));
    }
  }

  show(sentence, plan, index) {
    Object.assign(this, { plan, index });
    const word = sentence.words.find(([, first, count]) => index >= first && index < first + count);
    const symbol = sentence.symbols[index];
    this.title.textContent = word ? `${symbol} in \u201c${word[0]}\u201d` : symbol === "SIL" ? "silence before" : symbol;
    for (const [field, { shown }] of Object.entries(FIELDS)) this.inputs[field].value = shown(plan[field][index], this.ms);
    this.inputs.pauses.disabled = !(sentence.breaks[index] > 0 || plan.pauses[index] > 0);
  }

  typed(field) {
    const value = FIELDS[field].read(Number(this.inputs[field].value), this.ms);
    if (Number.isFinite(value)) this.onEdit(field, this.index, value);
  }
}
