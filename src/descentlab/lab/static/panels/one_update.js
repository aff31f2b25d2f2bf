/** One update taken apart, with the learner's own numbers: predict, errors, products, their sum or mean, lr, subtract. */
import { html } from "../dom.js";
import { microStep } from "../model.js";
import { nameOf, shownAt } from "../view.js";
import { signed } from "../messages.js";

const ROWS = 8;

export function oneUpdatePanel(app) {
  const heading = html("h2", { text: app.t("micro.title") });
  const body = html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": app.t("micro.title") });
  const back = html("button", { type: "button", text: app.t("micro.back"), onclick: () => go(-1) });
  const on = html("button", { type: "button", text: app.t("micro.next"), onclick: () => go(1) });
  const caption = html("figcaption", { "aria-live": "polite" });
  const node = html("figure", { class: "panel micro" }, heading, html("div", { class: "row" }, back, on), body, caption);
  const STEPS = ["predict", "errors", "products", "average", "rate", "subtract"];
  let step = STEPS.length - 1;

  function go(by) {
    step = Math.min(Math.max(step + by, 0), STEPS.length - 1);
    app.redraw();
  }

  const short = (value) => signed(value, 4);

  return {
    panel: { node },
    still() {},
    draw(view) {
      const rows = app.rows();
      const { problem } = view;
      const usable = app.whole() && rows.length <= 200 && problem.features.length === 1 && !view.penalised;
      node.hidden = !usable;
      if (!usable) return;
      // At the end of the run, the update that led there.
      const { t, descended } = view.shown.t < app.state.epochs ? view.shown : shownAt(view, app.state.epochs - 1);
      const found = microStep(rows, problem, descended, view.theory.settings);
      const x = rows.map((row) => (row[0] - problem.means[0]) / problem.scales[0]);
      const W = nameOf(view, 0);
      const mark = view.scaled ? "′" : "";
      const shown = Math.min(rows.length, ROWS);
      const columns = [[`x${mark}`, x], ["y", rows.map((row) => row[1])]];
      if (step >= 0) columns.push(["H(x)", found.predictions]);
      if (step >= 1) columns.push(["H(x) − y", found.residuals]);
      if (step >= 2) columns.push([app.t("micro.times_x"), found.products.map((each) => each[0])]);
      const head = html("tr", {}, ...columns.map(([title], j) => html("th", { scope: "col", class: step + 2 === j ? "new" : "", text: title })));
      const lines = Array.from({ length: shown }, (_, i) => html("tr", {}, ...columns.map(([, values], j) => html("td", { class: step + 2 === j ? "new" : "", text: short(values[i]) }))));
      const table = html("table", { "aria-label": app.t("micro.title") }, html("thead", {}, head), html("tbody", {}, ...lines));
      const said = [];
      const summed = ["sum", "half_sum"].includes(app.state.reduction);
      const times = { mean: 2 / problem.weight, half_mean: 1 / problem.weight, sum: 2, half_sum: 1 }[app.state.reduction];
      const named = view.labels.map((_, j) => [nameOf(view, j), found.sums[j], found.gradient[j], found.step[j]]);
      if (step >= 3) {
        for (const [name, sum, gradient] of named) said.push(app.t(summed ? "micro.sum" : "micro.mean", { name, sum: short(sum), times: short(times), rows: problem.rows, gradient: short(gradient) }));
      }
      if (step >= 4) for (const [name, , gradient, move] of named) said.push(app.t("micro.rate", { name, lr: app.state.lr, gradient: short(gradient), step: short(move) }));
      if (step >= 5) named.forEach(([name, , , move], j) => said.push(app.t("micro.subtract", { name, now: short(descended[j]), step: short(move), next: short(found.next[j]) })));
      const list = html("ol", {}, ...said.map((text) => html("li", { text })));
      if (shown < rows.length) list.prepend(html("li", { class: "soft", text: app.t("micro.more", { count: rows.length - shown }) }));
      body.replaceChildren(table, list);
      back.disabled = step === 0;
      on.disabled = step === STEPS.length - 1;
      const plain = view.theory.settings.momentum === 0;
      caption.textContent = app.t(plain ? `micro.caption_${STEPS[step]}` : app.state.forget ? "micro.kept" : "micro.momentum", { epoch: t + 1, W });
    },
  };
}
