// Spectrograms with F0 over them, on a canvas; and the ramp of colours.
const LOW_NEPERS = -9, HIGH_NEPERS = 1;
export const F0_HZ = [60, 480]; // of the scale on which F0 is drawn, logarithmic
const STOPS = [[12, 10, 26], [58, 22, 84], [140, 41, 93], [214, 77, 66], [248, 149, 64], [252, 244, 190]];

const RAMP = Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (STOPS.length - 1), n = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[n].map((low, c) => Math.round(low + (STOPS[n + 1][c] - low) * (place - n)));
});

// A picture of the mel [T, M], one pixel a value, low bins below.
export function melImage(mel, frames, bins) {
  const image = new ImageData(Math.max(1, frames), bins);
  for (let t = 0; t < frames; t++)
    for (let m = 0; m < bins; m++) {
      const share = (mel[t * bins + m] - LOW_NEPERS) / (HIGH_NEPERS - LOW_NEPERS);
      const [r, g, b] = RAMP[Math.max(0, Math.min(255, Math.round(share * 255)))];
      image.data.set([r, g, b, 255], 4 * ((bins - 1 - m) * frames + t));
    }
  const canvas = new OffscreenCanvas(Math.max(1, frames), bins);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

export const f0Height = (hertz) => 1 - Math.log(hertz / F0_HZ[0]) / Math.log(F0_HZ[1] / F0_HZ[0]);

// Draws mel and F0 of `frames` frames, the first at `start` of `total` (in frames), over the whole canvas.
export function draw(canvas, { mel, f0Hz, frames }, bins, start, total, withF0 = true) {
  const sharp = Math.min(2, window.devicePixelRatio || 1);
  const width = (canvas.width = Math.round(canvas.clientWidth * sharp));
  const height = (canvas.height = Math.round(canvas.clientHeight * sharp));
  if (!width) return;
  const pen = canvas.getContext("2d");
  pen.fillStyle = `rgb(${RAMP[0]})`;
  pen.fillRect(0, 0, width, height);
  const scale = width / total;
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(melImage(mel, frames, bins), start * scale, 0, frames * scale, height);
  if (!withF0) return;
  pen.font = `${11 * sharp}px system-ui, sans-serif`;
  pen.textAlign = "right";
  for (const hertz of [100, 200, 400]) {
    const y = f0Height(hertz) * height;
    pen.fillStyle = "rgb(255 255 255 / 18%)";
    pen.fillRect(0, y, width, sharp);
    pen.fillStyle = "rgb(255 255 255 / 85%)";
    pen.fillText(`${hertz} Hz`, width - 6 * sharp, y < 16 * sharp ? y + 12 * sharp : y - 3 * sharp);
  }
  for (const [color, thick] of [["rgb(0 0 0 / 60%)", 5], ["#fff", 2.2]]) {
    pen.strokeStyle = color;
    pen.lineWidth = thick * sharp;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    for (let t = 0, down = false; t < frames; t++) {
      const voiced = f0Hz[t] > 0;
      if (voiced) pen[down ? "lineTo" : "moveTo"]((start + t + 0.5) * scale, f0Height(f0Hz[t]) * height);
      down = voiced;
    }
    pen.stroke();
  }
}
