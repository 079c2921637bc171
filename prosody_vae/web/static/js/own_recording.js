// A recording of the user's own: from the microphone or a file, made ready by the server on this machine.
import { ask, withNumbers } from "./data.js";
import { wavBlob } from "./sound.js";

const $ = (id) => document.getElementById(id);
const RATE = 48000, LONGEST_S = 10;

export class OwnRecording {
  constructor(about, onReady, failed) {
    Object.assign(this, { about, onReady, failed, count: 0, sound: null });
    $("own").hidden = false;
    $("record").onclick = () => this.record().catch(failed);
    $("own-file").onchange = ({ target }) => target.files[0] && this.take(target.files[0]).catch(failed);
    $("own").onsubmit = (event) => {
      event.preventDefault();
      this.send().catch((error) => this.note(error.message, true));
    };
  }

  note(text, bad = false) {
    $("own-note").textContent = text;
    $("own-note").classList.toggle("bad", bad);
  }

  async record() {
    if (this.recorder?.state === "recording") return this.recorder.stop();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const parts = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.ondataavailable = ({ data }) => parts.push(data);
    this.recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      this.pressed(false);
      this.take(new Blob(parts)).catch(this.failed);
    };
    this.recorder.start();
    this.pressed(true);
    setTimeout(() => this.recorder.state === "recording" && this.recorder.stop(), 1000 * LONGEST_S);
  }

  pressed(on) {
    $("record").textContent = on ? "Stop" : "Record";
    $("record").setAttribute("aria-pressed", on);
  }

  async take(blob) {
    const buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
    const mixed = channels[0].map((_, t) => channels.reduce((sum, channel) => sum + channel[t], 0) / channels.length);
    this.sound = wavBlob(mixed, buffer.sampleRate, "");
    this.note(`${buffer.duration.toFixed(1)} s are here. Say what they say, then take them.`);
  }

  async send() {
    if (!this.sound) return this.note("Record something, or choose a file.", true);
    const text = $("own-text").value.trim();
    this.note("Aligning on this machine");
    const answer = await ask(`api/source?text=${encodeURIComponent(text)}`, this.sound, "audio/wav");
    const bytes = await answer.arrayBuffer();
    const size = new DataView(bytes).getUint32(0, true);
    const about = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
    const source = { ...about, id: `own_${++this.count}`, who: "your own" };
    this.onReady(await withNumbers(source, bytes.slice(4 + size), this.about.mel_bins));
    this.note("It is in the list.");
  }
}
