/**
 * Which columns are, within rounding, combinations of the columns before them: the flat directions of the cost
 * (`problem/least_squares.py`). Columns are taken one after another at unit length, means off where a bias does so.
 */
import { UNIT, column, dot, filled, norm, reflect } from "./linear_algebra.js";

/**
 * A direction in which the cost is flat, in the data's units, for each dependent feature.
 * @param {{C: number[][], means: number[], weight: number, noise: number[], bias: boolean, penalty: number[]}} given
 *   the (k, k) triangle of centered columns, and the ridge on each of the d features' weights
 * @returns {number[][]} k vectors of p entries
 */
export function flatIn(given) {
  const system = systemOf(given);
  const d = given.penalty.length;
  const { T, rows, independent } = echelon(system, d);
  const dependent = [...Array(d).keys()].filter((j) => !independent.includes(j));
  const extra = (4 + d) * UNIT; // reflections that a plain triangle does without
  const noise = system.noise.map((each, j) => each + extra * norm(column(system.rows, j)));
  return dependent.map((j) => relation({ ...system, noise }, T, rows, independent, j, given));
}

/** Features and target, divided by powers of two so that every column is about 1 long; the ridge's rows last. */
function systemOf({ C, means, weight, noise, bias, penalty }) {
  const data = bias ? C : [means.map((mean) => Math.sqrt(weight) * mean), ...C];
  const own = means.map((_, j) => noise[j] + (bias ? 2 : 6) * UNIT * norm(column(data, j)));
  const ridge = (each, j) => means.map((_, i) => (i === j ? Math.sqrt(weight * each) : 0));
  const all = penalty.some((each) => each > 0) ? [...data, ...penalty.map(ridge)] : data;
  const units = means.map((_, j) => 2 ** Math.round(Math.log2(norm(column(all, j)) || 1)));
  const scaled = (row) => row.map((x, j) => x / units[j]);
  return { rows: all.map(scaled), units, noise: scaled(own), means: scaled(means) };
}

/** The triangle T (r, r) of the r independent columns as its columns, the rotated rows, and which columns they are. */
function echelon({ rows: given, noise }, d) {
  const rows = given.map((row) => [...row]);
  const [T, inverse, independent] = [[], [], []];
  for (let j = 0; j < d; j++) {
    const r = independent.length;
    const above = column(rows.slice(0, r), j);
    const parts = above.map((_, i) => Math.abs(inverse.reduce((sum, each, k) => sum + each[i] * above[k], 0)));
    const length = norm(column(rows.slice(r), j));
    if (length <= noise[j] + dot(parts, independent.map((i) => noise[i]))) continue;
    reflect(rows, r, j);
    const diagonal = rows[r][j];
    const back = filled(r).map((_, i) => -inverse.reduce((sum, each, k) => sum + each[i] * above[k], 0) / diagonal);
    for (const each of inverse) each.push(0);
    inverse.push([...back, 1 / diagonal]);
    T.push([...above, diagonal]);
    independent.push(j);
  }
  return { T, rows, independent };
}

/** The flat direction of dependent column j: 1 there, and what the columns before it have to take back. */
function relation({ units, noise, means }, T, rows, independent, j, { weight, bias, penalty }) {
  const r = independent.length;
  const W = column(rows.slice(0, r), j);
  for (let i = r - 1; i >= 0; i--) {
    W[i] /= T[i][i];
    for (let k = 0; k < i; k++) W[k] -= T[i][k] * W[i];
  }
  const moved = dot(independent.map((i) => noise[i]), W.map(Math.abs)) + noise[j];
  const clean = W.map((each) => (Math.abs(each) <= moved ? 0 : each)); // no part that rounding could not have made
  const direction = filled(penalty.length);
  independent.forEach((i, at) => (direction[i] = -(clean[at] * units[j]) / units[i] + 0));
  direction[j] = 1;
  if (!bias) return direction;
  const constant = means[j] - dot(independent.map((i) => means[i]), clean);
  const part = Math.abs(constant) <= moved / Math.sqrt(weight) ? 0 : constant;
  return [...direction, -part * units[j] + 0];
}
