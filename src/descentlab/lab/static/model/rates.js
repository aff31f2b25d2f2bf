/** The rates to use: the best for this start, found on the exact trajectory, and those of the textbook (`theory/learning_rates.py`). */
import { aimOf, counts, estimate, responseAt, settledAt } from "./settling_time.js";
import { dampedMost, limit } from "./recursion.js";

const [GRID, ZOOM, ROUNDS] = [32, 9, 6]; // rates tried first, then around the best, and how often
const SWINGING = 64; // of so many directions at most is the swing of errors looked at during the search
const KEPT = 2; // valleys followed to their bottom
const DIGITS = 1e-7; // relative precision of the epochs that rates are compared by

/** From which update on the descent stays within this part of the least cost; null for never. */
export const settled = (theory, within = 0.01) => settledAt(aimOf(theory, within), theory.settings.lr, theory.recursion);

/** Plain descent's best rate for the worst start. */
export const textbook = ({ largest, smallest }) => ({ lr: 2 / (largest + smallest) });

/** Polyak's pair: the heavy ball's best for the worst start. */
export function heavyBall({ largest, smallest }) {
  const [high, low] = [Math.sqrt(largest), Math.sqrt(smallest)];
  return { lr: 4 / (high + low) ** 2, momentum: ((high - low) / (high + low)) ** 2 };
}

/**
 * The learning rate with which a descent with the settings' own momentum is soonest at its minimum, for good.
 * @returns {{lr: number, momentum: number, epochs: number | null} | null} null where no rate ever is
 */
export function fastest(theory, within = 0.01) {
  const { largest, recursion } = theory;
  const aim = aimOf(theory, within);
  const bound = Number.isFinite(limit(recursion)) ? limit(recursion) : 100;
  if (bound === 0 || !(largest > 0)) return null;
  const rate = (below) => (bound * (1 - below)) / largest;
  const told = (lr) => ({ lr, momentum: recursion.momentum, epochs: settledAt(aim, lr, recursion) });
  if (!aim.curvature.length) return told(bound / 2 / largest);

  const smooth = recursion.momentum === 0 || aim.curvature.length > SWINGING;
  const epochsAt = (points) => {
    const responses = points.map((below) => responseAt(aim, rate(below), recursion));
    return smooth ? responses.map((modes) => estimate(aim, modes, DIGITS)) : counts(aim, responses, DIGITS);
  };
  const grid = gridOf(aim, largest, bound, recursion);
  const found = epochsAt(grid);
  const rounds = recursion.momentum === 0 ? ROUNDS : Math.floor(ROUNDS / 2);
  const bottoms = valleys(found).map((i) => bottom(epochsAt, grid, found, i, rounds));
  const tried = bottoms.filter((below) => below !== null).map((below) => told(rate(below)));
  const done = tried.filter((each) => each.epochs !== null);
  return done.length ? done.reduce((best, each) => (sooner(each, best) ? each : best)) : null;
}

const sooner = (a, b) => a.epochs < b.epochs || (a.epochs === b.epochs && a.lr < b.lr);

/** The bottom of the valley around grid point i; null where no rate in it ever arrives. */
function bottom(epochsAt, grid, epochs, i, rounds) {
  let [left, right] = [grid[Math.max(i - 1, 0)], grid[Math.min(i + 1, grid.length - 1)]];
  let [best, at] = [epochs[i], grid[i]];
  for (let round = 0; round < rounds; round++) {
    const points = distinct([...spaced(left, right, ZOOM), at]);
    const found = epochsAt(points);
    const j = found.indexOf(Math.min(...found));
    [best, at] = [found[j], points[j]];
    [left, right] = [points[Math.max(j - 1, 0)], points[Math.min(j + 1, points.length - 1)]];
  }
  return Number.isFinite(best) ? at : null;
}

/** How far below the bound to look, as parts of it, ascending: every decade, and where a step ends a direction. */
function gridOf(aim, largest, bound, recursion) {
  const { momentum } = recursion;
  const condition = largest / Math.min(...aim.curvature);
  const near = Math.max(Math.min(0.05 / condition, 0.25), 1e-14);
  // With momentum a little above where roots meet errors swing, by less than the aim, and are there sooner.
  const most = (momentum && aim.curvature.length <= SWINGING ? spaced(0.5, 8, 9) : [1]).map((each) => each * dampedMost(recursion));
  const steps = most.flatMap((times) => aim.curvature.map((each) => 1 - (times * (largest / bound)) / each)).filter((step) => step > near && step < 1);
  const far = momentum ? [...spaced(1e-6, 1e-3, GRID / 4), ...spaced(1e-3, 0.5, GRID)] : [];
  return distinct([...spaced(near, 0.5, GRID), ...steps, ...far.map((each) => 1 - each)]);
}

/** The lowest local minima, best first. */
function valleys(epochs) {
  const before = (i) => epochs[i] ?? Infinity;
  const low = [...epochs.keys()].filter((i) => Number.isFinite(epochs[i]) && epochs[i] <= before(i - 1) && epochs[i] <= before(i + 1));
  return low.sort((i, j) => epochs[i] - epochs[j] || i - j).slice(0, KEPT);
}

/** n numbers from first to last whose logarithms are evenly spaced. */
function spaced(first, last, n) {
  const [from, to] = [Math.log10(first), Math.log10(last)];
  return Array.from({ length: n }, (_, i) => (i === 0 ? first : i === n - 1 ? last : 10 ** (from + (i * (to - from)) / (n - 1))));
}

const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);
