/** What a descent will do: the verdict (`doctor/forecast.py`), and when its numbers overflow (`theory/overflow.py`). */
import { dot, norm, times, transposed } from "./linear_algebra.js";
import { aimOf, outside, responseAt, settledAt } from "./settling_time.js";
import { ceilingAt, factorAt, swings } from "./recursion.js";
import { toUnits } from "./problem.js";
import { directionOf } from "./theory.js";

const TOPS = { float32: Math.log((2 - 2 ** -23) * 2 ** 127), float64: Math.log(Number.MAX_VALUE) };
const GONE = -20; // a direction whose error an epoch multiplies by less than exp of this swings no more that anyone sees
const FARTHEST = 1e15; // updates; growth that takes longer is none that anyone will see
const [FIRST_LOOK, LONGEST_LOOK, MOST_LOOKS] = [32, 1 << 14, 40]; // updates looked at in one go, and how often
const ROUNDS = 3; // towards the update from which on it is looked for

/** What becomes of a run of so many updates: "diverges", "too slow", "converges-monotone" or "converges-oscillating". */
export function verdict(theory, epochs, within = 0.01) {
  if (theory.diverges) return "diverges";
  const aim = aimOf(theory, within);
  const modes = responseAt(aim, theory.settings.lr, theory.recursion);
  const last = modes.map((mode) => factorAt(mode, epochs));
  if (outside(aim, last) || settledAt(aim, theory.settings.lr, theory.recursion) === null) return "too slow";
  // Without swinging it changes sides once at most: where torch does not dampen the first update.
  const swinging = modes.some((mode) => (swings(mode) ? mode.log > GONE : factorAt(mode, epochs, epochs * mode.log) < 0));
  return swinging ? "converges-oscillating" : "converges-monotone";
}

/** For each type, after how many updates a weight, the gradient and the cost first leave its range; null for never. */
export function overflow(theory) {
  const none = { weights: null, gradient: null, cost: null };
  if (!theory.diverges) return { float32: { ...none }, float64: { ...none } };
  const { problem, eigenvalues, error, curvature } = theory;
  const moving = [...error.keys()].filter((i) => curvature[i] > 0 && error[i] !== 0);
  const modes = moving.map((i) => theory.response.modes[i]);
  const along = (i, size) => directionOf(theory, i).map((each) => each * size);
  // Each is linear in h, so that it can be taken at a small fraction of its size. Rows belong to what is measured.
  const weights = { parts: transposed(moving.map((i) => toUnits(problem, along(i, error[i])))), rest: theory.goal };
  const slopes = transposed(moving.map((i) => along(i, eigenvalues[i] * error[i])));
  const gradient = { parts: slopes, rest: slopes.map(() => 0) };
  const root = Math.sqrt(theory.scale / problem.weight);
  const predicted = (params) => times(problem.A, params).map((each) => root * each);
  const cost = {
    parts: transposed(moving.map((i) => predicted(along(i, error[i])))),
    rest: predicted(theory.destination).map((each, i) => each - root * problem.t[i]),
  };
  const found = {};
  for (const [kind, top] of Object.entries(TOPS)) {
    found[kind] = {
      weights: first(modes, weights, top, largest),
      gradient: first(modes, gradient, top, largest),
      cost: first(modes, cost, top / 2, norm),
    };
  }
  const { float64 } = found;
  if (float64.weights !== null && float64.gradient !== null) float64.weights = Math.min(float64.weights, float64.gradient + 1);
  return found;
}

const largest = (values) => values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);

/** The first update after which the length of `parts h + rest` is beyond exp(top): exact, but for what swings for ever. */
function first(modes, { parts, rest }, top, length) {
  const small = rest.map((each) => each * Math.exp(-top));
  const beyond = (t) => {
    const h = modes.map((mode) => factorAt(mode, t, top));
    return !(length(parts.map((row, j) => dot(row, h) + small[j])) <= 1);
  };
  if (beyond(0)) return 0;
  const sizes = parts.map((row) => row.map(Math.abs));
  let [low, count] = [1, FIRST_LOOK];
  for (let round = 0; round < ROUNDS; round++) low = earliest(modes, sizes, length(small), top, length, low);
  for (let look = 0; look < MOST_LOOKS; look++) {
    if (!(low < FARTHEST)) return null;
    for (const end = low + count; low < end; low++) if (beyond(low)) return low;
    count = Math.min(2 * count, LONGEST_LOOK);
  }
  return low;
}

/** An update, not before `since`, up to which no sum of these parts can be beyond exp(top): by a bound that only grows. */
function earliest(modes, sizes, small, top, length, since) {
  const bound = (t) => {
    const ceiling = modes.map((mode) => ceilingAt(mode, t, top, since));
    return length(sizes.map((row) => dot(row, ceiling))) + small;
  };
  let [low, high] = [since, 2 * since];
  while (bound(high) <= 1 && high < FARTHEST) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    [low, high] = bound(middle) > 1 ? [low, middle] : [middle, high];
  }
  return low;
}
