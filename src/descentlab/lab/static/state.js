/**
 * The whole experiment as one table of state: what each setting is called, what it is at first, how it reads and
 * writes itself. The same table is the page's address: `#v=1&lr=0.1`, only what differs from the defaults.
 */

export const VERSION = 1;
export const REDUCTIONS = ["mean", "half_mean", "sum", "half_sum"];
export const CONTROLS = ["data", "rate", "momentum", "reduction", "hypothesis", "forget", "repeat", "transport", "map", "code"];
export const MOST_POINTS = 60; // of one's own that an address carries

const number = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined);
const within = (low, high) => (text) => {
  const value = number(text);
  return value !== undefined && value >= low && value <= high ? value : undefined;
};
const whole = (low, high) => (text) => {
  const value = within(low, high)(text);
  return Number.isInteger(value) ? value : undefined;
};
const oneOf = (...allowed) => (text) => (allowed.includes(text) ? text : undefined);
const flag = (text) => ({ 1: true, 0: false })[text];
const numbers = (text) => {
  const found = text.split(",").map(number);
  return found.length && !found.includes(undefined) ? found : undefined;
};
const span = (text) => {
  const found = numbers(text);
  return found?.length === 2 && found[0] < found[1] ? found : undefined;
};
const rowsOf = (text) => {
  const rows = text.split(";").map(numbers);
  const fits = rows.length <= MOST_POINTS && rows.every((row) => row && row.length === rows[0].length && row.length > 1 && row.every((value) => Math.abs(value) <= 1e100));
  return fits ? rows : undefined;
};
const names = (text) => {
  const found = text.split(",");
  return found.every((name) => CONTROLS.includes(name)) ? found : undefined;
};
const texts = (text) => (text.length <= 2000 ? text.split(",") : undefined);
const listed = (list) => list.map((name) => name.replaceAll(",", " ")).join(",");
const plain = (value) => (value === true ? "1" : value === false ? "0" : String(value));

/** @type {{name: string, key: string, value: any, read: (text: string) => any, write?: (value: any) => string}[]} */
export const STATE = [
  { name: "data", key: "d", value: null, read: (text) => (/^[\w-]{1,40}$/.test(text) ? text : undefined) },
  { name: "points", key: "p", value: null, read: rowsOf, write: (rows) => rows.map((row) => row.join(",")).join(";") },
  { name: "names", key: "h", value: null, read: texts, write: listed },
  { name: "target", key: "y", value: null, read: (text) => text },
  { name: "features", key: "x", value: null, read: texts, write: listed },
  { name: "lr", key: "lr", value: 0.15, read: within(1e-300, 1e300) },
  { name: "reduction", key: "r", value: "mean", read: oneOf(...REDUCTIONS) },
  { name: "momentum", key: "m", value: 0, read: within(0, 1) },
  { name: "nesterov", key: "nag", value: false, read: flag },
  { name: "forget", key: "f", value: false, read: flag },
  { name: "epochs", key: "n", value: 10, read: whole(1, 1e6) },
  { name: "epoch", key: "e", value: null, read: whole(0, 1e6) },
  { name: "start", key: "s", value: null, read: numbers, write: (values) => values.join(",") },
  { name: "bias", key: "b", value: false, read: flag },
  { name: "center", key: "c", value: false, read: flag },
  { name: "standardize", key: "z", value: false, read: flag },
  { name: "repeat", key: "k", value: 1, read: whole(1, 1000) },
  { name: "keep", key: "t", value: false, read: flag },
  { name: "log", key: "log", value: true, read: flag },
  { name: "lang", key: "l", value: null, read: oneOf("en", "ko") },
  { name: "theme", key: "th", value: null, read: oneOf("light", "dark") },
  { name: "window", key: "w", value: null, read: span, write: (values) => values.join(",") },
  { name: "hide", key: "hide", value: null, read: names, write: (list) => list.join(",") },
];

/** The defaults, with what a page's own data asks for put over them. */
export function defaults(own = {}) {
  return { ...Object.fromEntries(STATE.map((each) => [each.name, each.value])), ...own };
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The address of a state: only what differs from `base`. */
export function encode(state, base) {
  const parts = STATE.filter((each) => state[each.name] !== null && !same(state[each.name], base[each.name]));
  const written = parts.map((each) => `${each.key}=${encodeURIComponent((each.write ?? plain)(state[each.name])).replace(/%2C/g, ",").replace(/%3B/g, ";")}`);
  return [`v=${VERSION}`, ...written].join("&");
}

/**
 * The state that an address stands for, over `base`.
 * @returns {{state: object, trouble: null | "version" | "damaged"}} with trouble, the state is `base`: the page says so
 */
export function decode(hash, base) {
  const text = hash.replace(/^#/, "");
  if (!text) return { state: { ...base }, trouble: null };
  const found = {};
  let version;
  for (const part of text.split("&")) {
    const [key, ...rest] = part.split("=");
    let value;
    try {
      value = decodeURIComponent(rest.join("="));
    } catch {
      return { state: { ...base }, trouble: "damaged" };
    }
    if (key === "v") {
      version = value;
      continue;
    }
    const row = STATE.find((each) => each.key === key);
    const read = row?.read(value);
    if (read === undefined) return { state: { ...base }, trouble: version && version !== String(VERSION) ? "version" : "damaged" };
    found[row.name] = read;
  }
  if (version !== String(VERSION)) return { state: { ...base }, trouble: "version" };
  return { state: { ...base, ...found }, trouble: null };
}
