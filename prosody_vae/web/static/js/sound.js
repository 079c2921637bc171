// Samples: loudness (ITU-R BS.1770-5, one channel), peaks bent instead of clipped, edges, and wav files. As
// `audio.loudness`, `audio.signal.surround` and `tts.voice.faded` in Python.
const STEP_S = 0.1, ABSOLUTE_LUFS = -70, RELATIVE_LU = -10, CLOSE_LU = 0.1, KNEE = 0.8, FADE_S = 0.005;
export const COMMENT = "synthetic speech";

export function limited(samples) {
  return Float32Array.from(samples, (x) => {
    const loud = Math.abs(x);
    return loud > KNEE ? Math.sign(x) * (KNEE + (1 - KNEE) * Math.tanh((loud - KNEE) / (1 - KNEE))) : x;
  });
}

function sections(rate) {
  let k = Math.tan((Math.PI * 1681.974450955533) / rate);
  const gain = 10 ** (3.999843853973347 / 20), damping = k / 0.7071752369554196, middle = gain ** 0.4996667741545416;
  const a0 = 1 + damping + k * k;
  const shelf = [gain + middle * damping + k * k, 2 * (k * k - gain), gain - middle * damping + k * k, 2 * (k * k - 1), 1 - damping + k * k];
  k = Math.tan((Math.PI * 38.13547087602444) / rate);
  const d = k / 0.5003270373238773, scale = 1 + d + k * k;
  return [shelf.map((x) => x / a0), [1, -2, 1, (2 * (k * k - 1)) / scale, (1 - d + k * k) / scale]];
}

export function loudness(samples, rate) {
  let x = Float64Array.from(samples);
  for (const [b0, b1, b2, a1, a2] of sections(rate)) {
    let s1 = 0, s2 = 0;
    x = x.map((v) => {
      const y = b0 * v + s1;
      s1 = b1 * v - a1 * y + s2;
      s2 = b2 * v - a2 * y;
      return y;
    });
  }
  const step = Math.max(1, Math.round(STEP_S * rate)), steps = [];
  const mean = (from, to) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += x[i] * x[i];
    return sum / (to - from);
  };
  const whole = Math.floor(x.length / step);
  for (let i = 0; i < whole; i++) steps.push(mean(i * step, (i + 1) * step));
  const average = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  let powers = [];
  if (whole < 4) {
    if (x.length > whole * step) steps.push(mean(whole * step, x.length));
    if (steps.length) powers = [average(steps)];
  } else {
    for (let i = 0; i + 4 <= whole; i++) powers.push(average(steps.slice(i, i + 4)));
  }
  const power = (lufs) => 10 ** ((lufs + 0.691) / 10), lufs = (p) => -0.691 + 10 * Math.log10(p);
  powers = powers.filter((p) => p > power(ABSOLUTE_LUFS));
  if (!powers.length) return -Infinity;
  const gate = power(lufs(average(powers)) + RELATIVE_LU);
  return lufs(average(powers.filter((p) => p > gate)));
}

export function toLoudness(wanted, samples, rate) {
  const times = (gain) => Float32Array.from(samples, (x) => gain * x);
  let gain = 1;
  for (let turn = 0; turn < 4; turn++) {
    const missing = wanted - loudness(turn ? limited(times(gain)) : samples, rate);
    if (!Number.isFinite(missing) || Math.abs(missing) < CLOSE_LU) break;
    gain *= 10 ** (missing / 20);
  }
  return times(gain);
}

// Laid on the time axis of its recording: silent but from `start` on, faded where it meets silence that was added.
export function surrounded(samples, start, length, fade) {
  const laid = new Float32Array(length);
  const sound = laid.subarray(start, start + samples.length);
  sound.set(samples.subarray(0, sound.length));
  const size = Math.min(fade, Math.floor(sound.length / 2));
  const rise = (i) => 0.5 - 0.5 * Math.cos((Math.PI * i) / size);
  if (start > 0) for (let i = 0; i < size; i++) sound[i] *= rise(i);
  if (size && start + sound.length < length) for (let i = 0; i < size; i++) sound[sound.length - 1 - i] *= rise(i);
  return laid;
}

export function faded(samples, rate) {
  const size = Math.min(Math.round(FADE_S * rate), Math.floor(samples.length / 2));
  const out = Float32Array.from(samples);
  for (let i = 0; i < size; i++) {
    const ramp = size > 1 ? i / (size - 1) : 0;
    out[i] *= ramp;
    out[out.length - 1 - i] *= ramp;
  }
  return out;
}

// A 16-bit mono wav file that says what it is.
export function wavBlob(samples, rate, comment = COMMENT) {
  const note = comment + "\0".repeat(2 - (comment.length % 2));
  const chunk = comment ? 8 + 4 + 8 + note.length : 0;
  const bytes = new DataView(new ArrayBuffer(44 + chunk + 2 * samples.length));
  let at = 0;
  const text = (value) => [...value].forEach((c) => bytes.setUint8(at++, c.charCodeAt(0)));
  const long = (value) => ((at += 4), bytes.setUint32(at - 4, value, true));
  const short = (value) => ((at += 2), bytes.setInt16(at - 2, value, true));
  text("RIFF"), long(36 + chunk + 2 * samples.length), text("WAVEfmt "), long(16);
  short(1), short(1), long(rate), long(2 * rate), short(2), short(16);
  if (comment) text("LIST"), long(chunk - 8), text("INFOICMT"), long(note.length), text(note);
  text("data"), long(2 * samples.length);
  for (const x of samples) short(Math.round(Math.max(-1, Math.min(1, x)) * 32767));
  return new Blob([bytes], { type: "audio/wav" });
}
