/** Whether an answer to a lesson's question is right, and the reason that belongs to it: `lessons/grading.py`. */

const LETTERS = "abcdefgh"; // of options, in order
const NUMBER = /^(?:[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?|[-+]?\.\d+)/i;

/**
 * @param {{answer: number | string, tolerance?: number, mistakes?: Record<string, number>, options?: string[]}} question
 * @returns {string | null} `right`, the name of a common mistake, `other`, or null where the answer cannot be read
 */
export function graded(question, answer) {
  if (question.options) {
    const given = answer.trim().toLowerCase().replace(/[).]+$/, "");
    const named = question.options[given.length === 1 ? LETTERS.indexOf(given) : -1] ?? given;
    if (!question.options.includes(named)) return null;
    return named === question.answer ? "right" : named;
  }
  const value = read(answer);
  if (value === null) return null;
  const near = (other) => Math.abs(value - other) <= question.tolerance;
  if (near(question.answer)) return "right";
  return Object.keys(question.mistakes).find((name) => near(question.mistakes[name])) ?? "other";
}

/** A number as people write it: `1.4`, `1,234`, `3e-5`, `7/5`, `W = 2.8`. */
export function read(answer) {
  const text = answer.slice(answer.lastIndexOf("=") + 1).trim().replaceAll("\u2212", "-");
  const fraction = text.match(/^(-?\d+)\s*\/\s*(\d+)$/);
  if (fraction) return Number(fraction[2]) ? Number(fraction[1]) / Number(fraction[2]) : null;
  const found = text.match(NUMBER);
  return found ? Number(found[0].replaceAll(",", "")) : null;
}
