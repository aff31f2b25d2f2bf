/** Learning rate against momentum: where errors shrink without a swing, where they swing, where they grow. */
import { addDataTable, svg } from "../dom.js";
import { axes, createPanel, linear, linePath, makeHandle, moveHandle, overflowMarker, plotFrame, resize, ticks } from "../svg.js";
import { floor, short } from "../messages.js";

const WIDEST = 4.4; // rates shown, in units of 1 / the greatest curvature
const MOMENTUMS = [0, 0.25, 0.5, 0.75, 0.9, 0.99]; // of the table
const LABELS = { smooth: [0.1, 0.12], swings: [1.3, 0.72, 0.5], grows: [3.55, 0.14, 0.4] }; // where, and where else
const CLOSE = 0.1; // of the height: labels as near as that would touch

export function mapPanel(app) {
  const panel = createPanel("map", app.t("map.title"));
  const smooth = svg("path", { class: "region smooth" }, panel.still);
  const swings = svg("path", { class: "region swings" }, panel.still);
  const grows = svg("path", { class: "region grows" }, panel.still);
  const ticked = svg("g", {}, panel.still);
  const labels = Object.keys(LABELS).map((name) => svg("text", { class: "label", text: app.t(`map.${name}`) }, panel.live));
  const optimum = svg("path", { class: "goal" }, panel.live);
  const optimumLabel = svg("text", { class: "label", text: app.t("map.optimum") }, panel.live);
  const knob = svg("g", {}, panel.live);
  svg("circle", { r: 14, class: "grip" }, knob);
  svg("circle", { r: 6, class: "here" }, knob);
  const fill = addDataTable(panel, app.t("as_table"), () => {
    const rows = MOMENTUMS.map((mu) => [short(mu), short(floor(quiet(mu) * unit, 3)), short(floor(bound(mu) * unit, 3))]);
    return [[app.t("map.momentum"), app.t("map.smooth_below"), app.t("map.grows_from")], ...rows];
  });
  const away = overflowMarker(panel.live);
  let x, y, frame, unit;

  // The steepest direction decides: its roots are real and positive below the first, beyond 1 above the second.
  const quiet = (mu) => (app.state.nesterov ? (1 - mu) ** 2 / (1 + mu) ** 2 : (1 - Math.sqrt(mu)) ** 2);
  const bound = (mu) => (app.state.nesterov ? (2 * (1 + mu)) / (1 + 2 * mu) : 2 * (1 + mu));

  makeHandle(knob, {
    picture: panel.picture,
    name: app.t("map.knob"),
    to: ([px, py]) => moved(x.invert(px), y.invert(py)),
    by: (dx, dy) => moved(app.state.lr / unit + dx / 50, app.state.momentum + dy / 50),
  });

  function moved(times, momentum) {
    const lr = Math.min(Math.max(times, 0.004), WIDEST) * unit;
    app.set({ lr: Number(lr.toPrecision(3)), momentum: Math.round(Math.min(Math.max(momentum, 0), 1) * 100) / 100, forget: false });
  }

  return {
    panel,
    still(view) {
      resize(panel);
      const yTicks = [0, 0.25, 0.5, 0.75, 1];
      frame = plotFrame(panel, yTicks);
      unit = 1 / view.theory.curvature[0];
      const most = WIDEST * unit;
      x = linear([0, WIDEST], [frame.left, frame.right]);
      y = linear([0, 1], [frame.bottom, frame.top]);
      const inRates = linear([0, most], x.range);
      axes(ticked, inRates, y, { xTicks: ticks(0, most, 5), yTicks, xName: app.t("map.lr"), yName: app.t("map.momentum") });
      const steps = Array.from({ length: 61 }, (_, i) => i / 60);
      const first = steps.map((mu) => [x(quiet(mu)), y(mu)]);
      const second = steps.map((mu) => [x(bound(mu)), y(mu)]);
      const area = (a, b) => `${linePath([...a, ...[...b].reverse()])}Z`;
      smooth.setAttribute("d", area(steps.map((mu) => [x(0), y(mu)]), first));
      swings.setAttribute("d", area(first, second));
      grows.setAttribute("d", area(second, steps.map((mu) => [x(WIDEST), y(mu)])));
      panel.caption.textContent = app.t("map.caption", { lr: short(unit) });
    },
    draw(view) {
      const ball = view.rates.ball;
      const known = ball && !app.state.nesterov && view.theory.condition < 1e6;
      const [bx, by] = known ? [x(ball.lr / unit), y(ball.momentum)] : [NaN, NaN];
      optimum.setAttribute("d", known ? `M${bx - 5} ${by}h10M${bx} ${by - 5}v10` : "");
      optimumLabel.setAttribute("visibility", known ? "visible" : "hidden");
      if (known) {
        const right = bx + 150 > frame.right;
        optimumLabel.setAttribute("x", bx + (right ? -9 : 9));
        optimumLabel.setAttribute("text-anchor", right ? "end" : "start");
        optimumLabel.setAttribute("y", by < frame.top + 14 ? by + 14 : by - 6);
      }
      Object.values(LABELS).forEach(([at, height, other], i) => {
        const taken = known && Math.abs(ball.momentum - height) < CLOSE;
        labels[i].setAttribute("x", i === 0 ? frame.left + 7 : x(at));
        labels[i].setAttribute("y", y(taken ? (other ?? height) : height));
        labels[i].setAttribute("text-anchor", i === 0 ? "start" : "middle");
      });
      fill();
      const momentum = app.state.forget ? 1 : app.state.momentum;
      const at = Math.min(app.state.lr / unit, WIDEST);
      away({ at: [x(at), y(momentum)], away: [1, 0], out: app.state.lr > WIDEST * unit }, short(app.state.lr), frame);
      moveHandle(knob, [x(at), y(momentum)], app.state.lr, `lr ${short(app.state.lr)}, ${app.t("map.momentum")} ${short(momentum)}`);
    },
  };
}
