/** The status line: what this rate does, and when the descent has converged. */
import { truncate } from "./dom.js";
import { factor, floor, number } from "./messages.js";

const MAX_DIRECTION_NAME = 40; // characters of a direction's name in a message

/** What the plots show, in the headline, the status and the notice. */
export function describe(app, view) {
  const { t } = app;
  const { problem } = view;
  const name = app.data.name || t("source.unnamed");
  const form = problem.features.length === 1 ? `H(x) = Wx${problem.bias ? " + b" : ""}` : `H(x) = W₁x₁ + ${problem.features.length > 2 ? "… + " : ""}W${subscript(problem.features.length)}x${subscript(problem.features.length)}${problem.bias ? " + b" : ""}`;
  app.headline.textContent = t("headline", { form, target: problem.target, rows: problem.rows, name });
  const texts = [describeRate(app, view)];
  if (view.theory.unstable && !view.theory.diverges) texts.push(t("status.unstable", { bound: number(floor(view.theory.bound)) }));
  if (view.overflow?.float32.weights) texts.push(t("status.overflow", { updates: number(view.overflow.float32.weights) }));
  if (!["still", "flat"].includes(view.regime)) texts.push(...describeConvergence(app, view));
  const reason = app.reason;
  if (reason && !app.playing && view.epoch === reason[1].epoch) texts.push(t(...reason));
  app.status.textContent = texts.join(" ");
  app.status.className = `status ${view.regime}`;
  app.notice.textContent = app.trouble ? t(`trouble.${app.trouble}`) : "";
  app.notice.hidden = !app.trouble;
}

/** What an epoch makes of the errors: of the slowest, and of the one that swings most where that is another. */
function describeRate(app, { theory, regime, names, problem }) {
  const { t } = app;
  const { index, factor: f, gap } = theory.growing;
  const bound = theory.bound > 0 && Number.isFinite(theory.bound) ? number(floor(theory.bound)) : number(theory.bound);
  const each = t(theory.recursion.momentum === 0 ? "status.each" : "status.each_long");
  const swinging = regime === "overshoots" ? mostOscillating(theory) : index;
  const values = { each, bound, factor: factor(f, gap), slow: truncate(names[index] ?? "", MAX_DIRECTION_NAME), swinging: truncate(names[swinging] ?? "", MAX_DIRECTION_NAME), swing: factor(theory.factors[swinging], theory.gaps[swinging]) };
  const kind = swinging !== index ? "_elsewhere" : problem.parameters.length === 1 && ["monotone", "overshoots", "diverges"].includes(regime) ? "_one" : "";
  return t(`status.${regime}${kind}`, values);
}

/** From which epoch on it stays near the minimum. */
function describeConvergence(app, { needed, reaches, theory, regime, penalised }) {
  const { t } = app;
  const texts = [];
  if (needed === 0) texts.push(t("status.at_once"));
  else if (needed !== null) texts.push(t(reaches ? "status.near" : "status.late", { needed, epochs: app.state.epochs }));
  else if (!theory.diverges) texts.push(t(regime === "stands" ? "status.never" : "status.beyond"));
  if (penalised) texts.push(t("status.penalised"));
  else if (theory.fitsExactly && needed) texts.push(t("status.exact"));
  return texts;
}

/** Of the directions whose error swings: the one that keeps most of it. */
function mostOscillating({ response, error, factors, growing }) {
  if (response.swings[growing.index]) return growing.index;
  const swinging = factors.map((_, i) => i).filter((i) => response.swings[i] && error[i] !== 0);
  return swinging.reduce((most, i) => (Math.abs(factors[i]) > Math.abs(factors[most]) ? i : most));
}

const subscript = (count) => [...String(count)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
