// Files to keep: TextGrid and the prosody file that `prosody say --prosody` reads (see the README), and how they leave
// the page.
import { layout } from "./plan.js";

const MARKS = ["word", "word", "phrase", "sentence"];

export function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export function fileName(text, ending) {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? ["speech"];
  return `${words.slice(0, 4).join("_")}.${ending}`;
}

// [label, start, end] of words and of phones, pauses among these, in seconds.
export function timed(sentence, plan, frameS) {
  const { spans } = layout(plan);
  const words = sentence.words.map(([text, first, count]) => [text, spans[first].start, spans[first + count - 1].stop]);
  const phones = [];
  spans.forEach(({ start, stop, pause }, i) => {
    phones.push([sentence.symbols[i], start, stop]);
    if (pause) phones.push(["SIL", stop, stop + pause]);
  });
  const seconds = ([label, start, stop]) => [label, start * frameS, stop * frameS];
  return { words: words.map(seconds), phones: phones.map(seconds) };
}

export function textGrid({ words, phones }, seconds) {
  const tiled = [];
  let at = 0;
  for (const [label, start, end] of [...words, ["", seconds, seconds]]) {
    if (start > at + 1e-6) tiled.push(["", at, start]);
    if (end > start) tiled.push([label, start, end]);
    at = end;
  }
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${seconds.toFixed(6)}`];
  lines.push("tiers? <exists>", "size = 2", "item []:");
  [["words", tiled], ["phones", phones]].forEach(([name, rows], n) => {
    lines.push(`    item [${n + 1}]:`, '        class = "IntervalTier"', `        name = "${name}"`);
    lines.push("        xmin = 0", `        xmax = ${seconds.toFixed(6)}`, `        intervals: size = ${rows.length}`);
    rows.forEach(([label, start, end], i) => {
      lines.push(`        intervals [${i + 1}]:`, `            xmin = ${start.toFixed(6)}`);
      lines.push(`            xmax = ${end.toFixed(6)}`, `            text = "${label.replaceAll('"', '""')}"`);
    });
  });
  return lines.join("\n") + "\n";
}

export function prosodyJson(sentence, plan, embedding, like, bundle, speaker, frameS) {
  const { words, phones: _ } = timed(sentence, plan, frameS);
  const { spans, frames } = layout(plan);
  const digits = (value) => Number(value.toPrecision(9)), short = (value) => Number(value.toFixed(4));
  const own = {
    text: sentence.text,
    start_s: 0,
    end_s: short(frames * frameS),
    silence_s: 0,
    like: like ?? "",
    embedding: embedding.map(digits),
    words: sentence.words.map(([word, first, count, mark], i) => ({
      word, start_s: short(words[i][1]), end_s: short(words[i][2]), first, phones: count, then: MARKS[mark],
    })),
    phones: sentence.symbols.map((phone, i) => ({
      phone,
      start_s: short(spans[i].start * frameS),
      duration_s: digits(plan.durations[i] * frameS),
      f0_hz: digits(Math.exp(plan.logF0[i])),
      energy: digits(plan.energy[i]),
      pause_s: digits(plan.pauses[i] * frameS),
    })),
  };
  const file = { format: "copycat-jax prosody", version: 1, frame_s: Number(frameS.toPrecision(12)), bundle, speaker, sentences: [own] };
  return JSON.stringify(file, null, 1) + "\n";
}
