/** Whether an answer to a lesson's question is right, and the reason that belongs to it: `lessons/grading.py`. */

const LETTERS = "abcdefgh"; // of options, in order
const THOUSANDS = String.raw`[1-9]\d{0,2}(?:,\d{3})+(?!\d)`; // 1,234; but 1,5 and 0,962 have a decimal comma
const DIGITS = String.raw`${THOUSANDS}(?:\.\d*)?|\d+(?:[.,]\d*)?|[.,]\d+`;
const NUMBER = String.raw`[-+]?\s*(?:${DIGITS})(?:\s*(?:e|[x×*·]\s*10\s*(?:\^|\*\*))\s*[-+]?\d+)?`;
const ANSWER = new RegExp(String.raw`^(${NUMBER})(?:\s*/\s*(${NUMBER}))?\D*$`, "i");

/**
 * @param {{answer: number | string, tolerance?: number, mistakes?: Record<string, number>, options?: string[]}} question
 * @returns {string | null} `right`, the name of a common mistake, `other`, or null where the answer cannot be read
 */
export function grade(question, answer) {
  if (question.options) {
    const given = answer.trim().toLowerCase().replace(/^[().]+|[().]+$/g, "");
    const named = question.options[given.length === 1 ? LETTERS.indexOf(given) : -1] ?? given;
    if (!question.options.includes(named)) return null;
    return named === question.answer ? "right" : named;
  }
  const value = parseAnswer(answer);
  if (value === null) return null;
  const near = (other) => Math.abs(value - other) <= question.tolerance;
  if (near(question.answer)) return "right";
  return Object.keys(question.mistakes).find((name) => near(question.mistakes[name])) ?? "other";
}

/** A number as people write it: `1.4`, `-0,4`, `1,234`, `3e-5`, `3·10^-5`, `7/5`, `W ≈ 2.8`. */
export function parseAnswer(answer) {
  const found = answer.normalize("NFKC").split(/[=≈~]/).at(-1).trim().replace(/[−–]/g, "-").match(ANSWER);
  if (!found) return null;
  const value = number(found[1]) / number(found[2] ?? "1");
  return Number.isFinite(value) ? value : null;
}

function number(written) {
  const power = written.toLowerCase().replace(/\s/g, "").replace(/[x×*·]10(\^|\*\*)/, "e");
  return Number(power.replaceAll(",", new RegExp(`^[-+]?${THOUSANDS}`).test(power) ? "" : "."));
}
