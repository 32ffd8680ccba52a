/* Scenes of up to four objects: drawn as mmdl_lib/data/shapes draws them, and checked.

   Objects are in a plain color and stand at whole-numbered places, so each is its color
   times a stored sprite: the share of each pixel that the renderer covers. */

import { bytes } from "../common.js";

const round = Math.fround;

export const named = ({ color, shape }) => `${color} ${shape}`;

/** Pixels (3, size, size) of objects, later ones on top; in single precision, as torch. */
export function draw(things, { size, ground, colors, sprites, radius }) {
  const pixels = new Uint8Array(3 * size * size).fill(ground);
  for (const { color, shape, size: extent, x, y } of things) {
    const cover = new Float32Array(bytes(sprites[extent][shape]).buffer);
    const half = Math.ceil(radius[extent]);
    for (let i = 0; i < cover.length; i++) {
      const row = y - half + Math.floor(i / (2 * half)), column = x - half + (i % (2 * half));
      if (!cover[i] || row < 0 || column < 0 || row >= size || column >= size) continue;
      for (let c = 0; c < 3; c++) {
        const k = (c * size + row) * size + column;
        const mixed = round(pixels[k] + round((colors[color][c] - pixels[k]) * cover[i]));
        pixels[k] = round(mixed + 0.5);
      }
    }
  }
  return pixels;
}

/** Corners x0, y0, x1, y1 of the circles around the objects. */
export const boxes = (things, { radius }) => things.map(({ size, x, y }) =>
  [x - radius[size], y - radius[size], x + radius[size], y + radius[size]]);

/** The object, moved into the picture. */
export function inside(thing, { size, radius }) {
  const edge = Math.ceil(radius[thing.size]);
  const [x, y] = [thing.x, thing.y].map((at) => Math.min(size - edge, Math.max(edge, at)));
  return { ...thing, x, y };
}

const touch = (one, other, radius) =>
  Math.hypot(one.x - other.x, one.y - other.y) < radius[one.size] + radius[other.size];

/** What is wrong with a scene, in a sentence; empty if nothing is. */
export function wrong(things, { radius }) {
  if (!things.length) return "expected at least one object, got none: add one.";
  for (let i = 0; i < things.length; i++)
    for (let j = 0; j < i; j++)
      if (touch(things[i], things[j], radius))
        return `expected objects that stand apart, got a ${named(things[j])} that meets ` +
          `a ${named(things[i])}: move one.`;
  return "";
}

/** A small object of a new kind where there is room; null if there is none. */
export function roomFor(things, { size, colors, sprites, radius, unseen }) {
  const used = things.flatMap(({ color, shape }) => [color, shape]);
  const free = Object.keys(colors).flatMap((color) =>
    Object.keys(sprites.small).map((shape) => ({ color, shape }))).find((one) =>
    !used.includes(one.color) && !used.includes(one.shape) && !unseen.includes(named(one)));
  for (let y = 6; y <= size - 6; y += 2)
    for (let x = 6; x <= size - 6; x += 2) {
      const one = { ...free, size: "small", x, y };
      if (!things.some((other) => touch(one, other, radius))) return one;
    }
  return null;
}

/** The picture, dark but for the boxes, each as bright as its share of the largest. */
export function lit(pixels, corners, share, { size }) {
  const most = Math.max(...share);
  return pixels.map((value, i) => {
    const y = Math.floor((i % (size * size)) / size) + 0.5, x = (i % size) + 0.5;
    const k = corners.findIndex(([x0, y0, x1, y1]) => x > x0 && x < x1 && y > y0 && y < y1);
    return Math.round(value * (0.12 + (k < 0 ? 0 : (0.88 * share[k]) / most)));
  });
}
