/** The cost over its parameters: a parabola over one, contours over two, one bar a direction over more. */
import { costOf } from "../model.js";
import { addDataTable, svg, truncate } from "../dom.js";
import { axes, clampTo, createPanel, dotsPath, linear, linePath, logarithmic, makeHandle, moveHandle, nudge, overflowMarker, plotFrame, pointerPosition, readout, resize, roundToPixel, ticks } from "../svg.js";
import { nameOf } from "../view.js";
import { factor, short, signed } from "../messages.js";

const LEVELS = 9; // contours between the minimum and the farthest corner
const AROUND = 96; // points of an ellipse
const BARS = 12;
const WIDEST_BAR = 30; // pixels, with the gap
const SHARES = [1e-8, 30]; // of what was to lose at the start: the bars' axis
const REACH = 14; // pixels within which a point of the path is pointed at

/** What is left of an error, and how much of it that is. */
const left = (h, error) => (error === 0 ? "0" : `${short(h * error)} (${short(100 * h)} %)`);

export function costPanel(app) {
  const panel = createPanel("cost", app.t("cost.title"));
  const bands = svg("g", { "aria-hidden": "true" }, panel.still);
  const casing = svg("path", { class: "casing" }, panel.live);
  const trail = svg("path", { class: "trail" }, panel.live);
  const steps = svg("path", { class: "steps" }, panel.live);
  const goal = svg("path", { class: "goal" }, panel.live);
  const here = svg("circle", { r: 6, class: "here" }, panel.live);
  const bars = svg("g", {}, panel.live);
  const away = overflowMarker(panel.live);
  const start = svg("g", {}, panel.live);
  svg("circle", { r: 14, class: "grip" }, start);
  svg("circle", { r: 5, class: "start" }, start);
  const startLabel = svg("text", { class: "label" }, start);
  const now = readout(panel);
  const fill = addDataTable(panel, app.t("as_table"), () => {
    const { theory, names, shown } = app.view;
    const rows = names.map((name, i) => [name, short(theory.curvature[i]), factor(theory.factors[i], theory.gaps[i]), left(shown.h[i], theory.error[i])]);
    return [[app.t("cost.direction"), app.t("cost.curvature"), app.t("cost.factor"), app.t("cost.error")], ...rows];
  });
  let x, y, frame, kind;

  // The path's nearest point is the epoch that all views mark.
  panel.picture.addEventListener("pointermove", (event) => {
    if (kind > 2 || !x) return;
    const [px, py] = pointerPosition(panel.picture, event);
    let [best, nearest] = [REACH, null];
    app.view.descended.forEach((each, i) => {
      const [ax, ay] = kind === 1 ? [x(each[0]), y(app.view.cost[i])] : [x(each[0]), y(each[1])];
      const away = Math.hypot(ax - px, ay - py);
      if (away < best) [best, nearest] = [away, app.view.ts[i]];
    });
    app.hover(nearest);
  });
  panel.picture.addEventListener("pointerleave", () => app.hover(null));

  makeHandle(start, {
    picture: panel.picture,
    name: app.t("cost.start"),
    held: (whether) => app.setHeld(whether),
    to: ([px, py]) => moved(kind === 1 ? [roundToPixel(x, px)] : [roundToPixel(x, px), roundToPixel(y, py)]),
    by: (dx, dy) => {
      const now = app.view.descended[0];
      moved(kind === 1 ? [nudge(x, now[0], dx)] : [nudge(x, now[0], dx), nudge(y, now[1], dy)]);
    },
  });

  function moved(descended) {
    app.moveStart(descended);
  }

  /** How far the window reaches: the start, the minimum, and as much of the path as stays near them. */
  function window_(view, j) {
    if (app.state.window && kind === 1) {
      const [low, high] = app.state.window;
      return [Math.min(low, view.descended[0][0]), Math.max(high, view.descended[0][0])];
    }
    const goalAt = view.theory.destination[j];
    const first = view.descended[0][j];
    const reach = Math.max(Math.abs(first - goalAt), 0.12 * halfWidth(view.theory, j), 1e-3 * Math.abs(goalAt), 1e-12);
    const near = view.descended.map((each) => each[j]).filter((each) => Math.abs(each - goalAt) <= 2.2 * reach);
    const low = Math.min(goalAt - 0.55 * reach, ...near);
    const high = Math.max(goalAt + 0.55 * reach, ...near);
    const room = 0.12 * (high - low);
    return [low - room, high + room];
  }

  /** How far the contour through the start reaches along parameter j. */
  function halfWidth({ curvature, directions, error }, j) {
    const excess = curvature.reduce((sum, each, i) => sum + each * error[i] ** 2, 0);
    return Math.sqrt(curvature.reduce((sum, each, i) => sum + (each > 0 ? (excess * directions[j][i] ** 2) / each : 0), 0));
  }

  function parabola(view) {
    const { problem } = view;
    const xs = window_(view, 0);
    const costs = xs.map((w) => costOf(problem, [w]));
    const top = Math.max(...costs) * 1.06 || 1;
    const yTicks = ticks(0, top, 4);
    frame = plotFrame(panel, yTicks);
    x = linear(xs, [frame.left, frame.right]);
    y = linear([-0.04 * top, top], [frame.bottom, frame.top]);
    const many = Array.from({ length: 121 }, (_, i) => xs[0] + ((xs[1] - xs[0]) * i) / 120);
    axes(panel.still, x, y, { xTicks: ticks(...xs, 6), yTicks, xName: nameOf(view, 0), yName: app.t("cost.axis") });
    svg("path", { class: "curve", d: linePath(many.map((w) => [x(w), y(costOf(problem, [w]))])) }, panel.still);
  }

  function contours(view) {
    const { theory, problem } = view;
    const [xs, ys] = [window_(view, 0), window_(view, 1)];
    const yTicks = ticks(...ys, 5);
    frame = plotFrame(panel, yTicks);
    x = linear(xs, [frame.left, frame.right]);
    y = linear(ys, [frame.bottom, frame.top]);
    axes(panel.still, x, y, { xTicks: ticks(...xs, 5), yTicks, xName: nameOf(view, 0), yName: nameOf(view, 1) });
    panel.still.prepend(bands);
    const clip = `clip-${app.id}-cost`;
    bands.replaceChildren();
    const clipping = svg("clipPath", { id: clip }, bands);
    svg("rect", { x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top }, clipping);
    const inside = svg("g", { "clip-path": `url(#${clip})` }, bands);
    svg("rect", { class: "band", "--level": 0, x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top }, inside);
    const [a, b] = theory.curvature;
    const [u, v] = [0, 1].map((i) => [theory.directions[0][i], theory.directions[1][i]]);
    const excess = (px, py) => {
      const [dx, dy] = [px - theory.destination[0], py - theory.destination[1]];
      return a * (dx * u[0] + dy * u[1]) ** 2 + b * (dx * v[0] + dy * v[1]) ** 2;
    };
    const corners = xs.flatMap((px) => ys.map((py) => excess(px, py)));
    const most = Math.sqrt(Math.max(...corners));
    for (let level = LEVELS; level > 0; level -= 1) {
      const size = (most * level) / (LEVELS + 1);
      const d = ellipse(theory.destination, size, [a, b], [u, v]).map(([px, py]) => [x(px), y(py)]);
      svg("path", { class: "band", "--level": 1 - level / (LEVELS + 1), d: `${linePath(d)}Z` }, inside);
    }
  }

  /** Where the excess is size^2: an ellipse along the eigendirections; two lines where the cost is flat in one. */
  function ellipse(centre, size, [a, b], [u, v]) {
    const far = 3 * Math.hypot(x.domain[1] - x.domain[0], y.domain[1] - y.domain[0]);
    const [ra, rb] = [a, b].map((curvature) => Math.min(curvature > 0 ? size / Math.sqrt(curvature) : far, far));
    return Array.from({ length: AROUND }, (_, i) => {
      const angle = (2 * Math.PI * i) / AROUND;
      const [p, q] = [ra * Math.cos(angle), rb * Math.sin(angle)];
      return [centre[0] + p * u[0] + q * v[0], centre[1] + p * u[1] + q * v[1]];
    });
  }

  function directions(view) {
    bars.replaceChildren();
    panel.still.replaceChildren();
    const { theory } = view;
    const shown = Math.min(theory.rank, BARS);
    frame = { ...plotFrame(panel, []), left: 134, right: panel.width - 84 };
    x = logarithmic(SHARES, [frame.left, frame.right]);
    axes(panel.still, x, linear([0, 1], [frame.bottom, frame.top]), { xTicks: [1e-8, 1e-6, 1e-4, 1e-2, 1], yTicks: [], xName: app.t("cost.share") });
    const gap = Math.min((frame.bottom - frame.top) / Math.max(shown, 1), WIDEST_BAR);
    for (let i = 0; i < shown; i += 1) {
      const top = frame.top + i * gap;
      const at = shown < theory.rank && i === shown - 1 ? theory.rank - 1 : i; // the flattest is always there
      const row = svg("g", { "data-i": at }, bars);
      svg("text", { class: "label", x: 6, y: top + 0.62 * gap, text: truncate(view.names[at], 18) }, row);
      svg("rect", { class: "bar", x: frame.left, y: top + 0.2 * gap, height: 0.6 * gap, width: 0 }, row);
      svg("text", { class: "label", y: top + 0.62 * gap }, row);
    }
  }

  return {
    panel,
    still(view) {
      kind = view.problem.parameters.length;
      if (kind > 2) resize(panel, 0, 70 + WIDEST_BAR * Math.min(view.theory.rank, BARS)); // no higher than its bars need
      else resize(panel);
      bars.replaceChildren();
      bands.replaceChildren();
      for (const node of [casing, trail, steps, goal]) node.setAttribute("d", "");
      if (kind === 1) parabola(view);
      else if (kind === 2) contours(view);
      else directions(view);
      for (const node of [start, here]) node.setAttribute("display", kind > 2 ? "none" : "inline");
      panel.heading.textContent = app.t(kind === 1 ? "cost.title" : kind === 2 ? "cost.title_two" : "cost.title_more");
    },
    draw(view) {
      panel.caption.textContent = app.t(kind === 1 ? (app.hidden("rate") ? "cost.caption_still" : "cost.caption") : kind === 2 ? (view.theory.smallest > 0 ? "cost.caption_two" : "cost.caption_valley") : "cost.caption_more", { directions: view.theory.rank });
      fill();
      if (kind > 2) {
        now(app.t("cost.now", { cost: short(view.shown.cost) }));
        return drawBars(view);
      }
      const { problem, theory } = view;
      const point = (p) => (kind === 1 ? [x(p[0]), y(costOf(problem, [p[0]]))] : [x(p[0]), y(p[1])]);
      const upTo = view.ts.findIndex((t) => t > view.shown.t);
      const passed = view.descended.slice(0, upTo < 0 ? undefined : upTo).map(point);
      if (view.ts[passed.length - 1] !== view.shown.t) passed.push(point(view.shown.descended));
      const kept = passed.map((each) => clampTo(each, frame));
      const inside = kept.slice(0, kept.findIndex((each) => each.out) + 1 || undefined).map((each) => each.at);
      const d = linePath(inside);
      casing.setAttribute("d", d);
      trail.setAttribute("d", d);
      steps.setAttribute("d", inside.length <= 120 ? dotsPath(kept.filter((each) => !each.out).map((each) => each.at)) : "");
      const [gx, gy] = point(theory.destination);
      goal.setAttribute("d", `M${gx - 6} ${gy}h12M${gx} ${gy - 6}v12`);
      const at = clampTo(point(view.shown.descended), frame);
      here.setAttribute("cx", at.at[0]);
      here.setAttribute("cy", at.at[1]);
      here.setAttribute("visibility", at.out || Number.isNaN(at.at[0] + at.at[1]) ? "hidden" : "visible");
      const label = view.shown.descended.map((each, j) => `${nameOf(view, j)} = ${signed(each)}`).join(", ");
      now(kind === 1 ? `${label}, ${app.t("cost.now", { cost: short(view.shown.cost) })}` : label);
      away(at, label, frame);
      const first = point(view.descended[0]);
      moveHandle(start, first, view.descended[0][0], view.params[0].map((each, j) => `${view.labels[j]} ${short(each)}`).join(", "));
      const second = passed.length > 1 ? passed[1] : first;
      // Where the path does not go: on the other side of the start.
      const toLeft = second[0] > first[0] && first[0] > frame.left + 40;
      const above = kind === 2 && second[1] >= first[1]; // a parabola has nothing below it
      startLabel.setAttribute("text-anchor", toLeft ? "end" : "start");
      startLabel.setAttribute("x", toLeft ? -10 : 10);
      startLabel.setAttribute("y", above ? -9 : 14);
      startLabel.textContent = app.hidden("rate") ? view.labels.join(", ") : app.t("cost.start_label"); // where nothing descends
    },
  };

  /** Each direction's part of what was to lose, and what an epoch multiplies its error by. */
  function drawBars(view) {
    const { theory } = view;
    const parts = theory.error.map((error, i) => (theory.curvature[i] * (error * view.shown.h[i]) ** 2) / (2 * theory.scale));
    const whole = theory.error.reduce((sum, error, i) => sum + (theory.curvature[i] * error ** 2) / (2 * theory.scale), 0);
    for (const row of bars.children) {
      const i = Number(row.dataset.i);
      const share = parts[i] / whole;
      const [least, most] = SHARES;
      const width = x(share > 0 ? Math.min(Math.max(share, least), most) : Number.isNaN(share) ? most : least) - frame.left;
      row.children[1].setAttribute("width", Math.max(width, 1).toFixed(1));
      row.children[1].setAttribute("class", Math.abs(theory.factors[i]) > 1 ? "bar grows" : "bar");
      row.children[2].setAttribute("x", frame.left + 8 + Math.max(width, 1));
      row.children[2].textContent = `×${factor(theory.factors[i], theory.gaps[i])}`;
    }
  }
}

