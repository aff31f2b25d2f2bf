/** The data and the hypothesis: points, the line that descent has now, and the errors between them. */
import { addDataTable, svg } from "../dom.js";
import { axes, createPanel, dotsPath, linear, linePath, makeHandle, moveHandle, nudge, plotFrame, pointerPosition, readout, resize, roundToPixel, segmentsPath, ticks } from "../svg.js";
import { short, signed } from "../messages.js";

const HANDLES = 24; // of points, at most: more are not dragged one by one

export function dataPanel(app) {
  const panel = createPanel("data", app.t("data.title"));
  const errors = svg("path", { class: "errors" }, panel.live);
  const points = svg("path", { class: "dots" }, panel.live);
  const casing = svg("path", { class: "casing" }, panel.live);
  const fitted = svg("path", { class: "descent" }, panel.live);
  const now = readout(panel);
  const handles = svg("g", {}, panel.live);
  const fill = addDataTable(panel, app.t("as_table"), () => {
    const { problem, shown } = app.view;
    const predict = predictor(problem, shown.params);
    const rows = app.rows().slice(0, 50);
    return [[...problem.features, problem.target, app.t("data.predicted")], ...rows.map((row) => [...row, predict(row)].map(short))];
  });
  let x, y, frame, single;

  panel.picture.addEventListener("dblclick", (event) => {
    if (!single || !app.editable) return;
    const [px, py] = pointerPosition(panel.picture, event);
    app.addPoint([roundToPixel(x, px), roundToPixel(y, py)]);
  });

  function ranges(problem, rows) {
    single = problem.features.length === 1;
    const d = problem.features.length;
    const xs = single ? rows.map((row) => row[0]) : rows.map((row) => row[d]);
    const ys = rows.map((row) => row[d]);
    const around = (values) => {
      const low = Math.min(...values);
      const high = Math.max(...values);
      const span = high - low || Math.abs(high) || 1;
      return [low - 0.14 * span, high + 0.14 * span];
    };
    const zero = ([low, high]) => (low > 0 && low < 0.6 * high ? [0 - 0.04 * high, high] : [low, high]);
    return { xs: zero(around(xs)), ys: zero(around(ys)) };
  }

  return {
    panel,
    /** Scales and axes: when the data, the size or the theme change. */
    still(view) {
      resize(panel);
      const { problem } = view;
      const rows = app.rows();
      const found = rows.length ? ranges(problem, rows) : { xs: [0, 1], ys: [0, 1] };
      const yTicks = ticks(...found.ys, 4);
      frame = plotFrame(panel, yTicks);
      x = linear(found.xs, [frame.left, frame.right]);
      y = linear(found.ys, [frame.bottom, frame.top]);
      const name = single ? problem.features[0] : app.t("data.true", { target: problem.target });
      axes(panel.still, x, y, { xTicks: ticks(...found.xs, 5), yTicks, xName: name, yName: single ? problem.target : app.t("data.predicted") });
      (rows.length <= HANDLES ? fitted : errors).after(points); // a few lie on the line, a cloud under it
      const wanted = single && app.editable && rows.length <= HANDLES ? rows.length : 0;
      if (handles.childElementCount !== wanted) {
        handles.replaceChildren();
        Array.from({ length: wanted }, (_, i) => {
          const node = svg("g", {}, handles);
          svg("circle", { r: 13, class: "grip" }, node);
          svg("circle", { r: 5.5, class: "dot" }, node);
          const move = (row) => app.movePoint(i, row);
          makeHandle(node, {
            picture: panel.picture,
            name: app.t("data.handle", { row: i + 1 }),
            held: (whether) => app.setHeld(whether),
            to: ([px, py]) => move([roundToPixel(x, px), roundToPixel(y, py)]),
            by: (dx, dy) => {
              const [a, b] = app.rows()[i];
              move([nudge(x, a, dx), nudge(y, b, dy)]);
            },
          });
        });
      }
    },
    draw(view) {
      const rows = app.rows();
      const { problem } = view;
      const d = problem.features.length;
      const params = view.shown.params;
      const bias = problem.bias ? params[d] : 0;
      const predict = predictor(problem, params);
      if (single) {
        const [low, high] = x.domain;
        const ends = [low, high].map((at) => [x(at), y(params[0] * at + bias)]);
        const d0 = clipped(ends, frame);
        casing.setAttribute("d", d0);
        fitted.setAttribute("d", d0);
        errors.setAttribute("d", rows.length <= 200 ? segmentsPath(rows.map((row) => [[x(row[0]), y(row[1])], [x(row[0]), clampY(y(predict(row)), frame)]])) : "");
        points.setAttribute("d", handles.childElementCount ? "" : dotsPath(rows.map((row) => [x(row[0]), y(row[1])])));
        [...handles.children].forEach((node, i) => moveHandle(node, [x(rows[i][0]), y(rows[i][1])], rows[i][1], `${short(rows[i][0])}, ${short(rows[i][1])}`));
      } else {
        casing.setAttribute("d", "");
        fitted.setAttribute("d", linePath(x.domain.map((at) => [x(at), y(at)])));
        errors.setAttribute("d", "");
        points.setAttribute("d", dotsPath(rows.map((row) => [x(row[d]), clampY(y(predict(row)), frame)])));
      }
      now(single ? hypothesis(params, problem) : "");
      fill();
      panel.caption.textContent = rows.length
        ? app.t(single ? (app.hidden("rate") ? "data.caption_still" : app.editable ? "data.caption_drag" : "data.caption") : "data.caption_many", { shown: rows.length, rows: problem.rows, epoch: view.shown.t })
        : app.t("data.none", { rows: problem.rows });
    },
  };
}

/** What these parameters predict of a row. */
function predictor({ features, bias }, params) {
  const d = features.length;
  return (row) => row.slice(0, d).reduce((sum, value, j) => sum + value * params[j], bias ? params[d] : 0);
}

/** H(x) = Wx + b with its numbers. */
function hypothesis([W, b], problem) {
  const sign = b < 0 ? "−" : "+";
  return `H(x) = ${signed(W)}·x${problem.bias ? ` ${sign} ${short(Math.abs(b))}` : ""}`;
}

const clampY = (value, frame) => (Number.isNaN(value) ? NaN : Math.min(Math.max(value, frame.top - 4), frame.bottom + 4));

/** A straight line inside the frame, however steep. */
function clipped([[x0, y0], [x1, y1]], { top, bottom }) {
  if (![y0, y1].every(Number.isFinite)) return "";
  const slope = (y1 - y0) / (x1 - x0);
  const cut = (x, y) => {
    if (y < top) return [x0 + (top - y0) / slope, top];
    if (y > bottom) return [x0 + (bottom - y0) / slope, bottom];
    return [x, y];
  };
  if ((y0 < top && y1 < top) || (y0 > bottom && y1 > bottom)) return "";
  return linePath([cut(x0, y0), cut(x1, y1)]);
}
