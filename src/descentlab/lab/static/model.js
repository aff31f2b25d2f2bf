/** The doctor's numbers in JavaScript: pure mathematics, without a page. Held to the Python engines by shared vectors. */
export { costOf, factorOf, fromUnits, gradientFactor, gradientOf, makeProblem, microStep, repeated, selected, toUnits } from "./model/problem.js";
export { gap, growth, limit, recursionOf, response } from "./model/recursion.js";
export { at, makeTheory, near, path } from "./model/theory.js";
export { fastest, heavyBall, settled, textbook } from "./model/rates.js";
export { overflow, verdict } from "./model/forecast.js";
