/** What the panels show: everything that follows from the state and the data, computed once for an update. */
import { at, fastest, gradientOf, heavyBall, makeProblem, makeTheory, overflow, path, repeated, settled, textbook } from "./model.js";

const MOST_SHOWN = 400; // updates along a path that are drawn
const MIXED = 0.5; // of the greatest weight in a direction, from which on another parameter is named too
export const NEAR = 0.01;

/** 0 .. epochs: all of them, or evenly spread by their logarithm after the first hundred. */
export function sampled(epochs) {
  if (epochs <= MOST_SHOWN) return Array.from({ length: epochs + 1 }, (_, t) => t);
  const found = new Set(Array.from({ length: 101 }, (_, t) => t));
  for (let i = 0; i <= MOST_SHOWN - 100; i += 1) found.add(Math.round(100 * (epochs / 100) ** (i / (MOST_SHOWN - 100))));
  return [...found].sort((a, b) => a - b);
}

/** Settings of the model from the state. */
export function settingsOf(state, extra = {}) {
  return {
    lr: state.lr,
    reduction: state.reduction,
    epochs: state.epochs,
    momentum: state.forget ? 1 : state.momentum,
    nesterov: state.nesterov && state.momentum > 0 && !state.forget,
    dampening: extra.dampening ?? 0,
    weight_decay: extra.weight_decay ?? 0,
    zero_grad: true,
    start: state.start,
  };
}

/** The problem that the state asks about; a start of another length than its parameters starts at zero. */
export function problemOf(state, data) {
  const hypothesis = { bias: state.bias, center: state.center && !state.standardize, standardize: state.standardize, ridge: data.hypothesis?.ridge ?? 0 };
  return makeProblem(state.repeat > 1 ? repeated(data, state.repeat) : data, hypothesis);
}

/** What the rate itself changes nothing of: the fastest rate, the textbook's. */
export function ratesOf(problem, settings) {
  const theory = makeTheory(problem, settings);
  if (!(theory.bound > 0) || !Number.isFinite(theory.bound)) return { fastest: null, textbook: null, oneStep: null, ball: null };
  return { fastest: fastest(theory, NEAR), textbook: textbook(theory), oneStep: 1 / theory.curvature[0], ball: heavyBall(theory) };
}

/** Everything else. */
export function viewOf(state, problem, settings, rates) {
  const theory = makeTheory(problem, settings);
  const ts = sampled(state.epochs);
  const trail = path(theory, ts);
  const epoch = Math.min(state.epoch ?? state.epochs, state.epochs);
  const needed = settled(theory, NEAR);
  return {
    problem,
    theory,
    rates,
    ts,
    params: trail.params,
    descended: trail.descended,
    cost: trail.cost,
    gradient: (place) => gradientOf(problem, trail.descended[place], settings.reduction),
    scaled: state.standardize || (state.center && state.bias),
    penalised: settings.weight_decay > 0 || problem.penalty.some((each) => each > 0),
    labels: labelsOf(problem),
    names: namesOf(theory),
    epoch,
    here: at(theory, epoch),
    needed,
    reaches: needed !== null && needed <= state.epochs,
    overflow: theory.diverges ? overflow(theory) : null,
    regime: regime(theory),
  };
}

/** What parameters are called: W and b, as in the lesson, or by their columns where there are several. */
const labelsOf = ({ features, parameters, bias }) => (features.length === 1 ? ["W", "b"].slice(0, parameters.length) : bias ? [...features, "bias"] : features);

/** What a parameter is called where descent acts on it: with a mark where columns are centered or scaled. */
export const nameOf = ({ labels, scaled }, j) => labels[j] + (scaled ? "′" : "");

/** The parameter that weighs most in each direction, and the next where it weighs nearly as much. */
function namesOf({ problem, directions, rank }) {
  const labels = labelsOf(problem);
  return Array.from({ length: rank }, (_, i) => {
    const weights = directions.map((row) => row[i]);
    const [first, second] = [...weights.keys()].sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]));
    const ratio = weights[second] / weights[first];
    return Math.abs(ratio) > MIXED ? `${labels[first]} ${ratio > 0 ? "+" : "−"} ${labels[second]}` : labels[first];
  });
}

/** What errors do at this rate: in a word that names a sentence and a color. */
export function regime(theory) {
  if (theory.diverges) return "diverges";
  if (theory.error.every((each) => each === 0)) return theory.largest === 0 ? "flat" : "still";
  const swings = theory.response.swings.some((each, i) => each && theory.error[i] !== 0);
  const stands = theory.response.stands.some((each, i) => each && theory.error[i] !== 0);
  return stands ? "stands" : swings ? "overshoots" : "monotone";
}

/** What is marked in all views: the state after t updates, as the panels need it. */
export function shownAt(view, t) {
  const here = t === view.epoch ? view.here : at(view.theory, t);
  return { t, params: here.params, descended: here.descended, cost: here.cost, gradient: here.gradient, h: here.errors.map((each, i) => (view.theory.error[i] === 0 ? 0 : each / view.theory.error[i])) };
}
