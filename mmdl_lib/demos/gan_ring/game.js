/* A GAN on a ring of eight modes without any library, gradients by hand.

   The order is that of `mmdl_lib/models/gan.py`: nets, value, aims, penalty, turns. A
   matrix is {rows, cols, data}, one example a row. Nothing here knows the page. */

import { generator, matrix, product } from "../collapse/byol.js";

export const RING = { modes: 8, radius: 2, deviation: 0.1, reach: 3, least: 0.1 };
export const PLAY = { noise: 4, width: 24, batch: 48, steps: 800, rate: 2e-3 };
export const TRIES = [0, 1, 2, 3, 4];
const LEAK = 0.1, BETAS = [0.5, 0.999];
const LAYERS = ["w1", "b1", "w2", "b2", "w3", "b3"];

// ---- nets: two hidden layers, leaky ReLU
function net(inputs, outputs, random) {
  const sides = [inputs, PLAY.width, PLAY.width, outputs], made = {};
  for (const i of [1, 2, 3]) {
    const reach = 1 / Math.sqrt(sides[i - 1]), fill = () => random.around(0, reach);
    made[`w${i}`] = matrix(sides[i - 1], sides[i], fill);
    made[`b${i}`] = matrix(1, sides[i], fill);
  }
  return made;
}

const plus = (x, row) => matrix(x.rows, x.cols, (i) => x.data[i] + row.data[i % x.cols]);
const times = (x, y) => matrix(x.rows, x.cols, (i) => x.data[i] * y.data[i]);
const open = (x) => matrix(x.rows, x.cols, (i) => (x.data[i] > 0 ? 1 : LEAK));
function columns(x) {
  const out = matrix(1, x.cols);
  x.data.forEach((value, i) => { out.data[i % x.cols] += value; });
  return out;
}

/** What a net says, and what its gradient needs to know. */
export function say(n, x) {
  const m1 = plus(product(x, n.w1), n.b1), o1 = open(m1), h1 = times(m1, o1);
  const m2 = plus(product(h1, n.w2), n.b2), o2 = open(m2), h2 = times(m2, o2);
  return { x, o1, h1, o2, h2, out: plus(product(h2, n.w3), n.b3) };
}

/** From the gradient of the output to that of the weights and of the input. */
export function blame(n, { x, o1, h1, o2, h2 }, g) {
  const g2 = times(product(g, n.w3, { right: true }), o2);
  const g1 = times(product(g2, n.w2, { right: true }), o1);
  return { w1: product(x, g1, { left: true }), b1: columns(g1),
    w2: product(h1, g2, { left: true }), b2: columns(g2),
    w3: product(h2, g, { left: true }), b3: columns(g),
    before: product(g1, n.w1, { right: true }) };
}

// ---- the game
export const sure = (logit) => 1 / (1 + Math.exp(-logit));
const soft = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));
const total = (x, f) => x.data.reduce((sum, v) => sum + f(v), 0);

/** V(D, G), to be made large, and its gradient in D's logits. */
export function worth(real, fake) {
  const value = -total(real, (v) => soft(-v)) / real.rows - total(fake, soft) / fake.rows;
  return { value, real: matrix(real.rows, 1, (i) => sure(-real.data[i]) / real.rows),
    fake: matrix(fake.rows, 1, (i) => -sure(fake.data[i]) / fake.rows) };
}

/** What G minimizes, and its gradient in D's logits. */
export function want(fake, aim) {
  const n = fake.rows, flat = aim === "minimax";
  const loss = total(fake, flat ? (v) => -soft(v) : (v) => soft(-v)) / n;
  return { loss, fake: matrix(n, 1, (i) =>
    -(flat ? sure(fake.data[i]) : sure(-fake.data[i])) / n) };
}

/** Mean of (|slope of D| - 1)^2 at some places, and its gradient in D's weights. The slope
    is a product of the weights and of the masks of the leaky ReLUs, which stand still. */
export function penalty(n, places) {
  const { o1, o2, h2 } = say(n, places);
  const last = matrix(h2.rows, h2.cols, (i) => n.w3.data[i % h2.cols] * o2.data[i]);
  const first = times(product(last, n.w2, { right: true }), o1);
  const slope = product(first, n.w1, { right: true }), { rows, cols } = slope;
  const long = Array.from({ length: rows }, (_, i) =>
    Math.hypot(...slope.data.subarray(i * cols, (i + 1) * cols)));
  const back = matrix(rows, cols, (i) => {
    const size = long[Math.floor(i / cols)] || 1e-12; // a flat D has no direction
    return (2 * (size - 1) * slope.data[i]) / size / rows;
  });
  const g1 = times(product(back, n.w1), o1), g2 = times(product(g1, n.w2), o2);
  const w3 = matrix(n.w3.rows, 1);
  g2.data.forEach((value, i) => { w3.data[i % g2.cols] += value; });
  return { loss: long.reduce((sum, v) => sum + (v - 1) ** 2, 0) / rows,
    w1: product(back, first, { left: true }), w2: product(g1, last, { left: true }), w3 };
}

// ---- examples
export function examples(count, random) {
  const out = matrix(count, 2);
  for (let i = 0; i < count; i++) {
    const angle = (2 * Math.PI * Math.floor(random.uniform() * RING.modes)) / RING.modes;
    out.data[2 * i] = RING.radius * Math.cos(angle) + RING.deviation * random.normal();
    out.data[2 * i + 1] = RING.radius * Math.sin(angle) + RING.deviation * random.normal();
  }
  return out;
}

const hiss = (count, random) => matrix(count, PLAY.noise, random.normal);
export const draw = (game, count, random) => say(game.G, hiss(count, random)).out;

// ---- turns
/** `rules`: aim, rate of D beside that of G, updates of D for each of G, penalty. */
export function begin(seed, rules) {
  const random = generator(seed), G = net(PLAY.noise, 2, random), D = net(2, 1, random);
  const memory = () => Object.fromEntries(LAYERS.map((key) => [key, null]));
  return { rules, random, G, D, time: { G: 0, D: 0 }, adam: { G: memory(), D: memory() } };
}

/** Adam: a step against the gradient, each number by its own scale. */
function move(game, who, gradient, rate) {
  const t = ++game.time[who], [one, two] = BETAS;
  for (const key of LAYERS) {
    const weight = game[who][key].data, g = gradient[key]?.data;
    const kept = game.adam[who][key] ??=
      { mean: new Float64Array(weight.length), square: new Float64Array(weight.length) };
    for (let i = 0; i < weight.length; i++) {
      kept.mean[i] = one * kept.mean[i] + (1 - one) * g[i];
      kept.square[i] = two * kept.square[i] + (1 - two) * g[i] ** 2;
      const size = Math.sqrt(kept.square[i] / (1 - two ** t)) + 1e-8;
      weight[i] -= (rate * kept.mean[i]) / (1 - one ** t) / size;
    }
  }
}

/** The gradient of D's loss, -V and the penalty, on real and drawn examples. */
export function judgeGradient({ D, rules }, real, fake, random) {
  const [r, f] = [say(D, real), say(D, fake)], found = worth(r.out, f.out);
  const [a, b] = [blame(D, r, found.real), blame(D, f, found.fake)], gradient = {};
  for (const key of LAYERS)
    gradient[key] = matrix(a[key].rows, a[key].cols, (i) => -a[key].data[i] - b[key].data[i]);
  let loss = -found.value;
  if (rules.penalty) {
    const share = Array.from({ length: real.rows }, random.uniform); // one for an example
    const extra = penalty(D, matrix(real.rows, 2, (i) => {
      const e = share[i >> 1];
      return e * real.data[i] + (1 - e) * fake.data[i];
    }));
    loss += rules.penalty * extra.loss;
    for (const key of ["w1", "w2", "w3"])
      extra[key].data.forEach((v, i) => { gradient[key].data[i] += rules.penalty * v; });
  }
  return { loss, gradient };
}

/** The gradient of G's aim: through D, which stands still. */
export function drawGradient({ G, D, rules }, z) {
  const g = say(G, z), d = say(D, g.out), found = want(d.out, rules.aim);
  return { loss: found.loss, gradient: blame(G, g, blame(D, d, found.fake).before) };
}

/** D's turns, then G's. */
export function turn(game) {
  const { random, rules } = game;
  for (let k = 0; k < rules.updates; k++) {
    const real = examples(PLAY.batch, random), fake = draw(game, PLAY.batch, random);
    move(game, "D", judgeGradient(game, real, fake, random).gradient, PLAY.rate * rules.pace);
  }
  move(game, "G", drawGradient(game, hiss(PLAY.batch, random)).gradient, PLAY.rate);
}

/** Modes found, and the share of points on one: `mmdl_lib/metrics/modes.py`. */
export function count(points) {
  const { modes, radius, deviation, reach, least } = RING, found = Array(modes).fill(0);
  for (let i = 0; i < points.rows; i++) {
    const [x, y] = points.data.subarray(2 * i, 2 * i + 2);
    const k = (Math.round((Math.atan2(y, x) * modes) / (2 * Math.PI)) + modes) % modes;
    const angle = (2 * Math.PI * k) / modes;
    const far = Math.hypot(x - radius * Math.cos(angle), y - radius * Math.sin(angle));
    if (far <= reach * deviation) found[k]++;
  }
  const enough = Math.max(1, (least * points.rows) / modes);
  return { found: found.filter((n) => n >= enough).length,
    good: found.reduce((sum, n) => sum + n, 0) / points.rows };
}

/** What D believes on a grid, from the upper left: probabilities that a point is real. */
export function field(game, side, reach) {
  const at = (i) => reach * ((2 * i + 1) / side - 1);
  const grid = matrix(side * side, 2, (i) =>
    i % 2 ? -at(Math.floor((i >> 1) / side)) : at((i >> 1) % side));
  return Float64Array.from(say(game.D, grid).out.data, sure);
}
