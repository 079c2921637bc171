// Fetches what was made ready for the page.
export async function json(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response.json();
}

// A source with its numbers: the log-mel, then the recording as 16-bit samples (see sources.py).
export async function withNumbers(source, bytes, melBins) {
  const numbers = source.frames * melBins;
  if (bytes.byteLength !== 4 * numbers + 2 * source.samples) throw new Error("a recording is not whole");
  const pcm = new Int16Array(bytes, 4 * numbers, source.samples);
  return { ...source, mel: new Float32Array(bytes, 0, numbers), recording: Float32Array.from(pcm, (x) => x / 32767) };
}

export async function numbersOf(source, melBins) {
  const response = await fetch(`data/${source.id}.bin`);
  if (!response.ok) throw new Error(`data/${source.id}.bin: ${response.status} ${response.statusText}`);
  return withNumbers(source, await response.arrayBuffer(), melBins);
}

// Asks the server of `copycat serve`; its refusals are one line of text.
export async function ask(path, body, type) {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": type }, body });
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  return response;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
