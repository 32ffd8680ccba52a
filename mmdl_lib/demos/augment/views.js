/* Views of a picture, and two ways to compare pictures, for the demo of augmentation.

   The steps are those of mmdl_lib/data/views.py, on one picture (3, n, n) in [-1, 1]. */

// ---- the steps of a view
export const clamp = (x, low = -1, high = 1) => Math.min(high, Math.max(low, x));
const floats = (picture, f) => Float32Array.from(picture, f);

/** Cut out a box [top, left, height, width], shares of the picture, and enlarge it. */
export function crop(picture, n, [top, left, height, width], flip = false) {
  const place = (i, start, extent) => {
    const at = clamp((start + (extent * (i + 0.5)) / n) * n - 0.5, 0, n - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, n - 1), at - low];
  };
  return floats(picture, (_, i) => {
    const [c, row, column] = [Math.floor(i / (n * n)), Math.floor(i / n) % n, i % n];
    const [y0, y1, v] = place(row, top, height);
    const [x0, x1, u] = place(flip ? n - 1 - column : column, left, width);
    const at = (y, x) => picture[(c * n + y) * n + x];
    return (1 - v) * ((1 - u) * at(y0, x0) + u * at(y0, x1))
      + v * ((1 - u) * at(y1, x0) + u * at(y1, x1));
  });
}

export const brightness = (picture, _, factor) =>
  floats(picture, (x) => clamp((x + 1) * factor - 1));

export function gray(picture, n) {
  const [r, g, b] = [0, n * n, 2 * n * n];
  return floats(picture, (_, i) => {
    const p = i % (n * n);
    return 0.299 * picture[r + p] + 0.587 * picture[g + p] + 0.114 * picture[b + p];
  });
}

export function contrast(picture, n, factor) {
  const mean = gray(picture, n).reduce((a, b) => a + b) / picture.length;
  return floats(picture, (x) => clamp(mean + factor * (x - mean)));
}

export function saturation(picture, n, factor) {
  const light = gray(picture, n);
  return floats(picture, (x, i) => clamp(light[i] + factor * (x - light[i])));
}

/** Chroma, and place on a color wheel of six, of red, green and blue. */
function wheel(r, g, b) {
  const most = Math.max(r, g, b), chroma = most - Math.min(r, g, b);
  const [gap, third] = most === r ? [g - b, 0] : most === g ? [b - r, 2] : [r - g, 4];
  return [most, chroma, third + gap / Math.max(chroma, 1e-6)];
}

const modulo = (x, m) => ((x % m) + m) % m;

export function hue(picture, n, turn) {
  const out = new Float32Array(picture.length), m = n * n;
  for (let p = 0; p < m; p++) {
    const [most, chroma, place] = wheel(picture[p], picture[m + p], picture[2 * m + p]);
    [5, 3, 1].forEach((shift, c) => {
      const away = modulo(place + 6 * turn + shift, 6);
      out[c * m + p] = most - chroma * clamp(Math.min(away, 4 - away), 0, 1);
    });
  }
  return out;
}

export function blur(picture, n, sigma) {
  const weights = Array.from({ length: n }, (_, i) => {
    const row = Array.from({ length: n }, (_, j) => Math.exp(-(((i - j) / sigma) ** 2) / 2));
    const sum = row.reduce((a, b) => a + b);
    return row.map((x) => x / sum);
  });
  const pass = (source, step, other) => floats(source, (_, i) => {
    const [c, a, b] = [Math.floor(i / (n * n)), Math.floor(i / step) % n,
      Math.floor(i / other) % n];
    return weights[a].reduce((sum, w, k) => sum + w * source[c * n * n + k * step + b * other], 0);
  });
  return pass(pass(picture, 1, n), n, 1);
}

export const noise = (picture, _, drawn) => floats(picture, (x, i) => clamp(x + 0.5 * drawn[i]));

/** Random parameters of a view, by the probabilities of SimCLR; `random()` in [0, 1). */
export function draw(n, settings, random = Math.random) {
  const uniform = (low, high) => low + (high - low) * random();
  const sometimes = (step, chance, value) => (step && random() < chance ? value() : null);
  function box() {
    const area = uniform(settings.area, 1), reach = Math.log(4 / 3);
    const ratio = Math.exp(uniform(-reach, reach));
    const height = Math.min(1, Math.sqrt(area / ratio)), width = Math.min(1, Math.sqrt(area * ratio));
    return [random() * (1 - height), random() * (1 - width), height, width];
  }
  function jitter() {
    const factor = () => uniform(Math.max(0, 1 - 0.8 * settings.strength), 1 + 0.8 * settings.strength);
    const turn = 0.2 * settings.strength;
    return { brightness: factor(), contrast: factor(), saturation: factor(),
      hue: uniform(-turn, turn) };
  }
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return {
    box: settings.crop ? box() : [0, 0, 1, 1],
    flip: Boolean(sometimes(settings.flip, 0.5, () => true)),
    jitter: sometimes(settings.jitter, 0.8, jitter),
    gray: Boolean(sometimes(settings.gray, 0.2, () => true)),
    blur: sometimes(settings.blur, 0.5, () => uniform(0.1, 2)),
    noise: sometimes(settings.noise, 0.5, () => Float32Array.from({ length: 3 * n * n }, normal)),
  };
}

/** The view with these parameters. */
export function apply(picture, n, drawn) {
  let view = crop(picture, n, drawn.box, drawn.flip);
  const color = { brightness, contrast, saturation, hue };
  for (const [name, value] of Object.entries(drawn.jitter ?? {}))
    view = color[name](view, n, value);
  if (drawn.gray) view = gray(view, n);
  if (drawn.blur) view = blur(view, n, drawn.blur);
  if (drawn.noise) view = noise(view, n, drawn.noise);
  return view;
}

export const toFloat = (pixels) => Float32Array.from(pixels, (x) => x / 127.5 - 1);
export const toBytes = (view) => Uint8Array.from(view, (x) => Math.round((x + 1) * 127.5));

// ---- two ways to compare
/** Three histograms of pixels in bytes, one a channel, of six bins each. */
export function histogram(pixels, n) {
  const bins = new Float32Array(18), m = n * n;
  pixels.forEach((x, i) => {
    bins[6 * Math.floor(i / m) + Math.min(5, Math.floor((6 * x) / 255))] += 1 / m;
  });
  return bins;
}

/** Share of the pixels that two such histograms have in common. */
export const overlap = (a, b) => 1 - a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0) / 6;

/** Cosine of two vectors; 0 where one of them is 0. */
export function cosine(a, b) {
  const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths > 1e-12 ? dot(a, b) / lengths : 0;
}

/** Share of first views that are most similar to their own second view, by `compare`;
    ties count in part. */
export function found(first, second, compare) {
  const points = first.map((a, i) => {
    const near = second.map((b) => compare(a, b)), best = Math.max(...near);
    return near[i] < best ? 0 : 1 / near.filter((x) => x === best).length;
  });
  return points.reduce((a, b) => a + b) / points.length;
}
