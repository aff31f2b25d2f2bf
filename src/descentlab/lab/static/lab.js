/** The page: one state, one update, one frame. `export default { render({ model, el }) }` is anywidget's contract. */
import { cut, html, set } from "./kit.js";
import { factorOf, selected, toUnits } from "./model.js";
import { codePanel } from "./panels/code.js";
import { rateControl, settingsControl, transportControl } from "./panels/controls.js";
import { costPanel } from "./panels/cost.js";
import { dataPanel } from "./panels/data.js";
import { historyPanel } from "./panels/history.js";
import { mapPanel } from "./panels/map.js";
import { microPanel } from "./panels/micro.js";
import { shareControl } from "./panels/share.js";
import { sourceControl } from "./panels/source.js";
import { tablePanel } from "./panels/table.js";
import { MOST_POINTS, decode, defaults, encode } from "./state.js";
import { problemOf, ratesOf, settingsOf, shownAt, viewOf } from "./view.js";
import { factor, floor, number, short, speaker } from "./words.js";

const SHAPE = ["data", "points", "repeat", "bias", "center", "standardize"]; // what the problem itself rests on
const STILL = [...SHAPE, "epochs", "log", "start", "nesterov", "reduction"]; // what scales and axes rest on

const OWN = "own";
const OTHER = { data: null, points: null, names: null, target: null, features: null }; // where other data comes in
const FRESH = { ...OTHER, start: null, epoch: null }; // and other parameters with it

const SEEN = 4; // panels of the first screen: the others wait
const REST = 80; // milliseconds
const CALM = 150; // milliseconds between changes: when they come faster, pictures jump and the address waits
const NAME = 40; // letters of a direction's name in a sentence
const LONGEST = 12; // seconds that a run plays

class Lab {
  constructor(model, el) {
    this.model = model;
    this.spec = model.get("spec");
    this.catalogue = model.get("words");
    this.root = html("div", { class: "descentlab" });
    this.id = Math.floor(performance.now() * 1000).toString(36);
    this.alone = el.id === "descentlab";
    this.only = model.get("views") ?? this.spec.views ?? null; // of a lesson's figure; null: all
    el.replaceChildren(this.root);
    this.home = { key: "given", ...this.spec };
    this.data = this.home;
    this.playing = false;
    this.hovered = null;
    this.night = matchMedia("(prefers-color-scheme: dark)");
    this.turned = () => this.dress();
    this.night.addEventListener("change", this.turned);
    this.around = new MutationObserver(this.turned);
    this.around.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    this.base = this.ownDefaults();
    const { state, trouble } = decode(model.get("hash") ?? "", this.base);
    this.trouble = trouble;
    this.state = state;
    this.insight = new Set();
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? this.insight.add(target) : this.insight.delete(target);
    });
    this.enter();
    this.build();
    this.observer = new ResizeObserver(() => this.redraw(true));
    this.observer.observe(this.root);
    this.changed = () => this.arrive();
    this.pressed = (event) => this.press(event);
    this.guarded = (event) => this.guard(event);
    if (this.alone) document.addEventListener("keydown", this.pressed);
    else this.join();
    model.on("change:hash", this.changed);
  }

  /** The state that the page's own settings ask for. */
  ownDefaults() {
    const { settings = {}, hypothesis = {} } = this.spec;
    const own = { bias: hypothesis.bias ?? false, center: hypothesis.center ?? false, standardize: hypothesis.standardize ?? false };
    for (const name of ["lr", "reduction", "epochs", "momentum", "nesterov", "start"]) if (settings[name] !== undefined && settings[name] !== null) own[name] = settings[name];
    if (settings.zero_grad === false) own.forget = true;
    return defaults(own);
  }

  /** The language and the data that the state names; data the page does not have falls back to its own, and says so. */
  enter(keep = false) {
    const wanted = this.state.lang ?? (document.documentElement.lang || navigator.language || "en").slice(0, 2);
    this.lang = this.catalogue[wanted] ? wanted : "en";
    this.t = speaker(this.catalogue, this.lang);
    if (keep) return;
    if (this.state.points) this.data = { ...this.fromRows(this.namesFor(this.state.points[0].length), this.state.points, this.t("source.pasted")), key: OWN };
    else if (this.state.data && this.state.data !== "given") {
      const found = this.state.data === OWN ? this.kept() : this.named(this.state.data);
      if (found) this.data = found;
      else {
        this.trouble = this.state.data === OWN ? "left" : "damaged";
        this.state = { ...this.base };
      }
    } else this.data = this.home;
    this.data.all ??= this.data;
    if (this.state.target) this.narrow();
    this.problem = null;
  }

  namesFor(count) {
    if (this.state.names?.length === count) return this.state.names;
    return count === 2 ? ["x", "y"] : [...Array.from({ length: count - 1 }, (_, j) => `x${j + 1}`), "y"];
  }

  /** Another address, from a link or the browser's history. */
  arrive() {
    const { state, trouble } = decode(this.model.get("hash"), this.base);
    if (encode(state, this.base) === encode(this.state, this.base) && !trouble) return;
    this.trouble = trouble;
    this.state = state;
    this.stop();
    this.enter();
    this.build();
  }

  fromRows(columns, rows, name) {
    return { name, columns, points: rows, whole: true, hypothesis: {}, ...factorOf(rows) };
  }

  /** The data that an address cannot carry, where it is here all the same: on its own page, or saved with it. */
  kept() {
    if (this.data?.key === OWN) return this.data;
    return this.spec.own ? this.home : null;
  }

  named(key) {
    const found = (this.spec.sets ?? []).find((each) => each.name === key);
    return found && { ...this.fromRows(found.columns, found.rows, found.name), key };
  }

  // What panels ask.

  rows() {
    return this.data.points;
  }
  whole() {
    return this.data.whole && this.state.repeat === 1;
  }
  get editable() {
    return this.data.whole && this.data.columns.length === 2 && !this.hidden("data");
  }
  sets() {
    const listed = (this.spec.sets ?? []).filter((each) => each.name !== this.spec.name).map((each) => ({ key: each.name, name: each.name }));
    const own = this.data.key === OWN ? [{ key: OWN, name: this.data.name }] : [];
    return [{ key: "given", name: this.spec.name || this.t("source.unnamed") }, ...listed, ...own];
  }
  key() {
    return this.data.key;
  }
  all() {
    return this.data.all ?? this.data;
  }
  columns() {
    return this.data.columns;
  }
  weight(repeat) {
    return this.data.weight * repeat;
  }
  hidden(control) {
    return this.state.hide?.includes(control) ?? false;
  }

  // What panels do.

  set(changes) {
    this.state = { ...this.state, ...changes };
    if (!("epoch" in changes)) this.keepEpoch();
    if (SHAPE.some((name) => name in changes)) this.problem = null;
    this.trouble = null;
    const now = performance.now();
    this.root.classList.toggle("calm", now - (this.last ?? 0) > CALM && !this.playing && !this.held);
    this.last = now;
    if (Object.keys(changes).some((name) => name !== "epoch")) this.reason = null;
    this.redraw(STILL.some((name) => name in changes));
  }

  /** A change of settings shows the finished run, unless it is playing. */
  keepEpoch() {
    if (this.state.epoch !== null && this.state.epoch > this.state.epochs) this.state.epoch = null;
  }

  rate(lr) {
    this.set({ lr });
  }

  /** Another hypothesis has other parameters: the start is zero again. */
  reshape(changes) {
    this.set({ ...changes, start: null });
  }

  moveStart(descended) {
    const start = toUnits(this.view.problem, descended).map((each) => Number(each.toPrecision(4)));
    this.set({ start });
  }

  movePoint(i, row) {
    const rows = this.rows().map((each, at) => (at === i ? row.map((value) => Number(value.toPrecision(4))) : each));
    this.edited(rows);
  }

  addPoint(row) {
    this.edited([...this.rows(), row.map((value) => Number(value.toPrecision(3)))]);
  }

  edited(rows) {
    const name = this.data.key === OWN ? this.data.name : this.t("source.edited", { name: this.data.name });
    this.data = { ...this.fromRows(this.data.columns, rows, name), key: OWN };
    this.set({ ...OTHER, ...carried(rows), names: this.data.columns });
  }

  own(columns, rows, name) {
    this.data = { ...this.fromRows(columns, rows, name), key: OWN };
    this.data.all = this.data;
    this.set({ ...FRESH, ...carried(rows), names: columns, bias: true });
    this.rate(this.firstRate());
  }

  /** The spec of a file that a server read. */
  take(spec, name) {
    this.data = { ...spec, key: OWN, name };
    this.data.all = this.data;
    this.set({ ...FRESH, data: OWN, bias: true });
    this.rate(this.firstRate());
  }

  /** For data that nobody chose a rate for: half the bound, to two digits. */
  firstRate() {
    const { bound } = this.compute().theory;
    return Number.isFinite(bound) && bound > 0 ? floor(0.5 * bound, 2) : this.state.lr;
  }

  load(key) {
    this.stop();
    if (key === OWN) return;
    this.data = key === "given" ? this.home : this.named(key);
    const other = key !== "given";
    this.set({ ...FRESH, ...(other ? { bias: true, data: key } : { bias: this.base.bias }), center: false, standardize: false });
    this.rate(other ? this.firstRate() : this.base.lr);
  }

  /** Another target, other features, of rows that the page has. */
  choose(target, features) {
    this.set({ target, features, start: null });
    this.narrow();
    this.problem = null;
    this.rate(this.firstRate());
  }

  /** The columns that the state names, of all that the data has; a name that it has not is as none. */
  narrow() {
    const all = this.all();
    const target = all.columns.includes(this.state.target) ? this.state.target : all.columns.at(-1);
    const { features } = this.state;
    const others = all.columns.filter((name) => name !== target && (!features || features.includes(name)));
    const columns = [...(others.length ? others : all.columns.filter((name) => name !== target)), target];
    const places = columns.map((name) => all.columns.indexOf(name));
    const points = all.points.map((row) => places.map((j) => row[j]));
    this.data = { ...selected(all, places), points, key: this.data.key, all };
  }

  hover(epoch) {
    if (epoch === this.hovered || this.playing) return;
    this.hovered = epoch;
    this.redraw();
  }

  /** How many updates are shown, as the state has it: the next frame may not have come. */
  get epoch() {
    return Math.min(this.state.epoch ?? this.state.epochs, this.state.epochs);
  }

  go(epoch) {
    this.stop();
    this.set({ epoch: Math.min(Math.max(epoch, 0), this.state.epochs) });
  }

  play() {
    if (this.playing) return this.stop();
    if (this.epoch >= this.state.epochs) this.set({ epoch: 0 });
    this.playing = true;
    this.reason = null;
    let [last, passed] = [performance.now(), this.epoch];
    this.redraw();
    const tick = (now) => {
      if (!this.playing) return;
      passed += (Math.max(now - last, 0) / 1000) * Math.max(this.speed, this.state.epochs / LONGEST); // at the speed chosen meanwhile
      last = now;
      const epoch = Math.min(Math.floor(passed), this.state.epochs);
      if (epoch !== this.epoch) this.set({ epoch });
      const why = this.ended();
      if (why) {
        this.stop();
        this.set({ epoch: why[1].epoch }); // the frame that was judged, not one that was asked for meanwhile
        this.reason = why;
        this.redraw();
      } else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Why a run that plays should stop now, or null. */
  ended() {
    const { epoch, here, cost, needed, theory } = this.view;
    if (theory.diverges && !(here.cost < 1e6 * cost[0])) return ["stopped.diverged", { epoch, growth: short(here.cost / cost[0]) }];
    if (epoch >= this.state.epochs) return needed !== null && needed <= epoch ? ["stopped.there", { epoch, needed }] : ["stopped.out", { epoch }];
    return null;
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.redraw();
  }

  async copy(text, button, key) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = html("textarea", {});
      area.value = text;
      this.root.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    set(button, { text: this.t("copied") });
    setTimeout(() => set(button, { text: this.t(key) }), 1500);
  }

  /** What a saved page is made of: the data as it is here, whatever the address can carry. */
  saved() {
    if (this.data === this.home) return this.spec;
    const { name, columns, rows, weight, means, noise, triangle, points, whole } = this.data;
    const { bias, center, standardize } = this.state;
    return { ...this.spec, own: true, name, columns, rows, weight, means, noise, triangle, points, whole, hypothesis: { bias, center, standardize, ridge: 0 }, report: null };
  }

  /** Whether the address cannot carry the data that is shown. */
  get homeless() {
    return this.data.key === OWN && this.state.points === null;
  }

  address() {
    const { hide } = this.state;
    return `#${encode({ ...this.state, hide: hide?.length ? hide : null }, this.base)}`;
  }

  get upload() {
    if (!this.model.get("served")) return null;
    return async (file) => {
      try {
        const answer = await fetch(`data?name=${encodeURIComponent(file.name)}&lang=${this.lang}`, { method: "POST", body: file });
        return await answer.json();
      } catch (cause) {
        return { error: String(cause) };
      }
    };
  }

  // The page.

  build() {
    const { t } = this;
    set(this.root, { lang: this.lang });
    this.dress();
    this.rateC = rateControl(this);
    this.settingsC = settingsControl(this);
    this.transportC = transportControl(this);
    this.sourceC = sourceControl(this);
    this.shareC = shareControl(this);
    this.panels = [dataPanel, costPanel, historyPanel, tablePanel, mapPanel, microPanel, codePanel].map((make) => make(this));
    this.sight.disconnect();
    this.insight.clear();
    for (const each of this.panels) this.sight.observe(each.panel.node);
    this.status = html("p", { class: "status", role: "status" });
    this.notice = html("p", { class: "notice", role: "alert" });
    this.headline = html("p", { class: "headline" });
    if (this.only) return this.buildFigure();
    const controls = html("section", { class: "controls", "aria-label": t("controls") }, this.rateC.node, html("div", { class: "groups" }, ...this.settingsC.parts.map((each) => each.node)), this.transportC.node);
    this.root.replaceChildren(
      html("div", { class: "head" }, html("div", { class: "row wrap" }, html("h1", { text: t("title") }), html("span", { class: "grow" }), this.shareC.node), this.headline, this.sourceC.node),
      this.notice,
      controls,
      this.status,
      html("div", { class: "views" }, ...["data", "cost", "history", "table"].map((name) => this.part(name))),
      html("div", { class: "views more" }, ...["map", "micro", "code"].map((name) => this.part(name))),
      ...(this.doctor = this.findings()),
    );
    this.redraw(true);
  }

  /** A view's node. */
  part(name) {
    return this.panels.find((each) => each.panel.node.classList.contains(name)).panel.node;
  }

  /** A figure of a lesson: a few views, and of the controls those that its state leaves. */
  buildFigure() {
    const settings = this.settingsC.parts.filter((each) => !this.hidden(each.name)).map((each) => each.node);
    this.doctor = [];
    this.root.replaceChildren(this.rateC.node, html("div", { class: "groups" }, ...settings), this.transportC.node, this.status, html("div", { class: "views" }, ...this.only.map((name) => this.part(name))));
    this.redraw(true);
  }

  /** Space plays, arrows step, R goes back to the start; not where a control has keys of its own. */
  press(event) {
    const control = event.composedPath()[0].closest?.("input, select, textarea, button, summary, .handle, .scroller, pre");
    if (control || event.ctrlKey || event.metaKey || event.altKey || this.hidden("transport")) return;
    const by = event.shiftKey ? 10 : 1;
    const act = { " ": () => this.play(), ArrowRight: () => this.go(this.epoch + by), ArrowLeft: () => this.go(this.epoch - by), r: () => this.go(0), R: () => this.go(0) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** In a notebook: a click on the lab's ground gives it the keys that a page has at once. */
  join() {
    set(this.root, { tabindex: -1 });
    this.root.addEventListener("keydown", this.pressed);
    addEventListener("keydown", this.guarded, true);
  }

  /** Keys pressed in the lab are not JupyterLab's, to which `d d` deletes the cell; with Ctrl they are, so that S saves. */
  guard({ target, ctrlKey, metaKey, altKey }) {
    if (!this.root.contains(target)) return;
    for (const node of [this.root, target]) set(node, { "data-lm-suppress-shortcuts": !(ctrlKey || metaKey || altKey) });
  }

  /** Dark where it was asked for; otherwise as JupyterLab is around it, or else the system. */
  get dark() {
    if (this.state.theme) return this.state.theme === "dark";
    const light = document.body.dataset.jpThemeLight;
    return light ? light === "false" : this.night.matches;
  }

  dress() {
    this.root.classList.toggle("dark", this.dark);
    if (!this.alone) return;
    set(this.root, { role: "main" });
    document.body.classList.toggle("descentlab-dark", this.dark);
  }

  /** The doctor's findings, on a page that was made of a diagnosis. */
  findings() {
    const { report } = this.spec;
    if (!report) return [];
    const list = (report.findings[this.lang] ?? report.findings.en).map((each) => html("li", { class: each.weight }, html("span", { class: "sign", "aria-label": this.t(`weight.${each.weight}`), role: "img", text: { problem: "✗", caution: "!", fact: "·" }[each.weight] }), html("span", {}, ...marked(each.text))));
    return [html("section", { class: "findings", "aria-label": this.t("findings") }, html("h2", { text: this.t("findings") }), html("p", { class: "soft", text: this.t("findings.of") }), html("ul", {}, ...list))];
  }

  compute() {
    const settings = settingsOf(this.state, this.spec.settings);
    if (!this.problem) this.problem = problemOf(this.state, this.data);
    if (settings.start && settings.start.length !== this.problem.parameters.length) settings.start = this.state.start = null;
    const key = JSON.stringify([settings.reduction, settings.momentum, settings.nesterov, settings.start]);
    if (this.ratesFor !== this.problem || this.ratesKey !== key) {
      this.rates = ratesOf(this.problem, settings);
      this.ratesFor = this.problem;
      this.ratesKey = key;
    }
    this.view = viewOf(this.state, this.problem, settings, this.rates);
    return this.view;
  }

  /** While a handle is held, scales and axes stay; they follow when it is let go. */
  hold(whether) {
    this.held = whether;
    if (whether || !this.waiting) return;
    this.waiting = false;
    this.redraw(true);
  }

  /** The one update: a function of the state, at most once a frame. */
  redraw(still = false) {
    if (still && this.held) this.waiting = true; // what is dragged would be drawn away under the pointer
    else this.stale = still || this.stale;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.update();
    });
  }

  update() {
    const view = this.compute();
    view.shown = shownAt(view, this.hovered ?? view.epoch);
    const { stale } = this;
    this.stale = false;
    if (stale) for (const each of [this.rateC, ...this.panels]) each.still(view);
    for (const each of [this.rateC, ...this.panels.slice(0, SEEN), this.settingsC, this.transportC, this.sourceC, this.shareC]) each.draw(view);
    this.later(view, stale);
    for (const name of ["map", "code"]) this.part(name).hidden = this.hidden(name) || (name === "map" && view.theory.largest === 0);
    for (const each of this.doctor) each.hidden = this.data !== this.home;
    this.rateC.node.hidden = this.hidden("rate");
    this.status.hidden = this.only !== null && this.hidden("rate"); // a figure of the data alone
    this.tell(view);
    this.remember();
  }

  /** The state leaves the page at once, or, while it changes from frame to frame, a few times a second: an address is dear. */
  remember() {
    clearTimeout(this.remembering);
    const since = performance.now() - (this.remembered ?? -Infinity);
    if (since < CALM) this.remembering = setTimeout(() => this.remember(), CALM - since);
    else {
      this.remembered = performance.now();
      this.model.set("hash", this.address());
      this.model.set("state", { ...this.state });
      this.model.save_changes();
    }
  }

  /** What lies further down is drawn at once where it is in sight, and otherwise when things have come to rest. */
  later(view, stale) {
    const rest = this.panels.slice(SEEN);
    for (const each of rest) if (stale || this.insight.has(each.panel.node)) each.draw(view);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => view === this.view && rest.forEach((each) => each.draw(view)), REST);
  }

  /** What the picture shows, in words. */
  tell(view) {
    const { t } = this;
    const { problem } = view;
    const name = this.data.name || t("source.unnamed");
    const form = problem.features.length === 1 ? `H(x) = Wx${problem.bias ? " + b" : ""}` : `H(x) = W₁x₁ + ${problem.features.length > 2 ? "… + " : ""}W${sub(problem.features.length)}x${sub(problem.features.length)}${problem.bias ? " + b" : ""}`;
    this.headline.textContent = t("headline", { form, target: problem.target, rows: problem.rows, name });
    const said = [this.motion(view)];
    if (view.theory.unstable && !view.theory.diverges) said.push(t("status.unstable", { bound: number(floor(view.theory.bound)) }));
    if (view.overflow?.float32.weights) said.push(t("status.overflow", { updates: number(view.overflow.float32.weights) }));
    if (!["still", "flat"].includes(view.regime)) said.push(...this.nearness(view));
    const reason = this.reason;
    if (reason && !this.playing && view.epoch === reason[1].epoch) said.push(t(...reason));
    this.status.textContent = said.join(" ");
    this.status.className = `status ${view.regime}`;
    this.notice.textContent = this.trouble ? t(`trouble.${this.trouble}`) : "";
    this.notice.hidden = !this.trouble;
  }

  /** What an epoch makes of the errors: of the slowest, and of the one that swings most where that is another. */
  motion({ theory, regime, names, problem }) {
    const { t } = this;
    const { index, factor: f, gap } = theory.growing;
    const bound = theory.bound > 0 && Number.isFinite(theory.bound) ? number(floor(theory.bound)) : number(theory.bound);
    const each = t(theory.recursion.momentum === 0 ? "status.each" : "status.each_long");
    const swinging = regime === "overshoots" ? swinger(theory) : index;
    const values = { each, bound, factor: factor(f, gap), slow: cut(names[index] ?? "", NAME), swinging: cut(names[swinging] ?? "", NAME), swing: factor(theory.factors[swinging], theory.gaps[swinging]) };
    const kind = swinging !== index ? "_elsewhere" : problem.parameters.length === 1 && ["monotone", "overshoots", "diverges"].includes(regime) ? "_one" : "";
    return t(`status.${regime}${kind}`, values);
  }

  /** From which epoch on it stays near the minimum. */
  nearness({ needed, reaches, theory, regime, penalised }) {
    const { t } = this;
    const said = [];
    if (needed === 0) said.push(t("status.at_once"));
    else if (needed !== null) said.push(t(reaches ? "status.near" : "status.late", { needed, epochs: this.state.epochs }));
    else if (!theory.diverges) said.push(t(regime === "stands" ? "status.never" : "status.beyond"));
    if (penalised) said.push(t("status.penalised"));
    else if (theory.fitsExactly && needed) said.push(t("status.exact"));
    return said;
  }

  destroy() {
    this.playing = false;
    this.observer.disconnect();
    this.sight.disconnect();
    document.removeEventListener("keydown", this.pressed);
    removeEventListener("keydown", this.guarded, true);
    this.around.disconnect();
    this.model.off("change:hash", this.changed);
    this.night.removeEventListener("change", this.turned);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.resting);
    clearTimeout(this.remembering);
  }
}

/** As an address has rows of one's own: themselves, or the word for what it cannot carry. */
const carried = (rows) => (rows.length <= MOST_POINTS ? { points: rows } : { data: OWN });

/** What a sentence names, as code. */
const marked = (text) => text.split(/\x60/).map((part, i) => (i % 2 ? html("code", { text: part }) : part));

/** Of the directions whose error swings: the one that keeps most of it. */
function swinger({ response, error, factors, growing }) {
  if (response.swings[growing.index]) return growing.index;
  const swinging = factors.map((_, i) => i).filter((i) => response.swings[i] && error[i] !== 0);
  return swinging.reduce((most, i) => (Math.abs(factors[i]) > Math.abs(factors[most]) ? i : most));
}

const sub = (count) => [...String(count)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");

export default {
  render({ model, el }) {
    const lab = new Lab(model, el);
    return () => lab.destroy();
  },
};
