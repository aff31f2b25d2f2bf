/**
 * Linear algebra for a handful of columns: reflections, and a singular value decomposition that keeps small values'
 * own digits. Matrices are arrays of rows.
 *
 * @typedef {number[]} Vector
 * @typedef {number[][]} Matrix
 */

/** A float64 is within this of the number it stands for, relatively. */
export const UNIT = 2 ** -53;

const MOST_SWEEPS = 60; // about six suffice

/** @type {(n: number, value?: number) => Vector} */
export const filled = (n, value = 0) => new Array(n).fill(value);

/** @type {(a: Vector, b: Vector) => number} */
export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** @type {(M: Matrix, v: Vector) => Vector} */
export const times = (M, v) => M.map((row) => dot(row, v));

/** @type {(M: Matrix, j: number) => Vector} */
export const column = (M, j) => M.map((row) => row[j]);

/** `width` is for a matrix without rows. @type {(M: Matrix, width?: number) => Matrix} */
export const transposed = (M, width = M.length ? M[0].length : 0) => Array.from({ length: width }, (_, j) => column(M, j));

/** M'v. @type {(M: Matrix, v: Vector) => Vector} */
export const timesTransposed = (M, v) => transposed(M).map((each) => dot(each, v));

/** @type {(n: number) => Matrix} */
export const identity = (n) => Array.from({ length: n }, (_, i) => filled(n).fill(1, i, i + 1));

/** The largest size of an entry; 0 where there is none, NaN where one is no number. @type {(v: Vector) => number} */
export const largestOf = (v) => v.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** The length of a vector, also where its square is beyond float64. @type {(v: Vector) => number} */
export function norm(v) {
  const largest = largestOf(v);
  if (!(largest > 0 && largest < Infinity)) return largest;
  let sum = 0;
  for (const x of v) sum += (x / largest) * (x / largest);
  return largest * Math.sqrt(sum);
}

/** The indices of `keys`, largest key first, equal ones in their order. @type {(keys: Vector) => number[]} */
export const descending = (keys) => [...keys.keys()].sort((i, j) => keys[j] - keys[i] || i - j);

/**
 * Reflect rows from `r` on so that column j is 0 below row r; columns before j stay. In place.
 * @type {(rows: Matrix, r: number, j: number) => Vector}  the reflection's vector; empty where there was nothing to do
 */
export function reflect(rows, r, j) {
  const v = rows.slice(r).map((row) => row[j]);
  const length = norm(v);
  if (!v.slice(1).some((x) => x !== 0)) return [];
  for (let i = 0; i < v.length; i++) v[i] /= length;
  v[0] += v[0] < 0 ? -1 : 1;
  mirror(rows, v, r, j);
  for (let i = r + 1; i < rows.length; i++) rows[i][j] = 0;
  return v;
}

/** `rows[r:, j:] -= 2 v v' rows[r:, j:] / v'v`. @type {(rows: Matrix, v: Vector, r: number, j: number) => void} */
function mirror(rows, v, r, j) {
  const twice = 2 / dot(v, v);
  for (let k = j; k < rows[r].length; k++) {
    let sum = 0;
    for (let i = 0; i < v.length; i++) sum += v[i] * rows[r + i][k];
    for (let i = 0; i < v.length; i++) rows[r + i][k] -= v[i] * twice * sum;
  }
}

/**
 * An orthogonal (p, p) matrix whose first k columns span those of the (p, k) matrix `M`; rows with large entries first,
 * and with `pivoting` long columns first, so that no row is spoilt by more than its own rounding (Cox and Higham 1998).
 * @type {(M: Matrix, k: number, pivoting: boolean) => Matrix}
 */
export function completed(M, k, pivoting) {
  const p = M.length;
  const order = descending(M.map(largestOf));
  const rows = order.map((i) => [...M[i]]);
  const mirrors = [];
  for (let j = 0; j < k; j++) {
    if (pivoting) bringLongest(rows, j, k);
    mirrors.push(reflect(rows, j, j));
  }
  const sorted = identity(p);
  for (let j = k - 1; j >= 0; j--) if (mirrors[j].length) mirror(sorted, mirrors[j], j, 0);
  const found = new Array(p);
  order.forEach((i, at) => (found[i] = sorted[at]));
  return found;
}

/** Swap the longest of columns j to k, from row j on, into place j. @type {(rows: Matrix, j: number, k: number) => void} */
function bringLongest(rows, j, k) {
  const lengths = Array.from({ length: k - j }, (_, i) => norm(column(rows.slice(j), j + i)));
  const longest = j + descending(lengths)[0];
  for (const row of rows) [row[j], row[longest]] = [row[longest], row[j]];
}

/**
 * The singular value decomposition `M = U diag(s) V'` by one-sided Jacobi rotations: relative accuracy for every s,
 * however differently the columns are scaled (J. Demmel and K. Veselic, *Jacobi's method is more accurate than QR*,
 * SIAM J. Matrix Anal. Appl. 13, 1992).
 * @param {Matrix} M (m, r)
 * @param {number} r
 * @returns {{sizes: Vector, columns: Vector[], V: Vector[]}} s descending, `columns[i] = s_i u_i`, `V[i]` column i of V
 */
export function singular(M, r) {
  let pairs = Array.from({ length: r }, (_, j) => ({ a: column(M, j), v: filled(r).fill(1, j, j + 1), size: 0 }));
  const enough = UNIT * Math.max(M.length, 4);
  for (let sweep = 0, turned = true; turned && sweep < MOST_SWEEPS; sweep++) {
    turned = false;
    for (const each of pairs) each.size = norm(each.a);
    pairs = descending(pairs.map((each) => each.size)).map((i) => pairs[i]);
    for (let i = 0; i < r; i++) for (let j = i + 1; j < r; j++) turned = rotate(pairs[i], pairs[j], enough) || turned;
  }
  for (const each of pairs) each.size = norm(each.a);
  pairs = descending(pairs.map((each) => each.size)).map((i) => pairs[i]);
  return { sizes: pairs.map((each) => each.size), columns: pairs.map((each) => each.a), V: pairs.map((each) => each.v) };
}

/** Turn two columns orthogonal. Returns whether they were not. */
function rotate(first, second, enough) {
  const [long, short] = [norm(first.a), norm(second.a)];
  if (long === 0 || short === 0) return false;
  let cosine = 0;
  for (let i = 0; i < first.a.length; i++) cosine += (first.a[i] / long) * (second.a[i] / short);
  if (Math.abs(cosine) <= enough) return false;
  const zeta = (long / short - short / long) / (2 * cosine);
  const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const c = 1 / Math.hypot(1, tangent);
  turn(first.a, second.a, c, tangent);
  turn(first.v, second.v, c, tangent);
  return true;
}

function turn(a, b, c, tangent) {
  for (let i = 0; i < a.length; i++) [a[i], b[i]] = [c * (a[i] + tangent * b[i]), c * (b[i] - tangent * a[i])];
}
