// Runs the models in a thread of their own, so that the page stays awake. Messages in: {id, model, feeds}, where feeds
// are {name: [type, data, dims]}; out: {id, outputs} or {id, error}, and {loading, share} while a model is fetched.
import * as ort from "../ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("../ort/", import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
ort.env.logLevel = "error";
const sessions = new Map();

async function fetched(name) {
  const response = await fetch(new URL(`../models/${name}.onnx`, import.meta.url));
  if (!response.ok) throw new Error(`models/${name}.onnx: ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get("Content-Length")) || 0;
  const parts = [];
  let done = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { value, done: over } = await reader.read();
    if (over) break;
    parts.push(value);
    done += value.length;
    if (total) self.postMessage({ loading: name, share: Math.min(1, done / total) });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function session(name) {
  if (!sessions.has(name)) {
    const opened = fetched(name).then((bytes) => ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }));
    opened.catch(() => sessions.delete(name)); // so that it may be tried again
    sessions.set(name, opened);
  }
  return sessions.get(name);
}

let queue = Promise.resolve(); // a session takes one call at a time

self.onmessage = ({ data: { id, model, feeds } }) => {
  queue = queue.then(async () => {
    try {
      const opened = await session(model);
      self.postMessage({ loading: model, share: 1 });
      if (!feeds) return self.postMessage({ id, outputs: {} });
      const tensors = Object.entries(feeds).map(([name, [type, data, dims]]) => [name, new ort.Tensor(type, data, dims)]);
      const made = await opened.run(Object.fromEntries(tensors));
      const outputs = Object.fromEntries(Object.entries(made).map(([name, t]) => [name, { data: t.data, dims: t.dims }]));
      self.postMessage({ id, outputs });
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
};
