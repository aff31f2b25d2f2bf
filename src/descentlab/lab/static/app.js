/** The page: one state, one update, one frame. `export default { render({ model, el }) }` is anywidget's contract. */
import { DataSources, OWN_DATA } from "./data_sources.js";
import { html, set } from "./dom.js";
import { Keyboard } from "./keyboard.js";
import { short, translator } from "./messages.js";
import { toUnits } from "./model.js";
import { codePanel } from "./panels/code.js";
import { rateControl, settingsControl, transportControl } from "./panels/controls.js";
import { costPanel } from "./panels/cost.js";
import { dataPanel } from "./panels/data.js";
import { historyPanel } from "./panels/history.js";
import { mapPanel } from "./panels/map.js";
import { oneUpdatePanel } from "./panels/one_update.js";
import { answerSection, findingsSection } from "./panels/report.js";
import { shareControl } from "./panels/share.js";
import { sourceControl } from "./panels/source.js";
import { tablePanel } from "./panels/table.js";
import { decode, defaults, encode } from "./state.js";
import { describe } from "./status.js";
import { Theme } from "./theme.js";
import { problemOf, ratesOf, settingsOf, shownAt, viewOf } from "./view.js";

const PROBLEM_KEYS = ["data", "points", "repeat", "bias", "center", "standardize"]; // what the problem itself rests on
const RESCALE_KEYS = [...PROBLEM_KEYS, "epochs", "log", "start", "nesterov", "reduction"]; // what scales and axes rest on

const FIRST_SCREEN_PANELS = 4; // panels of the first screen: the others wait
const REST_MS = 80; // milliseconds
const CALM_MS = 150; // milliseconds between changes: when they come faster, pictures jump and the address waits
const MAX_PLAY_SECONDS = 12; // seconds that a run plays

class App extends DataSources {
  constructor(model, el) {
    super();
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
    this.theme = new Theme(this);
    this.base = this.ownDefaults();
    const { state, trouble } = decode(model.get("hash") ?? "", this.base);
    this.trouble = trouble;
    this.state = state;
    this.visiblePanels = new Set();
    this.visibilityObserver = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? this.visiblePanels.add(target) : this.visiblePanels.delete(target);
    });
    this.applyState();
    this.build();
    this.observer = new ResizeObserver(() => this.redraw(true));
    this.observer.observe(this.root);
    this.changed = () => this.onHashChange();
    this.keyboard = new Keyboard(this);
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
  applyState(keep = false) {
    const wanted = this.state.lang ?? (document.documentElement.lang || navigator.language || "en").slice(0, 2);
    this.lang = this.catalogue[wanted] ? wanted : "en";
    this.t = translator(this.catalogue, this.lang);
    if (keep) return;
    if (this.state.points) this.data = { ...this.fromRows(this.namesFor(this.state.points[0].length), this.state.points, this.t("source.pasted")), key: OWN_DATA };
    else if (this.state.data && this.state.data !== "given") {
      const found = this.state.data === OWN_DATA ? this.storedOwnData() : this.builtInData(this.state.data);
      if (found) this.data = found;
      else {
        this.trouble = this.state.data === OWN_DATA ? "left" : "damaged";
        this.state = { ...this.base };
      }
    } else this.data = this.home;
    this.data.all ??= this.data;
    if (this.state.target) this.applyColumns();
    this.problem = null;
  }

  /** Another address, from a link or the browser's history. */
  onHashChange() {
    const { state, trouble } = decode(this.model.get("hash"), this.base);
    if (encode(state, this.base) === encode(this.state, this.base) && !trouble) return;
    this.trouble = trouble;
    this.state = state;
    this.stop();
    this.applyState();
    this.build();
  }

  hidden(control) {
    return this.state.hide?.includes(control) ?? false;
  }

  // What panels do.

  set(changes) {
    this.state = { ...this.state, ...changes };
    if (!("epoch" in changes)) this.keepEpoch();
    if (PROBLEM_KEYS.some((name) => name in changes)) this.problem = null;
    this.trouble = null;
    const now = performance.now();
    this.root.classList.toggle("calm", now - (this.last ?? 0) > CALM_MS && !this.playing && !this.held);
    this.last = now;
    if (Object.keys(changes).some((name) => name !== "epoch")) this.reason = null;
    this.redraw(RESCALE_KEYS.some((name) => name in changes));
  }

  /** A change of settings shows the finished run, unless it is playing. */
  keepEpoch() {
    if (this.state.epoch !== null && this.state.epoch > this.state.epochs) this.state.epoch = null;
  }

  setRate(lr) {
    this.set({ lr });
  }

  /** Another hypothesis has other parameters: the start is zero again. */
  setHypothesis(changes) {
    this.set({ ...changes, start: null });
  }

  moveStart(descended) {
    const start = toUnits(this.view.problem, descended).map((each) => Number(each.toPrecision(4)));
    this.set({ start });
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

  goTo(epoch) {
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
      passed += (Math.max(now - last, 0) / 1000) * Math.max(this.speed, this.state.epochs / MAX_PLAY_SECONDS); // at the speed chosen meanwhile
      last = now;
      const epoch = Math.min(Math.floor(passed), this.state.epochs);
      if (epoch !== this.epoch) this.set({ epoch });
      const why = this.stopReason();
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
  stopReason() {
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

  address() {
    const { hide } = this.state;
    return `#${encode({ ...this.state, hide: hide?.length ? hide : null }, this.base)}`;
  }

  // The page.

  build() {
    const { t } = this;
    set(this.root, { lang: this.lang });
    this.theme.apply();
    this.rateControl = rateControl(this);
    this.settingsControl = settingsControl(this);
    this.transportControl = transportControl(this);
    this.sourceControl = sourceControl(this);
    this.shareControl = shareControl(this);
    this.panels = [dataPanel, costPanel, historyPanel, tablePanel, mapPanel, oneUpdatePanel, codePanel].map((make) => make(this));
    this.visibilityObserver.disconnect();
    this.visiblePanels.clear();
    for (const each of this.panels) this.visibilityObserver.observe(each.panel.node);
    this.status = html("p", { class: "status", role: "status" });
    this.notice = html("p", { class: "notice", role: "alert" });
    this.headline = html("p", { class: "headline" });
    if (this.only) return this.buildFigure();
    const controls = html("section", { class: "controls", "aria-label": t("controls") }, this.rateControl.node, html("div", { class: "groups" }, ...this.settingsControl.parts.map((each) => each.node)), this.transportControl.node);
    this.answer = answerSection(this);
    this.doctor = [...this.answer, ...findingsSection(this)];
    this.root.replaceChildren(
      html("div", { class: "head" }, html("div", { class: "row wrap" }, html("h1", { text: t("title") }), html("span", { class: "grow" }), this.shareControl.node), this.headline, this.sourceControl.node),
      ...this.answer,
      this.notice,
      controls,
      this.status,
      html("div", { class: "views" }, ...["data", "cost", "history", "table"].map((name) => this.panelNode(name))),
      html("div", { class: "views more" }, ...["map", "micro", "code"].map((name) => this.panelNode(name))),
      ...this.doctor.slice(this.answer.length),
    );
    this.redraw(true);
  }

  /** A view's node. */
  panelNode(name) {
    return this.panels.find((each) => each.panel.node.classList.contains(name)).panel.node;
  }

  /** A figure of a lesson: a few views, and of the controls those that its state leaves. */
  buildFigure() {
    const settings = this.settingsControl.parts.filter((each) => !this.hidden(each.name)).map((each) => each.node);
    this.doctor = [];
    this.root.replaceChildren(this.rateControl.node, html("div", { class: "groups" }, ...settings), this.transportControl.node, this.status, html("div", { class: "views" }, ...this.only.map((name) => this.panelNode(name))));
    this.redraw(true);
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
  setHeld(whether) {
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
    if (stale) for (const each of [this.rateControl, ...this.panels]) each.still(view);
    for (const each of [this.rateControl, ...this.panels.slice(0, FIRST_SCREEN_PANELS), this.settingsControl, this.transportControl, this.sourceControl, this.shareControl]) each.draw(view);
    this.drawOffscreen(view, stale);
    for (const name of ["map", "code"]) this.panelNode(name).hidden = this.hidden(name) || (name === "map" && view.theory.largest === 0);
    for (const each of this.doctor) each.hidden = this.data !== this.home;
    this.rateControl.node.hidden = this.hidden("rate");
    this.status.hidden = this.only !== null && this.hidden("rate"); // a figure of the data alone
    describe(this, view);
    this.remember();
  }

  /** The state leaves the page at once, or, while it changes from frame to frame, a few times a second: an address is dear. */
  remember() {
    clearTimeout(this.remembering);
    const since = performance.now() - (this.remembered ?? -Infinity);
    if (since < CALM_MS) this.remembering = setTimeout(() => this.remember(), CALM_MS - since);
    else {
      this.remembered = performance.now();
      this.model.set("hash", this.address());
      this.model.set("state", { ...this.state });
      this.model.save_changes();
    }
  }

  /** What lies further down is drawn at once where it is in sight, and otherwise when things have come to rest. */
  drawOffscreen(view, stale) {
    const rest = this.panels.slice(FIRST_SCREEN_PANELS);
    for (const each of rest) if (stale || this.visiblePanels.has(each.panel.node)) each.draw(view);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => view === this.view && rest.forEach((each) => each.draw(view)), REST_MS);
  }

  destroy() {
    this.playing = false;
    this.observer.disconnect();
    this.visibilityObserver.disconnect();
    this.keyboard.destroy();
    this.theme.destroy();
    this.model.off("change:hash", this.changed);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.resting);
    clearTimeout(this.remembering);
  }
}
export default {
  render({ model, el }) {
    const app = new App(model, el);
    return () => app.destroy();
  },
};
