/**
 * The problem: a factor of the rows, the hypothesis, and the cost over the parameters descended on: `factor/factor.py`,
 * `problem/least_squares.py` (what depends on what), `problem/problem.py` and `problem/quadratic.py`.
 *
 * @typedef {{columns: string[], rows: number, weight: number, means: number[], triangle: number[][], noise?: number[]}} Data
 *   `triangle[i]` holds row i of the centered columns' triangle from its diagonal on; `noise` is how far rounding may
 *   have moved each column, as the norm of a change to its rows (default: what the same rows would give in Python)
 * @typedef {{bias: boolean, center: boolean, standardize: boolean, ridge: number}} Hypothesis
 */
import { UNIT, column, completed, dot, filled, identity, norm, reflect, singular, times, timesTransposed, transposed } from "./linear_algebra.js";
import { flatIn } from "./rank.js";

const PIECE = 512; // rows that Python reflects at a time, where it does so without extended precision
const FEW = 4096;

/** The c in `gradient = c X'(Xw - y)`. @type {(reduction: string, weight: number) => number} */
export function gradientFactor(reduction, weight) {
  return { mean: 2 / weight, half_mean: 1 / weight, sum: 2, half_sum: 1 }[reduction];
}

/**
 * The factor of rows `[x1 .. xd, y]`: their means, and the triangle of the centered rows.
 * @type {(rows: number[][]) => Omit<Data, "columns">}
 */
export function factorOf(rows) {
  const [n, k] = [rows.length, rows[0].length];
  const near = filled(k).map((_, j) => column(rows, j).reduce((sum, x) => sum + x / n, 0));
  const centered = rows.map((row) => row.map((x, j) => x - near[j]));
  const rest = filled(k).map((_, j) => column(centered, j).reduce((sum, x) => sum + x, 0) / n);
  for (const row of centered) for (let j = 0; j < k; j++) row[j] -= rest[j];
  const data = { rows: n, weight: n, means: near.map((x, j) => x + rest[j]), triangle: triangleOf(centered, k) };
  return { ...data, noise: noiseOf(data, 4 + n / 4 + k) };
}

/** The triangle of k columns, reflected in place. */
function triangleOf(rows, k) {
  for (let j = 0; j < Math.min(rows.length, k); j++) reflect(rows, j, j);
  return filled(k).map((_, j) => upright(j < rows.length ? rows[j].slice(j) : filled(k - j)));
}

/** The factor of some of its columns, in another order. @type {(data: Data, places: number[]) => Data} */
export function selected(data, places) {
  const rows = square(data.triangle).map((row) => places.map((j) => row[j]));
  const of = (values) => values && places.map((j) => values[j]);
  const chosen = { columns: of(data.columns), means: of(data.means), noise: of(data.noise) };
  return { ...data, ...chosen, triangle: triangleOf(rows, places.length) };
}

/** The factor of rows repeated so many times. @type {(data: Data, times: number) => Data} */
export function repeated(data, times) {
  const root = Math.sqrt(times);
  const scaled = (values) => values?.map((each) => each * root);
  return { ...data, rows: data.rows * times, weight: data.weight * times, triangle: data.triangle.map(scaled), noise: scaled(data.noise) };
}

const upright = (row) => row.map((x) => (row[0] < 0 ? -x : x) + 0);

/** Half a unit in the last place of every value, and `drift` times as much of what is left without the means. */
function noiseOf({ weight, means, triangle }, drift) {
  return means.map((mean, j) => {
    const spread = norm(square(triangle).map((row) => row[j]));
    return UNIT * Math.hypot(Math.sqrt(weight) * mean, spread) + UNIT * drift * spread;
  });
}

const square = (triangle) => triangle.map((row, i) => [...filled(i), ...row]);

/** What Python's compression adds: hardly anything where few rows are reflected in extended precision. */
function driftOf({ rows, means }) {
  const joints = Math.ceil(Math.log2(Math.max(rows / PIECE, 1)));
  return rows <= FEW ? 1 : 4 + PIECE / 4 + means.length + 1 + joints * (5 + means.length);
}

/**
 * The cost over the parameters descended on, with everything that no learning rate changes.
 * @param {Data} data
 * @param {Hypothesis} hypothesis
 */
export function makeProblem(data, { bias, center, standardize, ridge }) {
  const d = data.columns.length - 1;
  const root = Math.sqrt(data.weight);
  const C = square(data.triangle);
  const noise = data.noise ?? noiseOf(data, driftOf(data));
  const lengths = data.means.map((_, j) => norm(column(C, j)));
  const constant = lengths.map((length, j) => length <= noise[j]);
  const deviations = lengths.map((length) => length / root);
  const centered = (center || standardize) && bias;
  const means = data.means.slice(0, d).map((mean) => (centered ? mean : 0));
  const scales = means.map((_, j) => (standardize ? scaleOf(deviations[j], data.means[j], constant[j], bias) : 1));
  const penalty = [...scales.map(() => ridge), ...(bias ? [0] : [])];
  const features = data.columns.slice(0, d);
  const top = [...features.map((_, j) => (centered ? 0 : (root * data.means[j]) / scales[j])), ...(bias ? [root] : [])];
  const A = [top, ...C.map((row) => [...scales.map((scale, j) => row[j] / scale), ...(bias ? [0] : [])])];
  const t = [root * data.means[d], ...column(C, d)];
  const ridges = ridge > 0 ? identity(top.length).map((row, j) => row.map((x) => x * Math.sqrt(data.weight * penalty[j]))) : [];
  const problem = {
    parameters: [...features, ...(bias ? [features.includes("bias") ? "(bias)" : "bias"] : [])],
    features,
    target: data.columns[d],
    bias,
    ridge,
    weight: data.weight,
    rows: data.rows,
    A,
    t,
    stacked: [...A, ...ridges],
    stackedTarget: [...t, ...filled(ridges.length)],
    means,
    scales,
    penalty,
    spread: bias ? deviations[d] : Math.hypot(deviations[d], data.means[d]),
    rounding: noise[d] / root,
  };
  const flat = flatIn({ ...data, C, noise, bias, penalty: scales.map((scale) => ridge * scale * scale) });
  return { ...problem, modes: modesOfCost(problem, orthonormal(problem, flat)) };
}

/** What a feature is divided by. */
function scaleOf(deviation, mean, constant, bias) {
  const spread = bias ? (constant ? 0 : deviation) : Math.hypot(deviation, mean);
  return spread > 0 ? spread : 1;
}

/** Parameters of the descended columns as parameters of the data's own. @type {(problem: object, params: number[]) => number[]} */
export function toUnits({ means, scales, bias }, params) {
  const W = scales.map((scale, j) => params[j] / scale);
  return bias ? [...W, params[W.length] - dot(W, means)] : W;
}

/** The inverse of {@link toUnits}. @type {(problem: object, params: number[]) => number[]} */
export function fromUnits({ means, scales, bias }, params) {
  const W = scales.map((scale, j) => params[j] * scale);
  return bias ? [...W, params[W.length] + dot(means, params)] : W;
}

/** The mean squared error, without the penalty; inf beyond float64. @type {(problem: object, params: number[]) => number} */
export function costOf({ A, t, weight }, params) {
  let sum = 0;
  for (let i = 0; i < A.length; i++) {
    let residual = -t[i];
    const row = A[i];
    for (let j = 0; j < row.length; j++) residual += row[j] * params[j];
    sum += residual * residual;
  }
  return Number.isNaN(sum) ? Infinity : sum / weight;
}

/** Mean squared error and ridge penalty. @type {(problem: object, params: number[]) => number} */
export const objectiveOf = (problem, params) =>
  costOf(problem, params) + problem.penalty.reduce((sum, each, j) => sum + each * params[j] * params[j], 0);

/** (p,) gradient, the ridge's part in it. @type {(problem: object, params: number[], reduction: string) => number[]} */
export function gradientOf({ A, t, weight, penalty }, params, reduction) {
  const residual = times(A, params).map((value, i) => value - t[i]);
  const c = gradientFactor(reduction, weight);
  return timesTransposed(A, residual).map((sum, j) => c * (sum + weight * penalty[j] * params[j]));
}

/**
 * One plain update as a learner works it out, row by row.
 * @param {number[][]} points all rows `[x1 .. xd, y]`, in the data's units
 * @param {object} problem
 * @param {number[]} params in the descended coordinates
 * @param {{lr: number, reduction: string, weight_decay?: number}} settings
 */
export function microStep(points, problem, params, { lr, reduction, weight_decay: decay = 0 }) {
  const { means, scales, bias, penalty } = problem;
  const d = scales.length;
  const inputs = points.map((row) => [...scales.map((scale, j) => (row[j] - means[j]) / scale), ...(bias ? [1] : [])]);
  const predictions = inputs.map((row) => dot(row, params));
  const residuals = predictions.map((value, i) => value - points[i][d]);
  const products = inputs.map((row, i) => row.map((x) => residuals[i] * x));
  const sums = params.map((_, j) => products.reduce((sum, row) => sum + row[j], 0));
  const c = gradientFactor(reduction, points.length);
  const gradient = sums.map((sum, j) => c * (sum + points.length * penalty[j] * params[j]));
  const step = gradient.map((slope, j) => lr * (slope + decay * params[j]));
  return { predictions, residuals, products, sums, gradient, step, next: params.map((value, j) => value - step[j]) };
}

/**
 * Curvatures and directions of the cost, flat directions last.
 * @returns {{sizes: number[], columns: number[][], directions: number[][]}} `columns[i] = s_i u_i`, `directions[i]` (p,)
 */
function modesOfCost({ stacked, parameters }, flat) {
  const p = parameters.length;
  const steep = transposed(completed(transposed(flat, p), flat.length, false)).slice(flat.length);
  if (!steep.length) return { sizes: [], columns: [], directions: flat };
  const { sizes, columns, V } = singular(stacked.map((row) => steep.map((each) => dot(row, each))), steep.length);
  return { sizes, columns, directions: [...V.map((v) => timesTransposed(steep, v)), ...flat] };
}

/** (k, p) an orthonormal basis of what these directions of the data's units span, in the descended coordinates. */
function orthonormal(problem, directions) {
  const descended = transposed(directions.map((each) => fromUnits(problem, each)), problem.parameters.length);
  return transposed(completed(descended, directions.length, true)).slice(0, directions.length);
}
