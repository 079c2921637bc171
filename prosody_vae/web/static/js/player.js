// Plays one or two sounds that lie on one time axis; which of two is heard may change at any instant.
const CROSSFADE_S = 0.015;

export class Player {
  constructor(onMove, onEnd) {
    this.onMove = onMove;
    this.onEnd = onEnd;
    this.sounds = [];
    this.heard = 0;
    this.at = 0;
    this.playing = false;
  }

  get seconds() {
    return Math.max(0, ...this.sounds.map(({ duration }) => duration));
  }

  get now() {
    return this.playing ? Math.min(this.seconds, this.context.currentTime - this.begun) : this.at;
  }

  set(tracks, rate) {
    const again = this.playing;
    this.stop();
    this.context ??= new AudioContext();
    this.sounds = tracks.map((samples) => {
      const buffer = this.context.createBuffer(1, Math.max(1, samples.length), rate);
      buffer.copyToChannel(samples, 0);
      return buffer;
    });
    this.at = Math.min(this.at, this.seconds);
    return again;
  }

  hear(index) {
    this.heard = index;
    this.gains?.forEach((gain, i) => gain.gain.setTargetAtTime(i === index ? 1 : 0, this.context.currentTime, CROSSFADE_S / 3));
  }

  async play(from = this.at) {
    if (!this.sounds.length) return;
    this.stop();
    await this.context.resume();
    this.at = from >= this.seconds - 0.02 ? 0 : from;
    this.begun = this.context.currentTime - this.at;
    this.gains = [];
    this.nodes = this.sounds.map((buffer, i) => {
      const node = new AudioBufferSourceNode(this.context, { buffer });
      const gain = new GainNode(this.context, { gain: i === this.heard ? 1 : 0 });
      node.connect(gain).connect(this.context.destination);
      node.start(0, Math.min(this.at, buffer.duration));
      this.gains.push(gain);
      return node;
    });
    this.playing = true;
    this.follow();
  }

  follow() {
    if (!this.playing) return;
    if (this.context.currentTime - this.begun >= this.seconds) {
      this.stop();
      this.at = 0;
      this.onMove(0);
      return this.onEnd();
    }
    this.onMove(this.now);
    requestAnimationFrame(() => this.follow());
  }

  stop() {
    if (!this.playing) return;
    this.at = this.now;
    this.playing = false;
    this.nodes.forEach((node) => node.stop());
    this.nodes = this.gains = null;
  }

  seek(seconds) {
    this.at = Math.min(Math.max(0, seconds), this.seconds);
    if (this.playing) {
      const at = this.at;
      this.playing = false;
      this.nodes.forEach((node) => node.stop());
      this.play(at);
    } else this.onMove(this.at);
  }
}
