// The prosody of a sentence as numbers per phone, edits of it (each gives a new plan), and undo. A plan is
// {durations, pauses} in frames and {logF0, energy}; edits are those of `copycat_jax.prosody.edits`.
export const LIMITS = { durations: [1, 120], pauses: [0, 250], logF0: [Math.log(50), Math.log(600)], energy: [-12, 0] };
const VOWEL = /^[AEIOU][A-Z][012]?$/, VOWEL_STRETCH = 1.4, CONSONANT_STRETCH = 1.2;
const RAISED_ST = 2, PEAK_ST = 1.5, LOUDER_NEPERS = 0.35;

export const isVowel = (symbol) => VOWEL.test(symbol);
export const semitones = (count) => (count * Math.LN2) / 12;

export function changed(plan, field, index, value) {
  const [low, high] = LIMITS[field];
  const kept = Math.min(high, Math.max(low, field === "durations" || field === "pauses" ? Math.round(value) : value));
  return { ...plan, [field]: plan[field].map((old, i) => (i === index ? kept : old)) };
}

export function moved(plan, count) {
  return { ...plan, logF0: plan.logF0.map((value) => value + semitones(count)) };
}

export function faster(plan, speed) {
  let wanted = 0, edge = 0;
  const durations = plan.durations.map((frames) => {
    wanted += Math.max(frames / speed, 1);
    const before = edge;
    edge = Math.floor(wanted + 0.5);
    return edge - before;
  });
  const pauses = plan.pauses.map((frames) => (frames > 0 ? Math.max(Math.floor(frames / speed + 0.5), 1) : 0));
  return { ...plan, durations, pauses };
}

export function emphasised(plan, symbols, [, first, count]) {
  const own = (i) => i >= first && i < first + count;
  const stretch = (frames, symbol) => {
    const vowel = isVowel(symbol);
    return Math.max(Math.round(frames * (vowel ? VOWEL_STRETCH : CONSONANT_STRETCH)), frames + (vowel ? 1 : 0));
  };
  const raised = (symbol) => semitones(RAISED_ST + (symbol.endsWith("1") ? PEAK_ST : 0));
  return {
    durations: plan.durations.map((frames, i) => (own(i) ? stretch(frames, symbols[i]) : frames)),
    pauses: [...plan.pauses],
    logF0: plan.logF0.map((value, i) => (own(i) ? value + raised(symbols[i]) : value)),
    energy: plan.energy.map((value, i) => (own(i) ? value + LOUDER_NEPERS : value)),
  };
}

// Where everything lies, in frames: [{start, stop, pause}] of the phones, and the whole length.
export function layout(plan) {
  let at = 0;
  const spans = plan.durations.map((frames, i) => {
    const start = at;
    at += frames + plan.pauses[i];
    return { start, stop: start + frames, pause: plan.pauses[i] };
  });
  return { spans, frames: at };
}

export class History {
  constructor(first) {
    this.states = [first];
    this.at = 0;
  }
  get now() {
    return this.states[this.at];
  }
  get canUndo() {
    return this.at > 0;
  }
  get canRedo() {
    return this.at + 1 < this.states.length;
  }
  push(state) {
    this.states = [...this.states.slice(0, this.at + 1), state];
    this.at++;
  }
  undo() {
    if (this.canUndo) this.at--;
    return this.now;
  }
  redo() {
    if (this.canRedo) this.at++;
    return this.now;
  }
}
