/** Everything that can be set: the rate on its painted track, momentum, the reduction, the hypothesis, the transport. */
import { gradientFactor } from "../model.js";
import { html, set, svg } from "../dom.js";
import { logarithmic, logTicks, resize } from "../svg.js";
import { REDUCTIONS } from "../state.js";
import { floor, number, short } from "../messages.js";

const RANGE = 1000; // positions of a slider
const SAFE = 0.99; // of the bound
const SPEEDS = [2, 6, 20]; // epochs a second, at least

/** The learning rate: a log slider over a track that is painted by what each rate does to this data. */
export function rateControl(app) {
  const track = svg("svg", { class: "track", "aria-hidden": "true" });
  const painted = svg("g", {}, track);
  const slider = html("input", { type: "range", min: 0, max: RANGE, step: 1, "aria-label": app.t("rate.title") });
  const typed = html("input", { type: "text", inputmode: "decimal", class: "number", "aria-label": app.t("rate.typed"), spellcheck: "false", autocomplete: "off" });
  const quick = html("button", { type: "button", text: app.t("rate.fastest"), onclick: () => app.view.rates.fastest && app.setRate(floor(app.view.rates.fastest.lr)) });
  const safe = html("button", { type: "button", text: app.t("rate.safe"), title: app.t("rate.safe_hint", { percent: 100 * SAFE }), onclick: () => app.setRate(floor(SAFE * app.view.theory.bound)) });
  const word = html("span", { class: "regime" });
  const rail = html("div", { class: "rail" }, track, slider);
  const node = html("div", { class: "control rate" }, html("div", { class: "row" }, html("span", { class: "name", text: app.t("rate.title") }), typed, word, html("span", { class: "grow" }), quick, safe), rail);
  const panel = { node: rail, picture: track, width: 0, height: 0 };
  let scale = null;

  slider.addEventListener("input", () => app.setRate(Number(scale.invert((Number(slider.value) / RANGE) * 1000).toPrecision(3))));
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    app.setRate(Number((app.state.lr * 1.02 ** (way * (event.shiftKey ? 10 : 1))).toPrecision(3)));
  });
  const typedIn = () => {
    const value = Number(typed.value.replace(",", "."));
    if (value >= 1e-300 && value <= 1e300) app.setRate(value);
    typed.value = plain(app.state.lr);
  };
  typed.addEventListener("change", typedIn);
  typed.addEventListener("keydown", (event) => event.key === "Enter" && typedIn());

  /** Between which rates the track runs: a thousandth of the bound to four times it, and as far as the rate itself. */
  function reach(view) {
    const { bound } = view.theory;
    const [low, high] = Number.isFinite(bound) && bound > 0 ? [bound / 1000, bound * 4] : [app.state.lr / 100, app.state.lr * 100];
    return [Math.min(low, app.state.lr), Math.max(high, app.state.lr)];
  }

  function paint(view) {
    resize(panel, 0, 46, 46);
    const [low, high] = reach(view);
    const width = panel.width;
    scale = logarithmic([low, high], [0, 1000]);
    const x = logarithmic([low, high], [9, width - 9]); // the knob is 18 wide
    painted.replaceChildren();
    const { bound, curvature } = view.theory;
    const mu = view.theory.settings.momentum;
    const nag = view.theory.settings.nesterov;
    const quiet = (nag ? (1 - mu) ** 2 / (1 + mu) ** 2 : (1 - Math.sqrt(mu)) ** 2) / curvature[0];
    const stretch = (from, to, name) => {
      const [a, b] = [Math.max(from, low), Math.min(to, high)];
      if (b > a) svg("rect", { class: `stretch ${name}`, x: x(a), y: 12, width: x(b) - x(a), height: 10 }, painted);
    };
    stretch(low, quiet, "smooth");
    stretch(quiet, bound, "swings");
    stretch(bound, high, "grows");
    for (const tick of logTicks(low, high, 5)) svg("text", { class: "tick", x: x(tick), y: 44, "text-anchor": "middle", text: short(tick) }, painted);
    const marks = [[bound, "bound"]];
    if (view.rates.fastest) marks.push([view.rates.fastest.lr, "fastest"]);
    if (view.rates.oneStep && mu === 0) marks.push([view.rates.oneStep, "one"]);
    let ends = [];
    for (const [lr, name] of marks) {
      if (!(lr >= low && lr <= high)) continue;
      const at = x(lr);
      svg("path", { class: `mark ${name}`, d: `M${at} 9v16` }, painted);
      const text = app.t(`rate.mark_${name}`);
      const half = text.length * (app.lang === "ko" ? 5.6 : 3);
      const middle = Math.min(Math.max(at, half + 2), width - half - 2);
      if (ends.some(([a, b]) => middle + half > a - 6 && middle - half < b + 6)) continue;
      ends.push([middle - half, middle + half]);
      svg("text", { class: `tick ${name}`, x: middle, y: 7, "text-anchor": "middle", text }, painted);
    }
  }

  let drawn = "";
  return {
    node,
    still(view) {
      drawn = "";
      this.draw(view);
    },
    draw(view) {
      const key = [reach(view), view.theory.bound, view.rates.fastest?.lr, view.theory.settings.momentum].join();
      if (key !== drawn) {
        drawn = key;
        paint(view);
      }
      slider.value = String(Math.round((scale(app.state.lr) / 1000) * RANGE));
      set(slider, { "aria-valuetext": `${plain(app.state.lr)}, ${app.t(`regime.${view.regime}`)}` });
      if (document.activeElement !== typed && typed.getRootNode().activeElement !== typed) typed.value = plain(app.state.lr);
      word.textContent = app.t(`regime.${view.regime}`);
      word.className = `regime ${view.regime}`;
      quick.disabled = !view.rates.fastest;
      safe.disabled = !(view.theory.bound > 0 && Number.isFinite(view.theory.bound));
    },
  };
}

/** A slider that Shift and an arrow move ten steps. */
function tenfold(slider) {
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -10, ArrowDown: -10, ArrowRight: 10, ArrowUp: 10 }[event.key];
    if (!way || !event.shiftKey) return;
    event.preventDefault();
    slider.value = String(Number(slider.value) + way * Number(slider.step));
    slider.dispatchEvent(new Event("input"));
  });
}

const plain = (value) => String(value);

/** Momentum, the reduction, the hypothesis, how often the data is repeated. */
export function settingsControl(app) {
  const momentum = html("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": app.t("momentum.title"), oninput: () => app.set({ momentum: Number(momentum.value), forget: false }) });
  const shown = html("output", { class: "value" });
  tenfold(momentum);
  const box = (name, key, change) => {
    const input = html("input", { type: "checkbox", onchange: () => (change ?? ((on) => app.set({ [name]: on })))(input.checked) });
    return { input, node: html("label", { class: "check" }, input, html("span", { text: app.t(key) })) };
  };
  const nag = box("nesterov", "momentum.nesterov");
  const forget = box("forget", "momentum.forget");
  const bias = box("bias", "hypothesis.bias", (on) => app.setHypothesis({ bias: on }));
  const center = box("center", "hypothesis.center", (on) => app.setHypothesis({ center: on }));
  const standardize = box("standardize", "hypothesis.standardize", (on) => app.setHypothesis({ standardize: on }));
  const keep = box("keep", "reduction.keep");
  const choices = REDUCTIONS.map((each) => html("button", { type: "button", class: "segment", text: app.t(`reduction.${each}`), onclick: () => change({ reduction: each }) }));
  const times = html("input", { type: "number", min: 1, max: 1000, step: 1, class: "number small", "aria-label": app.t("repeat.title"), onchange: () => repeated(Math.min(Math.max(Math.round(Number(times.value)) || 1, 1), 1000)) });
  const repeated = (repeat) => {
    change({ repeat });
    times.value = String(repeat);
  };

  /** Another cost for the same data: with "keep", the rate moves so that lr times the gradient stays what it was. */
  function change(changes) {
    const before = gradientFactor(app.state.reduction, app.weight(app.state.repeat)) * app.state.repeat;
    const { reduction, repeat } = { ...app.state, ...changes };
    const after = gradientFactor(reduction, app.weight(repeat)) * repeat;
    app.set(app.state.keep ? { ...changes, lr: Number(((app.state.lr * before) / after).toPrecision(12)) } : changes);
  }

  const group = (key, name, ...nodes) => ({ name, node: html("fieldset", { class: `control ${name}` }, html("legend", { text: app.t(key) }), ...nodes) });
  const parts = [
    group("momentum.title", "momentum", html("div", { class: "row" }, momentum, shown), nag.node),
    group("momentum.gradients", "forget", forget.node),
    group("reduction.title", "reduction", html("div", { class: "segments" }, ...choices), keep.node),
    group("hypothesis.title", "hypothesis", html("div", { class: "row wrap" }, bias.node, center.node, standardize.node)),
    group("repeat.title", "repeat", html("div", { class: "row" }, times, html("span", { text: app.t("repeat.times") }))),
  ];
  return {
    parts,
    draw() {
      const { state } = app;
      momentum.value = String(state.forget ? 1 : state.momentum);
      shown.textContent = number(state.forget ? 1 : state.momentum);
      for (const [part, on] of [[nag, state.nesterov], [forget, state.forget], [bias, state.bias], [center, state.center && !state.standardize], [standardize, state.standardize], [keep, state.keep]]) part.input.checked = on;
      nag.input.disabled = state.forget || state.momentum === 0;
      momentum.disabled = state.forget;
      center.input.disabled = !state.bias || state.standardize;
      choices.forEach((choice, i) => choice.setAttribute("aria-pressed", String(REDUCTIONS[i] === state.reduction)));
      if (document.activeElement !== times) times.value = String(state.repeat);
      for (const part of parts) part.node.hidden = app.hidden(part.name);
    },
  };
}

/** Reset, step back, step, play, its speed, and the epoch itself. */
export function transportControl(app) {
  const button = (key, act, sign) => html("button", { type: "button", class: "round", "aria-label": app.t(key), title: app.t(key), onclick: act }, sign);
  const reset = button("transport.reset", () => app.goTo(0), "|◀");
  const back = button("transport.back", () => app.goTo(app.epoch - 1), "−1");
  const play = button("transport.play", () => app.play(), "▶");
  const on = button("transport.step", () => app.goTo(app.epoch + 1), "+1");
  const speed = html("select", { "aria-label": app.t("transport.speed"), onchange: () => (app.speed = SPEEDS[speed.selectedIndex]) }, ...["slow", "normal", "fast"].map((each) => html("option", { text: app.t(`transport.${each}`) })));
  speed.selectedIndex = 1;
  app.speed = SPEEDS[1];
  const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": app.t("transport.epoch"), class: "grow", oninput: () => app.goTo(Number(slider.value)) });
  tenfold(slider);
  const epochs = html("input", { type: "text", inputmode: "numeric", class: "number", "aria-label": app.t("transport.epochs") });
  epochs.addEventListener("change", () => {
    const value = Math.round(Number(epochs.value.replace(/[,\s]/g, "")));
    if (value >= 1 && value <= 1e6) app.set({ epochs: value, epoch: null });
    epochs.value = String(app.state.epochs);
  });
  const told = html("span", { class: "value wide" });
  const node = html("div", { class: "control transport" }, html("div", { class: "row" }, reset, back, play, on, slider, told, html("label", { class: "row" }, html("span", { text: app.t("transport.of") }), epochs), speed));
  return {
    node,
    draw(view) {
      set(slider, { max: app.state.epochs, "aria-valuetext": app.t("transport.at", { epoch: view.epoch, epochs: app.state.epochs }) });
      slider.value = String(view.epoch);
      told.textContent = app.t("transport.updates", { epoch: view.epoch });
      if (document.activeElement !== epochs) epochs.value = String(app.state.epochs);
      const name = app.t(app.playing ? "transport.pause" : "transport.play");
      set(play, { text: app.playing ? "❚❚" : "▶", "aria-label": name, title: name });
      for (const each of [back, reset]) set(each, { "aria-disabled": String(view.epoch === 0) }); // disabled, it would lose the focus
      set(on, { "aria-disabled": String(view.epoch >= app.state.epochs) });
      node.hidden = app.hidden("transport");
    },
  };
}
