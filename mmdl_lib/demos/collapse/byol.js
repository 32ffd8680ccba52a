/* A tiny BYOL without any library: pictures of a blob, small MLPs, gradients by hand.

   The order is that of `mmdl_lib/models/byol.py`: networks, loss, target. A matrix is
   {rows, cols, data}; a batch has one example a row. Nothing here knows the page. */

export const SIZES = { side: 8, hidden: 32, width: 8, batch: 64, pictures: 96 };
export const TRAINING = { steps: 60, rate: 0.15, momentum: 0.9, tau: 0.8 };
export const SEEDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

// ---- random numbers from a seed: mulberry32, and normal ones by Box and Muller
export function generator(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b9);
  function uniform() {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  const around = (middle, reach) => middle + reach * (2 * uniform() - 1);
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, around, normal };
}

// ---- matrices
export function matrix(rows, cols, fill) {
  const data = new Float64Array(rows * cols);
  if (fill) for (let i = 0; i < data.length; i++) data[i] = fill(i);
  return { rows, cols, data };
}

/** a b; with `left` a^T b, with `right` a b^T. */
export function product(a, b, { left = false, right = false } = {}) {
  if (right) return product(a, transposed(b), { left });
  const [rows, inner] = left ? [a.cols, a.rows] : [a.rows, a.cols];
  const [ai, ak] = left ? [1, a.cols] : [a.cols, 1];
  const { data, cols, ...out } = matrix(rows, b.cols);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < inner; k++) {
      const factor = a.data[i * ai + k * ak], [to, from] = [i * cols, k * cols];
      for (let j = 0; j < cols; j++) data[to + j] += factor * b.data[from + j];
    }
  return { ...out, cols, data };
}

function transposed({ rows, cols, data }) {
  const out = matrix(cols, rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < cols; j++) out.data[j * rows + i] = data[i * cols + j];
  return out;
}

const addRow = (x, row) => matrix(x.rows, x.cols, (i) => x.data[i] + row.data[i % x.cols]);

/** Sums of the columns. */
function sumRows(x) {
  const out = matrix(1, x.cols);
  x.data.forEach((value, i) => { out.data[i % x.cols] += value; });
  return out;
}

// ---- pictures: a blob somewhere on a ring; a view of it is another blob close by
export function view(angle, random) {
  const middle = (SIZES.side - 1) / 2;
  const x = random.around(middle + 2.3 * Math.cos(angle), 0.7);
  const y = random.around(middle + 2.3 * Math.sin(angle), 0.7);
  const light = random.around(1, 0.4), width = random.around(1.25, 0.15);
  return Float64Array.from({ length: SIZES.side ** 2 }, (_, i) => {
    const [dx, dy] = [(i % SIZES.side) - x, Math.floor(i / SIZES.side) - y];
    return light * Math.exp(-(dx ** 2 + dy ** 2) / (2 * width ** 2)) + 0.15 * random.normal();
  });
}

export function views(angles, random) {
  const out = matrix(angles.length, SIZES.side ** 2);
  angles.forEach((angle, i) => out.data.set(view(angle, random), i * out.cols));
  return out;
}

/** The places of the pictures that the demo shows: all around the ring. */
export const PLACES = Array.from({ length: SIZES.pictures }, (_, i) =>
  (2 * Math.PI * i) / SIZES.pictures);

// ---- networks: linear, norm over the batch, ReLU, linear, as in BYOL's two heads
const NAMES = ["w1", "b1", "w2", "b2"];
function mlp(inputs, outputs, random) {
  const fill = (n) => () => random.around(0, 1 / Math.sqrt(n));
  return { w1: matrix(inputs, SIZES.hidden, fill(inputs)),
    b1: matrix(1, SIZES.hidden, fill(inputs)),
    w2: matrix(SIZES.hidden, outputs, fill(SIZES.hidden)),
    b2: matrix(1, outputs, fill(SIZES.hidden)) };
}

/** Each column gets mean zero and deviation one over the batch. */
function normalize(x) {
  const n = x.rows, mean = sumRows(x);
  const centered = matrix(n, x.cols, (i) => x.data[i] - mean.data[i % x.cols] / n);
  const squares = sumRows(matrix(n, x.cols, (i) => centered.data[i] ** 2));
  // 1e-5 as in PyTorch's BatchNorm, for a column without any deviation
  const deviation = squares.data.map((s) => Math.sqrt(s / n + 1e-5));
  const out = matrix(n, x.cols, (i) => centered.data[i] / deviation[i % x.cols]);
  return { out, deviation };
}

function normalizeBack(gradient, { out, deviation }) {
  const { rows: n, cols } = gradient;
  const sum = sumRows(gradient);
  const along = sumRows(matrix(n, cols, (i) => gradient.data[i] * out.data[i]));
  return matrix(n, cols, (i) => {
    const j = i % cols;
    const inside = gradient.data[i] - (sum.data[j] + out.data[i] * along.data[j]) / n;
    return inside / deviation[j];
  });
}

/** What a network says, and what its gradient needs to know. */
export function forward(net, x, norm = true) {
  const linear = addRow(product(x, net.w1), net.b1);
  const normed = norm ? normalize(linear) : { out: linear };
  const hidden = matrix(x.rows, SIZES.hidden, (i) => Math.max(0, normed.out.data[i]));
  return { x, normed, hidden, out: addRow(product(hidden, net.w2), net.b2) };
}

/** From the gradient of the output to that of the weights; `before` gives that of the input. */
export function backward(net, { x, normed, hidden }, gradient) {
  const back = product(gradient, net.w2, { right: true });
  const open = matrix(back.rows, back.cols, (i) => normed.out.data[i] > 0 ? back.data[i] : 0);
  const first = normed.deviation ? normalizeBack(open, normed) : open;
  return { w1: product(x, first, { left: true }), b1: sumRows(first),
    w2: product(hidden, gradient, { left: true }), b2: sumRows(gradient),
    before: () => product(first, net.w1, { right: true }) };
}

// ---- the loss: 2 - 2 cos, mean over the rows, and its gradient on both sides
export function regressionLoss(prediction, projection) {
  const { rows: n, cols } = prediction;
  const gradient = matrix(n, cols), other = matrix(n, cols);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const q = prediction.data.subarray(i * cols, (i + 1) * cols);
    const z = projection.data.subarray(i * cols, (i + 1) * cols);
    const [long, far] = [Math.hypot(...q), Math.hypot(...z)];
    const cosine = q.reduce((sum, v, j) => sum + v * z[j], 0) / (long * far);
    loss += (2 - 2 * cosine) / n;
    for (let j = 0; j < cols; j++) {
      const [a, b] = [q[j] / long, z[j] / far];
      gradient.data[i * cols + j] = (-2 / n) * (b - cosine * a) / long;
      other.data[i * cols + j] = (-2 / n) * (a - cosine * b) / far;
    }
  }
  return { loss, gradient, other };
}

// ---- a training: start, then one step after another
/** Fresh networks. `parts`: which of predictor, stop (the stop-gradient) and slow (the
    slow target) there are; without `stop` the target is the online network itself. */
export function start(seed, parts) {
  const random = generator(seed), inputs = SIZES.side ** 2;
  const [online, target] = [0, 1].map(() => mlp(inputs, SIZES.width, random));
  const predictor = mlp(SIZES.width, SIZES.width, random);
  const velocity = { online: zeros(online), predictor: zeros(predictor) };
  return { parts: { norm: true, ...parts }, random, online, target, predictor, velocity };
}

const zeros = (net) => Object.fromEntries(NAMES.map((name) =>
  [name, matrix(net[name].rows, net[name].cols)]));

function add(total, part) {
  for (const name of NAMES)
    part[name].data.forEach((value, i) => { total[name].data[i] += value; });
}

/** Loss of two batches of views, each predicted from the other, and its gradients. */
export function lossAndGradients(state, pair) {
  const { parts, online, predictor } = state;
  const target = parts.stop && parts.slow ? state.target : online;
  const gradients = { online: zeros(online), predictor: zeros(predictor) };
  let loss = 0;
  for (const [one, two] of [pair, [pair[1], pair[0]]]) {
    const z = forward(online, one, parts.norm), wanted = forward(target, two, parts.norm);
    const q = parts.predictor ? forward(predictor, z.out, parts.norm) : z;
    const found = regressionLoss(q.out, wanted.out);
    loss += found.loss;
    let back = found.gradient;
    if (parts.predictor) {
      const part = backward(predictor, q, back);
      add(gradients.predictor, part);
      back = part.before();
    }
    add(gradients.online, backward(online, z, back));
    if (!parts.stop) add(gradients.online, backward(online, wanted, found.other));
  }
  return { loss, gradients };
}

/** One step of gradient descent with momentum; then the target follows. */
export function step(state) {
  const { random, online, target, velocity } = state;
  const angles = Array.from({ length: SIZES.batch }, () => 2 * Math.PI * random.uniform());
  const { loss, gradients } = lossAndGradients(state,
    [views(angles, random), views(angles, random)]);
  for (const which of ["online", "predictor"])
    for (const name of NAMES) {
      const speed = velocity[which][name].data, weights = state[which][name].data;
      gradients[which][name].data.forEach((g, i) => {
        speed[i] = TRAINING.momentum * speed[i] + g;
        weights[i] -= TRAINING.rate * speed[i];
      });
    }
  for (const name of NAMES)
    online[name].data.forEach((theta, i) => {
      const xi = target[name].data;
      xi[i] = TRAINING.tau * xi[i] + (1 - TRAINING.tau) * theta;
    });
  return loss;
}

// ---- what is measured: mmdl_lib/metrics/collapse.py
/** Rows of length one. */
export function directions(z) {
  const long = Array.from({ length: z.rows }, (_, i) =>
    Math.hypot(...z.data.subarray(i * z.cols, (i + 1) * z.cols)));
  return matrix(z.rows, z.cols, (i) => z.data[i] / (long[Math.floor(i / z.cols)] || 1));
}

export function centered(x) {
  const mean = sumRows(x);
  return matrix(x.rows, x.cols, (i) => x.data[i] - mean.data[i % x.cols] / x.rows);
}

/** Deviation of the directions: 1 where they fill the sphere, 0 where they agree. */
export function spread(z) {
  const x = centered(directions(z));
  const squares = sumRows(matrix(x.rows, x.cols, (i) => x.data[i] ** 2));
  const deviations = squares.data.map((s) => Math.sqrt(s / x.rows));
  return deviations.reduce((sum, s) => sum + s, 0) / Math.sqrt(x.cols);
}

/** Eigenvalues of a symmetric matrix, by Jacobi's rotations. */
export function eigenvalues(symmetric) {
  const n = symmetric.rows, a = Float64Array.from(symmetric.data);
  const turn = (i, j, cos, sin) => {
    [a[i], a[j]] = [cos * a[i] - sin * a[j], sin * a[i] + cos * a[j]];
  };
  for (let sweep = 0; sweep < 30; sweep++)
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const angle = Math.atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]) / 2;
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < n; k++) turn(k * n + p, k * n + q, cos, sin);
        for (let k = 0; k < n; k++) turn(p * n + k, q * n + k, cos, sin);
      }
  return Array.from({ length: n }, (_, i) => a[i * n + i]);
}

/** Exponential of the entropy of the singular values: along how many directions? */
export function effectiveRank(z) {
  const x = centered(z);
  const values = eigenvalues(product(x, x, { left: true })).map((v) => Math.sqrt(Math.max(v, 0)));
  const sum = values.reduce((total, v) => total + v, 0);
  if (sum <= 1e-9 * Math.hypot(...z.data)) return 1;
  const entropy = values.filter((v) => v > 0).reduce((total, v) =>
    total - (v / sum) * Math.log(v / sum), 0);
  return Math.exp(entropy);
}

/** Directions of z in the plane in which they differ most, around their middle: `points`
    within a disk of radius one. The plane is found by power iteration from the `axes` of
    the step before, so that a drawing turns slowly. */
export function drawn(z, before) {
  const x = centered(directions(z)), covariance = product(x, x, { left: true });
  let axes = before ?? matrix(z.cols, 2, (i) => Math.cos(3 * i + 1));
  for (let round = 0; round < (before ? 20 : 200); round++)
    axes = orthonormal(product(covariance, axes));
  const { rows, data } = product(x, axes);
  return { axes, points: Array.from({ length: rows }, (_, i) => [data[2 * i], data[2 * i + 1]]) };
}

function orthonormal(axes) {
  const column = (k) => Array.from({ length: axes.rows }, (_, i) => axes.data[2 * i + k]);
  const unit = (v) => { const long = Math.hypot(...v); return v.map((x) => x / long); };
  const first = unit(column(0)), other = column(1);
  const along = first.reduce((sum, v, i) => sum + v * other[i], 0);
  const second = unit(other.map((v, i) => v - along * first[i]));
  return matrix(axes.rows, 2, (i) => (i % 2 ? second : first)[i >> 1]);
}
