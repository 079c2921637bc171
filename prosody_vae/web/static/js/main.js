// The page: its two rooms, opened when they are first seen, and what is said about loading and errors.
import { element, json } from "./data.js";
import { Engine } from "./engine.js";
import { TransferRoom } from "./transfer_room.js";
import { VoiceRoom } from "./voice_room.js";

const status = document.getElementById("status");
const ROOMS = { transfer: TransferRoom, voice: VoiceRoom };

export function tell(text, share = null, bad = false) {
  const [words, bar] = status.children;
  words.textContent = text;
  bar.hidden = share === null;
  bar.value = share ?? 0;
  status.classList.toggle("bad", bad);
}

const failed = (error) => tell(error?.message ?? String(error), null, true);
const page = { rooms: {}, engine: null };
window.copycat = page; // for the console, and for tests

async function open(name) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    const own = tab.dataset.room === name;
    tab.setAttribute("aria-selected", own);
    tab.tabIndex = own ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !own;
  }
  for (const [other, room] of Object.entries(page.rooms)) if (other !== name) room.leave();
  page.rooms[name] ??= new ROOMS[name](page.engine, { tell, failed });
  await page.rooms[name].enter();
}

function tabs() {
  const list = [...document.querySelectorAll("[role=tab]")];
  for (const tab of list) {
    tab.addEventListener("click", () => {
      history.replaceState(null, "", `#${tab.dataset.room}`); // to set the hash would take the focus away
      open(tab.dataset.room).catch(failed);
    });
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = list[(list.indexOf(tab) + step + list.length) % list.length];
      next.focus();
      next.click();
    });
  }
}

const wanted = () => (location.hash.slice(1) in ROOMS ? location.hash.slice(1) : "transfer");

document.addEventListener("keydown", (event) => {
  const room = page.rooms[wanted()];
  const typing = event.target.matches("input[type=text], input[type=number], textarea, select");
  if (room && !typing && !event.altKey && !event.metaKey) room.key?.(event);
});

try {
  if (!window.Worker || !window.WebAssembly || !window.OffscreenCanvas) throw new Error("This browser is too old for the page.");
  const about = await json("data/about.json");
  const loading = new Map();
  page.engine = new Engine(about, (model, share) => {
    share < 1 ? loading.set(model, share) : loading.delete(model);
    const [first] = loading.entries();
    if (first) tell(`Loading the model: ${first[0]}`, first[1]);
  });
  const facts = { version: about.version, "models of transfer": about.bundle.slice(0, 12), "model of the voice": about.voice_bundle.slice(0, 12), runtime: "onnxruntime-web, in this browser" };
  document.getElementById("facts").append(
    ...Object.entries(facts).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
  tabs();
  window.addEventListener("hashchange", () => open(wanted()).catch(failed));
  await open(wanted());
} catch (error) {
  failed(error);
}
