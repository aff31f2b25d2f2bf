/**
 * From which update on a descent is at its minimum for good: `theory/settling_time.py`. Errors are `e_i h_i(t)`; "there" is a matrix
 * of parts, one row a condition: the sum of squares of parts times h, or the size of every sum, is at most 1.
 */
import { directionOf } from "./theory.js";
import { toUnits } from "./problem.js";
import { envelopeAt, factorAt, grows, modesOf, stands, swings } from "./recursion.js";

const FARTHEST = 2 ** 53; // updates beyond it cannot be told apart
const [FIRST_CHUNK, CHUNK] = [64, 1 << 14]; // updates looked at one by one at a time, at first and at most
const [WINDOW, PROMISING] = [64, 1.5]; // updates before an estimate that a search looks at, and at which estimates
const MOST_STEPS = 100; // towards a crossing, which takes about six
const [MOST_CHUNKS, MOST_LEAPS] = [16, 2000]; // after so many, an upper bound has to do

/**
 * What counts as there, whatever the rate.
 * @typedef {{curvature: number[], parts: number[][], sizes: number[][], heights: number[], squared: boolean}} Aim
 * @returns {Aim}
 */
export function aimOf(theory, within) {
  const { error: all, scale, leastObjective, problem } = theory;
  const moving = [...all.keys()].filter((i) => theory.curvature[i] > 0 && all[i] !== 0);
  const [curvature, error] = [moving.map((i) => theory.curvature[i]), moving.map((i) => all[i])];
  const parts = theory.fitsExactly
    ? theory.sizes.map((size, j) => moving.map((i) => (toUnits(problem, directionOf(theory, i))[j] * all[i]) / (within * size)))
    : [error.map((each, i) => each * Math.sqrt(curvature[i] / (2 * scale * within * leastObjective)))];
  const cleaned = parts.map((row) => row.map((each) => (Number.isNaN(each) ? 0 : each)));
  const sizes = cleaned.map((row) => row.map(Math.abs));
  const heights = moving.map((_, i) => Math.max(0, ...sizes.map((row) => row[i])));
  return { curvature, parts: cleaned, sizes, heights, squared: !theory.fitsExactly };
}

export const responseAt = (aim, lr, recursion) => modesOf(aim.curvature.map((each) => lr * each), recursion);

/** The condition that parts times h come to; a sum that is no number is beyond any bound. */
function conditionOf(row, h, squared) {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += squared ? (h[i] * row[i]) ** 2 : h[i] * row[i];
  return sum;
}

/** Whether errors that are h times what they were are too large. */
export const outside = ({ parts, squared }, h) => parts.some((row) => !(Math.abs(conditionOf(row, h, squared)) <= 1));

/** A bound on the worst condition where no error is more than `size` times what it was. */
const most = ({ sizes, squared }, size) => sizes.reduce((worst, row) => Math.max(worst, conditionOf(row, size, squared)), -Infinity);

const envelope = (modes, t) => modes.map((mode) => envelopeAt(mode, t)[0]);

const valuesAt = (modes, t) => modes.map((mode) => factorAt(mode, t));

/** After how many updates, not rounded to a whole number, `most` of the envelope is 1; inf for never. */
export function estimate(aim, given, digits = 1e-11) {
  if (!aim.curvature.length) return 0;
  const matters = aim.heights.map((height) => height > 0);
  if (given.some((mode, i) => grows(mode) && matters[i])) return Infinity;
  const still = given.map((mode, i) => stands(mode) && matters[i]);
  if (still.includes(true) && most(aim, given.map((mode, i) => (still[i] ? mode.lasting : 0))) > 1) return Infinity;
  const modes = given.map((mode, i) => (still[i] ? { ...mode, log: 0 } : mode));
  if (most(aim, envelope(modes, 0)) <= 1) return 0;
  const alone = aim.heights.map((height, i) => (height > 1 ? Math.log(height) / -modes[i].log : 0));
  const found = crossing((t) => height(aim, modes, t), Math.max(0, ...alone), digits);
  return found < FARTHEST ? found : Infinity;
}

/** The logarithm of the worst condition, and its slope. */
function height(aim, modes, t) {
  const ends = modes.map((mode) => envelopeAt(mode, t));
  const size = ends.map((each) => each[0]);
  const sums = aim.sizes.map((row) => conditionOf(row, size, aim.squared));
  const worst = sums.indexOf(Math.max(...sums));
  const power = aim.squared ? 2 : 1;
  const row = aim.sizes[Math.max(worst, 0)];
  const bend = ends.reduce((sum, [value, slope], i) => sum + (value * row[i]) ** power * slope, 0);
  const highest = sums[Math.max(worst, 0)];
  return [Math.log(highest), (power * bend) / highest];
}

/** Where a falling function that gives its slope is 0: Newton's steps, kept between the ends found so far. */
function crossing(value, from, digits) {
  let [point, low, high] = [from, from, Infinity];
  for (let step = 0; step < MOST_STEPS; step++) {
    const [here, slope] = value(point);
    if (here > 0) low = point;
    else high = point;
    const newton = point - here / slope;
    const halfway = Number.isFinite(high) ? (low + high) / 2 : 2 * low + 1;
    const following = newton >= low && newton <= high && Number.isFinite(newton) ? newton : halfway;
    const far = Math.abs(following - point) > digits * point + 1e-6;
    if ((here <= 0 && point === low) || !far) break;
    point = following;
  }
  return point;
}

/** Estimates, and for the best of them what swinging does to them: `Aim.counts`. */
export function counts(aim, responses, digits) {
  const found = responses.map((modes) => estimate(aim, modes, digits));
  const promising = PROMISING * Math.min(...found);
  return found.map((count, i) => {
    if (!Number.isFinite(count) || count > promising || !aim.curvature.length) return count;
    const last = Math.ceil(count);
    const stride = Math.floor(Math.floor(last / (2 * WINDOW)) / 2) * 2 + 1; // odd: what changes sides each time is seen
    let back = 0;
    while (back < WINDOW && !outside(aim, valuesAt(responses[i], Math.max(last - stride * back, 0)))) back++;
    return Math.max(last - stride * back + 1, 0);
  });
}

/** From how many updates on the descent stays at its aim at this rate; null for never. */
export function settledAt(aim, lr, recursion) {
  const modes = responseAt(aim, lr, recursion);
  const bound = estimate(aim, modes);
  if (!Number.isFinite(bound)) return null;
  let [last, step] = [Math.ceil(bound), 1];
  while (most(aim, envelope(modes, last)) > 1) [last, step] = [last + step, 2 * step]; // it was found to some digits only
  return lastOutside(aim, modes, last) + 1;
}

/** The last update up to `last` at which the descent is outside, -1 if it never is: backwards, in leaps where it can. */
function lastOutside(aim, modes, last) {
  let [high, size, leap, chunks, leaps] = [last, FIRST_CHUNK, CHUNK, 0, 0];
  while (high >= 0 && chunks < MOST_CHUNKS && leaps < MOST_LEAPS) {
    if (!aim.squared && leap > size) {
      const inside = high > leap && certainlyInside(aim, modes, high - leap, high);
      [high, leap, leaps] = inside ? [high - leap, 2 * leap, leaps + 1] : [high, Math.floor(leap / 2), leaps + 1];
      continue;
    }
    const end = Math.max(high - size, -1);
    for (; high > end; high--) if (outside(aim, valuesAt(modes, high))) return high;
    [size, chunks] = [Math.min(4 * size, CHUNK), chunks + 1];
    leap = 2 * size;
  }
  return high;
}

/** Whether every condition holds at all updates from first to last, by bounds on each direction's part. */
function certainlyInside(aim, modes, first, last) {
  const size = envelope(modes, first);
  const [starts, ends] = [valuesAt(modes, first), valuesAt(modes, last)];
  // What neither swings nor starts with a bend falls from its first value to its last.
  const steady = modes.map((mode) => !swings(mode) && mode.first === 0);
  const top = size.map((each, i) => (steady[i] ? starts[i] : each));
  const bottom = size.map((each, i) => (steady[i] ? ends[i] : -each));
  return aim.parts.every((row) => {
    const [up, down] = [row.map((each) => Math.max(each, 0)), row.map((each) => Math.min(each, 0))];
    return conditionOf(up, top) + conditionOf(down, bottom) <= 1 && conditionOf(up, bottom) + conditionOf(down, top) >= -1;
  });
}
