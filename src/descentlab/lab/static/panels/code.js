/** The run as shown, as code: NumPy by hand, PyTorch by hand, torch.optim, descentlab. */
import { html } from "../dom.js";

const KINDS = ["numpy", "torch", "optim", "descentlab"];

export function codePanel(app) {
  const heading = html("h2", { text: app.t("code.title") });
  const text = html("code");
  const pre = html("pre", { tabindex: 0, role: "region", "aria-label": app.t("code.title") }, text);
  const copy = html("button", { type: "button", text: app.t("code.copy"), onclick: () => app.copy(text.textContent, copy, "code.copy") });
  const caption = html("figcaption");
  let kind = "optim";
  const tabs = KINDS.map((name) =>
    html("button", { type: "button", "aria-pressed": String(name === kind), text: app.t(`code.${name}`), onclick: () => ((kind = name), app.redraw()) }),
  );
  const node = html("figure", { class: "panel code" }, heading, html("div", { class: "row", role: "group", "aria-label": app.t("code.title") }, ...tabs, copy), pre, caption);

  return {
    panel: { node },
    still() {},
    draw(view) {
      caption.textContent = app.t(!app.data.whole || app.rows().length > 24 ? "code.rows" : view.scaled && kind !== "descentlab" ? "code.scaled" : "code.caption");
      tabs.forEach((tab, i) => tab.setAttribute("aria-pressed", String(KINDS[i] === kind)));
      const written = view.penalised || view.theory.settings.dampening ? told(app, view) : { numpy, torch, optim, descentlab }[kind](app, view);
      if (text.textContent !== written) text.textContent = written;
    },
  };
}

/** With a penalty or dampening, which the page takes over from a diagnosis, only descentlab's own words are short enough. */
function told(app, view) {
  const { weight_decay: decay, dampening } = view.theory.settings;
  const ridge = view.problem.ridge;
  return descentlab(app, view)
    .replace(/(dl\.Problem\(X, y)/, ridge > 0 ? `$1, ridge=${ridge}` : "$1")
    .replace(/(, epochs=)/g, `${decay > 0 ? `, weight_decay=${decay}` : ""}${dampening > 0 ? `, dampening=${dampening}` : ""}$1`);
}

/** The data's lines, in NumPy's or torch's words. */
function dataLines(app, view, make) {
  const { problem } = view;
  const rows = app.rows();
  const d = problem.features.length;
  if (!app.data.whole || rows.length > 24) return [`X, y = ...  # ${problem.rows} rows: ${JSON.stringify(problem.features.join(", "))} -> ${JSON.stringify(problem.target)}`];
  const X = rows.map((row) => `[${row.slice(0, d).join(", ")}]`).join(", ");
  const lines = [`X = ${make}([${X}])`, `y = ${make}([${rows.map((row) => row[d]).join(", ")}])`];
  if (app.state.repeat > 1) lines.push(make.startsWith("np") ? `X, y = np.tile(X, (${app.state.repeat}, 1)), np.tile(y, ${app.state.repeat})` : `X, y = X.repeat(${app.state.repeat}, 1), y.repeat(${app.state.repeat})`);
  return lines;
}

function scaling(app, view, torch) {
  const deviation = torch ? "X.std(0, correction=0)" : "X.std(axis=0)";
  const mean = torch ? "X.mean(0)" : "X.mean(axis=0)";
  if (app.state.standardize) {
    const size = torch ? "(X ** 2).mean(0).sqrt()" : "np.sqrt((X ** 2).mean(axis=0))";
    const constant = view.theory.rank < view.problem.parameters.length; // perhaps: a column that has no size keeps its own
    const lines = [`size = ${app.state.bias ? deviation : size}`, ...(constant ? ["size[size == 0] = 1"] : [])];
    return [...lines, app.state.bias ? `X = (X - ${mean}) / size` : "X = X / size"];
  }
  return app.state.center && app.state.bias ? [`X = X - ${mean}`] : [];
}

const COST = { mean: "(r ** 2).mean()", half_mean: "(r ** 2).mean() / 2", sum: "(r ** 2).sum()", half_sum: "(r ** 2).sum() / 2" };
const FACTOR = { mean: "2 / len(y)", half_mean: "1 / len(y)", sum: "2", half_sum: "1" };

function numpy(app, view) {
  const { state } = app;
  const start = view.descended[0];
  const d = view.problem.features.length;
  const mu = state.forget ? 1 : state.momentum;
  const lines = ["import numpy as np", "", ...dataLines(app, view, "np.array").map((text) => text.replace(/\]\)$/, "], dtype=float)")), ...scaling(app, view, false), `W = np.array([${start.slice(0, d).join(", ")}], dtype=float)`];
  if (state.bias) lines.push(`b = ${float(start[d])}`);
  if (mu) lines.push(`vW = np.zeros_like(W)${state.bias ? "; vb = 0.0" : ""}`);
  lines.push("", `for epoch in range(1, ${state.epochs} + 1):`);
  lines.push(`    r = X @ W${state.bias ? " + b" : ""} - y`, `    print(epoch, W, ${state.bias ? "b, " : ""}(r ** 2).mean())`);
  lines.push(`    gW = ${FACTOR[state.reduction]} * (X.T @ r)`);
  if (state.bias) lines.push(`    gb = ${FACTOR[state.reduction]} * r.sum()`);
  const nag = view.theory.settings.nesterov;
  for (const name of state.bias ? ["W", "b"] : ["W"]) {
    if (mu) lines.push(`    v${name} = ${mu} * v${name} + g${name}`);
    lines.push(`    ${name} = ${name} - ${state.lr} * ${mu ? (nag ? `(g${name} + ${mu} * v${name})` : `v${name}`) : `g${name}`}`);
  }
  return lines.join("\n");
}

function torchHead(app, view) {
  const { state } = app;
  const start = view.descended[0];
  const d = view.problem.features.length;
  const lines = ["import torch", "", ...dataLines(app, view, "torch.tensor").map((text) => text.replace(/\]\)$/, "], dtype=torch.float64)")), ...scaling(app, view, true)];
  lines.push(`W = torch.tensor([${start.slice(0, d).join(", ")}], dtype=torch.float64, requires_grad=True)`);
  if (state.bias) lines.push(`b = torch.tensor(${float(start[d])}, dtype=torch.float64, requires_grad=True)`);
  return lines;
}

const float = (value) => (Number.isInteger(value) ? `${value}.0` : String(value));

function torch(app, view) {
  const { state } = app;
  const names = state.bias ? ["W", "b"] : ["W"];
  const { momentum: mu, nesterov } = view.theory.settings;
  const lines = torchHead(app, view);
  if (mu && !state.forget) lines.push(...names.map((name) => `v${name} = torch.zeros_like(${name})`));
  lines.push("", `for epoch in range(1, ${state.epochs} + 1):`, `    r = X @ W${state.bias ? " + b" : ""} - y`, `    cost = ${COST[state.reduction]}`);
  lines.push(`    print(epoch, W.tolist(), ${state.bias ? "b.item(), " : ""}(r ** 2).mean().item())`, "    cost.backward()", "    with torch.no_grad():");
  for (const name of names) {
    if (mu && !state.forget) {
      lines.push(`        v${name} = ${mu} * v${name} + ${name}.grad`);
      lines.push(`        ${name} -= ${state.lr} * ${nesterov ? `(${name}.grad + ${mu} * v${name})` : `v${name}`}`);
    } else lines.push(`        ${name} -= ${state.lr} * ${name}.grad`);
    if (!state.forget) lines.push(`        ${name}.grad = None`);
  }
  if (state.forget) lines.push(`        # ${app.t("code.forgotten")}`);
  return lines.join("\n");
}

function optim(app, view) {
  const { state } = app;
  const names = state.bias ? "[W, b]" : "[W]";
  const { nesterov } = view.theory.settings;
  const extra = state.forget ? "" : `${state.momentum ? `, momentum=${state.momentum}` : ""}${nesterov ? ", nesterov=True" : ""}`;
  const lines = [...torchHead(app, view), `optimizer = torch.optim.SGD(${names}, lr=${state.lr}${extra})`];
  lines.push("", `for epoch in range(1, ${state.epochs} + 1):`, `    r = X @ W${state.bias ? " + b" : ""} - y`, `    cost = ${COST[state.reduction]}`);
  lines.push(`    print(epoch, W.tolist(), ${state.bias ? "b.item(), " : ""}(r ** 2).mean().item())`);
  lines.push(state.forget ? `    # optimizer.zero_grad()  ${app.t("code.forgotten")}` : "    optimizer.zero_grad()", "    cost.backward()", "    optimizer.step()");
  return lines.join("\n");
}

function descentlab(app, view) {
  const { state } = app;
  const given = [];
  if (!state.bias) given.push("bias=False");
  if (state.standardize) given.push("standardize=True");
  else if (state.center && state.bias) given.push("center=True");
  const { momentum, nesterov } = view.theory.settings;
  const settings = [`lr=${state.lr}`, `epochs=${state.epochs}`];
  if (state.reduction !== "mean") settings.push(`reduction="${state.reduction}"`);
  if (state.forget) settings.push("zero_grad=False");
  else if (momentum) settings.push(`momentum=${momentum}`);
  if (nesterov) settings.push("nesterov=True");
  if (view.params[0].some((each) => each !== 0)) settings.push(`start=[${view.params[0].join(", ")}]`);
  const lines = ["import numpy as np", "import descentlab as dl", "", ...dataLines(app, view, "np.array")];
  lines.push(`problem = dl.Problem(X, y${given.length ? `, ${given.join(", ")}` : ""})`, `run = dl.descend(problem, ${settings.join(", ")})`, "print(run)");
  lines.push(`print(dl.diagnose(problem, ${settings.join(", ")}))`);
  return lines.join("\n");
}
