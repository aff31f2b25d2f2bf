/** The cost by epoch: the whole prediction, how far the run has come, and from where on it stays near the minimum. */
import { html, svg } from "../dom.js";
import { axes, clampTo, clippedLinePath, createPanel, dotsPath, linear, logarithmic, logTicks, overflowMarker, plotFrame, pointerPosition, readout, resize, ticks } from "../svg.js";
import { short } from "../messages.js";

const DEEPEST = 1e-14; // of the start's cost: what rounding leaves is not shown

export function historyPanel(app) {
  const panel = createPanel("history", app.t("history.title"));
  const zone = svg("rect", { class: "zone" }, panel.live);
  const least = svg("path", { class: "least" }, panel.live);
  const leastLabel = svg("text", { class: "label" }, panel.live);
  const future = svg("path", { class: "future" }, panel.live);
  const past = svg("path", { class: "cost-line" }, panel.live);
  const marks = svg("path", { class: "cost-dots" }, panel.live);
  const cursor = svg("path", { class: "cursor" }, panel.live);
  const here = svg("circle", { r: 5.5, class: "here" }, panel.live);
  const now = readout(panel);
  const zoneLabel = svg("text", { class: "label good-ink" }, panel.live);
  const away = overflowMarker(panel.live);
  const log = html("input", { type: "checkbox", onchange: () => app.set({ log: log.checked }) });
  panel.heading.after(html("label", { class: "check aside" }, log, html("span", { text: app.t("history.log") })));
  let x, y, frame, drawn;

  const over = (event) => {
    if (!x) return;
    const [px] = pointerPosition(panel.picture, event);
    app.hover(Math.round(Math.min(Math.max(x.invert(px), 0), app.state.epochs)));
  };
  panel.picture.addEventListener("pointermove", over);
  panel.picture.addEventListener("pointerleave", () => app.hover(null));
  panel.picture.addEventListener("click", () => app.hovered !== null && app.set({ epoch: app.hovered }));

  /** The scale keeps to the first cost, and moves by whole decades: a cost that grows leaves the frame. */
  function scales(view) {
    const first = view.cost[0] > 0 && Number.isFinite(view.cost[0]) ? view.cost[0] : 1;
    const bottom = view.theory.leastCost;
    const finite = view.cost.filter((each) => Number.isFinite(each) && each > 0);
    const top = finite.some((each) => each > 1.5 * first) ? 30 * first : first;
    if (!app.state.log) return { scale: linear, range: [bottom > 0.8 * top ? 0.9 * bottom : 0, 1.06 * top] };
    const low = Math.max(bottom > 0 ? 0.7 * bottom : 0, Math.min(...finite, first), DEEPEST * first);
    return { scale: logarithmic, range: [Math.min(10 ** Math.floor(Math.log10(low)), first / 10), 1.6 * top] };
  }

  return {
    panel,
    still(view) {
      resize(panel);
      const { scale, range } = scales(view);
      const yTicks = app.state.log ? logTicks(...range, 6) : ticks(...range, 4);
      frame = plotFrame(panel, yTicks, app.state.log);
      drawn = `${app.state.epochs} ${range}`;
      x = linear([0, app.state.epochs], [frame.left, frame.right]);
      y = scale(range, [frame.bottom, frame.top]);
      axes(panel.still, x, y, {
        xTicks: ticks(0, app.state.epochs, 6).filter(Number.isInteger),
        yTicks,
        xName: app.t("history.epochs"),
        yName: app.t("cost.axis"),
      });
    },
    draw(view) {
      const { range } = scales(view);
      log.checked = app.state.log;
      if (drawn !== `${app.state.epochs} ${range}`) this.still(view);
      const safe = (cost) => (cost > 0 || !y.log ? y(cost) : frame.bottom + 6);
      const points = view.ts.map((t, i) => [x(t), safe(view.cost[i])]);
      const inside = points.map((each) => clampTo(each, frame));
      const kept = inside.map((each, i) => (each.out || !Number.isFinite(view.cost[i]) ? [each.at[0], NaN] : each.at));
      const at = clampTo([x(view.shown.t), safe(view.shown.cost)], frame);
      const upTo = view.ts.findIndex((t) => t > view.shown.t);
      const passed = upTo < 0 ? points : points.slice(0, upTo);
      future.setAttribute("d", clippedLinePath(points, frame));
      past.setAttribute("d", clippedLinePath([...passed, [x(view.shown.t), safe(view.shown.cost)]], frame));
      marks.setAttribute("d", kept.filter((each) => Number.isFinite(each[1])).length <= 41 ? dotsPath(kept) : "");
      const bottom = view.theory.leastCost;
      const shows = bottom > 0 && y(bottom) < frame.bottom + 1 && y(bottom) > frame.top;
      least.setAttribute("d", shows ? `M${frame.left} ${y(bottom).toFixed(1)}H${frame.right}` : "");
      leastLabel.textContent = shows ? app.t("history.least", { cost: short(bottom) }) : "";
      const level = shows ? y(bottom) : frame.bottom;
      leastLabel.setAttribute("x", frame.left + 6); // where a cost begins, it is high
      leastLabel.setAttribute("y", level + 15 > frame.bottom ? level - 6 : level + 15);
      const near = view.needed !== null && view.needed <= app.state.epochs;
      zone.setAttribute("visibility", near ? "visible" : "hidden");
      zoneLabel.textContent = near ? app.t("history.near", { epoch: view.needed }) : "";
      if (near) {
        const left = x(view.needed);
        zone.setAttribute("x", left);
        zone.setAttribute("y", frame.top);
        zone.setAttribute("width", Math.max(frame.right - left, 2));
        zone.setAttribute("height", frame.bottom - frame.top);
        const room = frame.right - left > 120;
        zoneLabel.setAttribute("x", room ? left + 7 : left - 7);
        zoneLabel.setAttribute("text-anchor", room ? "start" : "end");
        zoneLabel.setAttribute("y", frame.top + 13);
      }
      cursor.setAttribute("d", `M${x(view.shown.t).toFixed(1)} ${frame.top}V${frame.bottom}`);
      here.setAttribute("cx", at.at[0]);
      here.setAttribute("cy", at.at[1]);
      here.setAttribute("visibility", at.out || Number.isNaN(at.at[0] + at.at[1]) ? "hidden" : "visible");
      now(app.t("history.now", { epoch: view.shown.t, cost: short(view.shown.cost) }));
      away(at, short(view.shown.cost), frame);
      panel.caption.textContent = app.t(view.theory.diverges ? "history.caption_diverges" : "history.caption", { epochs: app.state.epochs });
    },
  };
}
