/** What every plot is drawn with: scales, ticks, paths, axes, panels, handles. */
import { html, set, svg, truncate } from "./dom.js";
import { number, signed } from "./messages.js";

const LABEL_CHARACTER_WIDTH = 7; // pixels of a label, about

/** A linear scale from a domain to a range, with its inverse. */
export function linear([d0, d1], [r0, r1]) {
  const slope = (r1 - r0) / (d1 - d0 || 1);
  const scale = (value) => r0 + (value - d0) * slope;
  scale.invert = (at) => d0 + (at - r0) / slope;
  scale.domain = [d0, d1];
  scale.range = [r0, r1];
  return scale;
}

/** The same for the logarithm of the value. */
export function logarithmic([d0, d1], range) {
  const inner = linear([Math.log10(d0), Math.log10(d1)], range);
  const scale = (value) => inner(Math.log10(value));
  scale.invert = (at) => 10 ** inner.invert(at);
  scale.domain = [d0, d1];
  scale.range = range;
  scale.log = true;
  return scale;
}

/** The next of 1, 2, 5, 10, 20 and so on. */
function roundUp(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((each) => each * power >= rough * (1 - 1e-9)) * power;
}

const rounded = (value, step) => Number((Math.round(value / step) * step).toPrecision(12));

/** What a picture's place stands for, to the roundest number within a pixel: what is dragged lands on whole ones. */
export function roundToPixel(scale, at) {
  const pixel = Math.abs((scale.domain[1] - scale.domain[0]) / (scale.range[1] - scale.range[0]));
  return rounded(scale.invert(at), roundUp(pixel));
}

/** A value some hundredths of the scale further, on a round number. */
export function nudge(scale, value, steps) {
  if (steps === 0) return value;
  const step = roundUp((scale.domain[1] - scale.domain[0]) / 100);
  return rounded(value + steps * step, step);
}

/** About `count` round numbers between two. */
export function ticks(low, high, count = 5) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const step = roundUp(span / count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step).map((each) => Number(each.toPrecision(12)));
}

/** Powers of ten between two numbers, at most `count` of them. */
export function logTicks(low, high, count = 6) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / count));
  const found = [];
  for (let power = first; power <= last; power += step) found.push(Number(`1e${power}`));
  if (found.length > 1) return found;
  const within = [first - 1, first, last].flatMap((power) => [1, 2, 5].map((each) => Number(`${each}e${power}`)));
  return [...new Set(within)].filter((each) => each >= low && each <= high);
}

/** The `d` of a line through points; it breaks where a number is none. */
export function linePath(points) {
  let d = "";
  let pen = "M";
  for (const [x, y] of points) {
    if (Number.isFinite(x) && Number.isFinite(y)) {
      d += `${pen}${x.toFixed(2)} ${y.toFixed(2)}`;
      pen = "L";
    } else pen = "M";
  }
  return d;
}

/** The same inside a frame: what leaves it is drawn to its edge. */
export function clippedLinePath(points, frame) {
  const outside = points.map((each) => clampTo(each, frame).out || !each.every(Number.isFinite));
  return linePath(
    points.flatMap((point, i) => {
      if (!outside[i]) return [point];
      const back = i > 0 && !outside[i - 1] ? [crossing(points[i - 1], point, frame)] : [];
      const on = i + 1 < points.length && !outside[i + 1] ? [crossing(points[i + 1], point, frame)] : [];
      return [...back, [NaN, NaN], ...on];
    }),
  );
}

/** Where the way from a point inside to one above or below leaves the frame. */
function crossing([x0, y0], [x1, y1], { top, bottom }) {
  const edge = y1 < top ? top : bottom;
  if (![x1, y1].every(Number.isFinite) || y1 === y0) return [NaN, NaN];
  return [x0 + ((x1 - x0) * (edge - y0)) / (y1 - y0), edge];
}

/** The `d` of dots: zero-length segments that round caps make round. */
export function dotsPath(points) {
  let d = "";
  for (const [x, y] of points) if (Number.isFinite(x) && Number.isFinite(y)) d += `M${x.toFixed(2)} ${y.toFixed(2)}h0`;
  return d;
}

/** The `d` of separate segments. */
export function segmentsPath(pairs) {
  return pairs.map(([a, b]) => linePath([a, b])).join("");
}

/** A point moved to the nearest place inside a frame, and on which side it left. */
export function clampTo([x, y], { left, right, top, bottom }) {
  const at = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
  const beyond = (value) => (Math.abs(value) > 0.5 ? Math.sign(value) : 0); // half a pixel is rounding
  const away = Number.isFinite(x) && Number.isFinite(y) ? [beyond(x - at[0]), beyond(y - at[1])] : [0, 0];
  return { at, away, out: away[0] !== 0 || away[1] !== 0 };
}

/** Axes' numbers: powers of ten as powers on a log scale, and otherwise with the digits that tell one from the next. */
function tickTexts(values, log = false) {
  if (log) return values.map((value) => (String(value.toExponential()).startsWith("1e") ? powerOfTen(Math.round(Math.log10(value))) : number(value, 3)));
  const most = Math.max(...values.map(Math.abs));
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : most;
  const digits = Math.max(1, Math.floor(Math.log10(most)) - Math.floor(Math.log10(step) + 1e-9) + 1);
  if (most < 1e7 || digits > 3) return values.map((value) => signed(value, Math.max(digits, 3)));
  const power = Math.floor(Math.log10(most));
  return values.map((value) => (value === 0 ? "0" : `${signed(value / 10 ** power)}×${raised(power)}`));
}

const raised = (power) => `10${[...String(power)].map((each) => (each === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[each])).join("")}`;
const powerOfTen = (power) => (power < -3 || power > 4 ? raised(power) : number(10 ** power, 3));

/** Where a picture's frame lies: right of its numbers, under what stands above it. */
export function plotFrame(panel, yTicks, log) {
  const widest = Math.max(...tickTexts(yTicks, log).map((text) => text.length));
  return { left: Math.max(46, Math.round(14 + 6.6 * widest)), right: panel.width - 14, top: 24, bottom: panel.height - 40 };
}

/** Axes along the left and the bottom, with their numbers; drawn anew only when the scales change. */
export function axes(group, x, y, { xTicks, yTicks, xName = "", yName = "" }) {
  group.replaceChildren();
  const [left, right] = x.range;
  const [bottom, top] = y.range;
  svg("path", { class: "rule", d: `M${left} ${bottom}H${right}` }, group);
  let last = -Infinity;
  const [xTexts, yTexts] = [tickTexts(xTicks, x.log), tickTexts(yTicks, y.log)];
  for (const [i, tick] of xTicks.entries()) {
    const at = x(tick);
    const label = xTexts[i];
    const half = label.length * 3.4;
    const middle = Math.min(at, right + 12 - half); // a long one stays within the picture
    if (middle - half < last + 6 || at < left - 1 || at > right + 1) continue;
    last = middle + half;
    svg("path", { class: "rule", d: `M${at} ${bottom}v4` }, group);
    svg("text", { class: "tick", x: middle, y: bottom + 17, "text-anchor": "middle", text: label }, group);
  }
  let above = Infinity;
  for (const [i, tick] of yTicks.entries()) {
    const at = y(tick);
    if (at > above - 14 || at > bottom + 1 || at < top - 1) continue;
    above = at;
    svg("path", { class: "grid", d: `M${left} ${at}H${right}` }, group);
    svg("text", { class: "tick", x: left - 7, y: at + 4, "text-anchor": "end", text: yTexts[i] }, group);
  }
  if (xName) svg("text", { class: "axis", x: right, y: bottom + 32, "text-anchor": "end", text: truncate(xName, (right - left) / LABEL_CHARACTER_WIDTH) }, group);
  if (yName) svg("text", { class: "axis", x: 6, y: top - 9, text: truncate(yName, 18) }, group);
}

/** A figure with a title, a picture and a caption in prose. */
export function createPanel(key, title) {
  const caption = html("figcaption");
  const heading = html("h2", { text: title });
  const picture = svg("svg", { class: "picture", role: "group", "aria-label": title });
  const node = html("figure", { class: `panel ${key}` }, heading, picture, caption);
  const still = svg("g", { "aria-hidden": "true" }, picture);
  const live = svg("g", {}, picture);
  return { node, heading, picture, caption, still, live, width: 0, height: 0 };
}

/** What a picture shows now, in numbers: above its frame on the right, where no line runs. */
export function readout(panel) {
  const node = svg("text", { class: "label strong", "text-anchor": "end", y: 13 }, panel.live);
  return (text) => {
    node.setAttribute("x", panel.width - 14);
    node.textContent = text;
  };
}

/** The picture's size from the room it has; true if it changed. */
export function resize(panel, ratio = 0.62, least = 210, most = 340) {
  const width = Math.max(Math.floor(panel.node.clientWidth), 240);
  const height = Math.round(Math.min(Math.max(width * ratio, least), most));
  if (width === panel.width && height === panel.height) return false;
  panel.width = width;
  panel.height = height;
  set(panel.picture, { width, height, viewBox: `0 0 ${width} ${height}` });
  return true;
}

/** Where in a picture an event is. */
export function pointerPosition(picture, event) {
  const box = picture.getBoundingClientRect();
  const view = picture.viewBox.baseVal;
  return [((event.clientX - box.left) * (view.width || box.width)) / box.width, ((event.clientY - box.top) * (view.height || box.height)) / box.height];
}

/**
 * A handle: dragged by pointer, moved by arrow keys (Shift: ten times as far).
 * @param {SVGElement} node
 * @param {{picture: SVGElement, name: string, to: (at: number[]) => void, by: (dx: number, dy: number) => void,
 *   held?: (whether: boolean) => void}} what `held` hears when a pointer takes it and lets it go
 */
export function makeHandle(node, { picture, name, to, by, held: holding = () => {} }) {
  set(node, { tabindex: 0, role: "slider", "aria-label": name, class: "handle" });
  let offset = null;
  node.addEventListener("pointerdown", (event) => {
    const at = pointerPosition(picture, event);
    offset = [Number(node.dataset.x) - at[0], Number(node.dataset.y) - at[1]];
    node.setPointerCapture(event.pointerId);
    holding(true);
    event.preventDefault();
    node.focus({ preventScroll: true });
  });
  node.addEventListener("pointermove", (event) => {
    if (!offset) return;
    const at = pointerPosition(picture, event);
    to([at[0] + offset[0], at[1] + offset[1]]);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    node.addEventListener(end, () => {
      offset = null;
      holding(false);
    });
  }
  node.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    by(way[0] * (event.shiftKey ? 10 : 1), way[1] * (event.shiftKey ? 10 : 1));
  });
}

/** Put a handle somewhere, and say where that is. */
export function moveHandle(node, [x, y], value, text) {
  if (!Number.isFinite(x) || !Number.isFinite(y)) return set(node, { display: "none" });
  node.dataset.x = x;
  node.dataset.y = y;
  return set(node, { display: null, transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})`, "aria-valuenow": value, "aria-valuetext": text });
}

/** An arrow at the frame's edge towards what has left it, with its number. */
export function overflowMarker(group) {
  const node = svg("g", { class: "overflow-marker", display: "none" }, group);
  const head = svg("path", { d: "M-6 4L0 -5L6 4Z" }, node);
  const label = svg("text", { class: "label" }, node);
  return ({ at, away, out }, text, frame) => {
    set(node, { display: out ? null : "none" });
    if (!out) return;
    const turn = (Math.atan2(away[1], away[0]) * 180) / Math.PI + 90;
    set(node, { transform: `translate(${at[0].toFixed(1)} ${at[1].toFixed(1)})` });
    set(head, { transform: `rotate(${turn})` });
    const toLeft = at[0] > (frame.left + frame.right) / 2;
    set(label, { x: toLeft ? -10 : 10, y: away[1] < 0 ? 14 : away[1] > 0 ? -6 : 4, "text-anchor": toLeft ? "end" : "start", text });
  };
}
