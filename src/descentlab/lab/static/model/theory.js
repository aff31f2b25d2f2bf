/**
 * What full-batch theory says of one descent on one problem, and where it is after any number of updates: `theory/full_batch.py`
 * and `engines/exact.py`.
 *
 * In direction i the displacement from the start after t plain updates is `-lr pull_i (1 + f + .. + f^(t-1))`, and with
 * momentum a power of a small matrix. Working from the start keeps the digits of what has hardly begun to move.
 *
 * @typedef {{lr: number, reduction: string, epochs?: number, momentum?: number, dampening?: number, nesterov?: boolean,
 *   weight_decay?: number, zero_grad?: boolean, start?: number[] | null}} Settings
 */
import { UNIT, column, dot, filled, largestOf, norm, times, timesTransposed, transposed } from "./linear_algebra.js";
import { factorAt, gap, geometricSum, growth, limit, logLeft, recursionOf, response } from "./recursion.js";
import { costOf, fromUnits, gradientFactor, objectiveOf, toUnits } from "./problem.js";

const EXACT_FIT = 1e-10; // the root mean square residual, relative to the target's spread, below which a fit is exact
const NOTHING = 32; // units of rounding that a residual may be along a direction and still be none
const HARDLY = 0.5; // the part of itself that an error has lost up to which what it lost is found by itself

/**
 * @param {ReturnType<import("./problem.js").makeProblem>} problem
 * @param {Settings} settings
 */
export function makeTheory(problem, settings) {
  const { modes, weight, parameters } = problem;
  const c = gradientFactor(settings.reduction, weight);
  const decay = settings.weight_decay ?? 0;
  const rank = modes.sizes.length;
  const recursion = recursionOf(settings);
  const eigenvalues = parameters.map((_, i) => (i < rank ? c * modes.sizes[i] ** 2 : 0));
  const curvature = eigenvalues.map((each) => each + decay);
  const start = settings.start ? fromUnits(problem, settings.start) : filled(parameters.length);
  const { slope, pull, error } = pullAt(problem, c, decay, curvature, start);
  const x = curvature.map((each) => settings.lr * each);
  const factors = x.map((each) => (each > 0 ? growth(each, recursion) : 1));
  const gaps = x.map((each) => (each > 0 ? gap(each, recursion) : 0));
  const largest = (eigenvalues[0] ?? 0) + decay;
  // Of the directions that the data has, or the start an error in.
  const open = decay > 0 && error.slice(rank).some((each) => each !== 0);
  const smallest = open ? decay : (rank ? eigenvalues[rank - 1] : 0) + decay;
  const known = response(x, recursion);
  const foreseeable = settings.zero_grad !== false || !(settings.momentum || decay);
  const unstable = foreseeable && known.grows.some((grows, i) => grows && curvature[i] > 0);
  const theory = {
    problem, settings, recursion, c, decay, curvature, eigenvalues, rank, error, slope, pull, start, x, factors, gaps,
    foreseeable, unstable, largest, smallest, scale: (c * weight) / 2, response: known,
    directions: transposed(modes.directions),
    bound: largest > 0 ? limit(recursion) / largest : Infinity,
    condition: largest === 0 ? 1 : smallest > 0 ? largest / smallest : Infinity,
    diverges: unstable && known.grows.some((grows, i) => grows && error[i] !== 0),
    growing: growingOf(x, error, factors, gaps, problem),
  };
  return { ...theory, ...boundFor(theory) };
}

/** What pulls at a point along each direction, and how far it is from where that ends; 0 where nothing pulls. */
function pullAt({ modes, stacked, stackedTarget }, c, decay, curvature, point) {
  const predicted = times(stacked, point);
  const residual = predicted.map((value, i) => value - stackedTarget[i]);
  const nothing = NOTHING * UNIT * (norm(predicted) + norm(stackedTarget)); // along unit vectors; columns are as long as sizes
  const told = (i) => {
    const along = dot(modes.columns[i], residual);
    return Math.abs(along) <= nothing * modes.sizes[i] ? 0 : c * along;
  };
  const slope = curvature.map((_, i) => (i < modes.sizes.length ? told(i) : 0));
  const pull = slope.map((each, i) => each + decay * dot(modes.directions[i], point));
  return { slope, pull, error: pull.map((each, i) => (curvature[i] > 0 ? each / curvature[i] : 0)) };
}

/** The destination, from the start or from zero, whichever is nearer, and what is measured there. */
function boundFor({ problem, c, decay, curvature, error, start, scale, directions }) {
  const away = pullAt(problem, c, decay, curvature, filled(start.length)).error;
  const along = timesTransposed(directions, start).map((each, i) => (curvature[i] > 0 ? -away[i] : each));
  const fromStart = largestOf(error) <= largestOf(away);
  const moved = fromStart ? times(directions, error) : times(directions, along);
  const destination = fromStart ? start.map((each, j) => each - moved[j]) : moved;
  const penalized = problem.ridge > 0 || decay > 0;
  const leastCost = penalized ? costOf(problem, destination) : residualOf(problem);
  const own = objectiveOf(problem, destination) + (decay * dot(destination, destination)) / (2 * scale);
  const leastObjective = penalized ? own : leastCost;
  const terms = norm(problem.A.map((row) => row.reduce((sum, each, j) => sum + Math.abs(each * destination[j]), 0))) + norm(problem.t);
  const rounding = Math.max(problem.rounding, (UNIT * terms) / Math.sqrt(problem.weight));
  const fitsExactly = Math.sqrt(leastCost) <= Math.max(EXACT_FIT * problem.spread, 4 * rounding);
  const goal = toUnits(problem, destination);
  return { destination, goal, leastCost, leastObjective, fitsExactly, sizes: sizesOf(goal, toUnits(problem, start)) };
}

/** The least mean squared error: of what the directions leave of the target. */
function residualOf({ modes, t, weight }) {
  let left = t;
  for (const [i, size] of modes.sizes.entries()) {
    const unit = modes.columns[i].map((each) => each / size);
    const along = dot(unit, left);
    left = left.map((each, k) => each - along * unit[k]);
  }
  return norm(left) ** 2 / weight;
}

/** What each coefficient's error is measured against: its size, or the largest's where it is about 0. */
function sizesOf(goal, start) {
  const largest = largestOf(goal);
  if (largest === 0) return filled(goal.length, largestOf(start));
  return goal.map((each) => (Math.abs(each) > 1e-6 * largest ? Math.abs(each) : largest));
}

/** The worst direction among those with an error that anything pulls at, or, where none has, among all. */
function growingOf(x, error, factors, gaps, { modes, parameters }) {
  const pulled = [...x.keys()].filter((i) => x[i] > 0);
  const moving = pulled.filter((i) => error[i] !== 0);
  let index = -1;
  // Of equal factors the last: the flattest direction, where several are 1 to every digit.
  for (const i of moving.length ? moving : pulled) {
    if (index < 0 || Math.abs(factors[i]) >= Math.abs(factors[index])) index = i;
  }
  if (index < 0) return { factor: 1, gap: 0, index: 0, parameter: parameters[0] };
  const sizes = modes.directions[index].map(Math.abs);
  return { factor: factors[index], gap: gaps[index], index, parameter: parameters[sizes.indexOf(Math.max(...sizes))] };
}

/**
 * Where the descent is after t updates; inf beyond float64's range. `gradient` is that of the cost with the ridge's
 * part, without weight decay's, in the descended coordinates.
 */
export function at(theory, t) {
  const { problem, directions, eigenvalues, slope, error, response: known } = theory;
  const [moved] = displacements(theory, [t]);
  const descended = placed(theory, moved);
  const along = slope.map((each, i) => each + eigenvalues[i] * moved[i]);
  return {
    params: toUnits(problem, descended).map(beyond),
    descended,
    cost: costOf(problem, descended),
    gradient: times(directions, along).map(beyond),
    gradientNorm: beyond(norm(along)),
    errors: known.at(t).map((h, i) => (error[i] === 0 ? 0 : h * error[i])),
  };
}

/** The same for many t, in ascending order: parameters in the data's units, and the mean squared errors. */
export function path(theory, ts) {
  const descended = displacements(theory, ts).map((moved) => placed(theory, moved));
  return {
    params: descended.map((each) => toUnits(theory.problem, each).map(beyond)),
    descended,
    cost: descended.map((each) => costOf(theory.problem, each)),
  };
}

const beyond = (value) => (Number.isNaN(value) ? Infinity : value);

const placed = ({ start, directions }, moved) => directions.map((row, j) => beyond(start[j] + dot(row, moved)));

/** Displacements along the directions after each number of updates. */
function displacements(theory, ts) {
  const { settings, x, pull, recursion } = theory;
  if (recursion.momentum !== 0) return withMomentum(theory, ts);
  const logs = x.map(logLeft);
  const after = (t) => (each, i) => -settings.lr * pull[i] * geometricSum(each, t, logs[i]);
  return ts.map((t) => (t === 0 ? filled(x.length) : x.map(after(t))));
}

/** From the response, and from powers of the update, one t to the next, as long as an error has hardly moved. */
function withMomentum({ settings, x, pull, error, recursion, response: known }, ts) {
  const all = ts.map(() => filled(x.length));
  x.forEach((each, i) => {
    const g = settings.lr * pull[i];
    const once = update(each, g, recursion);
    let [state, done, stride, by] = [afterFirst(g, recursion), 1, once, 1];
    ts.forEach((t, k) => {
      const h = factorAt(known.modes[i], t);
      if (t === 0 || error[i] === 0) return;
      if (Math.abs(h - 1) > HARDLY) all[k][i] = error[i] * (h - 1);
      else {
        if (t - done !== by && t > done) [by, stride] = [t - done, power(once, t - done)];
        if (t > done) [state, done] = [advanced(stride, state), t];
        all[k][i] = state[0];
      }
    });
  });
  return all;
}

/** The state (displacement, buffer times lr, 1) after the first update, which torch does not dampen. */
const afterFirst = (g, { momentum, nesterov }) => [nesterov ? -(g + momentum * g) : -g, g, 1];

/** One update of the state, minus the identity: what stays after it is not rounded away. Its last row is 0. */
function update(x, g, { momentum: mu, dampening: tau, nesterov }) {
  const left = 1 - tau;
  const first = nesterov ? [-(1 + mu) * x, -mu * mu, -(1 + mu) * g] : [-left * x, -mu, -left * g];
  return [...first, left * x, mu - 1, left * g];
}

function advanced([a, b, c, d, e, f], [q, m, one]) {
  return [q + (a * q + b * m + c * one), m + (d * q + e * m + f * one), one];
}

/** `M + N + M N` for updates minus the identity. */
function joined([a, b, c, d, e, f], [g, h, i, j, k, l]) {
  return [
    a + g + (a * g + b * j), b + h + (a * h + b * k), c + i + (a * i + b * l),
    d + j + (d * g + e * j), e + k + (d * h + e * k), f + l + (d * i + e * l),
  ];
}

/** `(I + N)^t - I` by repeated squaring. */
function power(N, t) {
  let result = filled(6);
  for (let rest = t, square = N; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = joined(result, square);
    if (rest > 1) square = joined(square, square);
  }
  return result;
}

/** Whether these parameters have converged, as in `FullBatchTheory.is_converged`. @type {(theory: object, descended: number[], within?: number) => boolean} */
export function near(theory, descended, within = 0.01) {
  const { problem, destination, directions, curvature, scale, sizes } = theory;
  const error = timesTransposed(directions, descended.map((value, j) => value - destination[j]));
  if (!theory.fitsExactly) {
    return error.reduce((sum, each, i) => sum + each * each * curvature[i], 0) / (2 * scale) <= within * theory.leastObjective;
  }
  const off = toUnits(problem, times(directions, error.map((each, i) => (curvature[i] > 0 ? each : 0))));
  return off.every((each, j) => Math.abs(each) <= within * sizes[j]);
}

/** Direction i as a vector. @type {(theory: object, i: number) => number[]} */
export const directionOf = (theory, i) => column(theory.directions, i);
