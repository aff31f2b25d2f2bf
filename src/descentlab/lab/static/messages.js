/** Words: sentences of the catalogue in the reader's language, with numbers as the terminal prints them. */

/** Six significant digits, whole numbers with thousands separated. */
export function number(value, digits = 6) {
  if (typeof value === "bigint" || (Number.isInteger(value) && Math.abs(value) < 1e15)) return grouped(String(value));
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  if (exponent < -5 || exponent >= digits + 4) {
    return `${trimmed(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const shown = exponent >= digits ? String(Number(`${mantissa}e${exponent}`)) : trimmed(value.toFixed(Math.max(digits - 1 - exponent, 0)));
  const [whole, part] = shown.split(".");
  return part === undefined ? grouped(whole) : `${whole}.${part}`;
}

/** Few digits, for labels. */
export const short = (value) => number(value, 3);

/** The same with a minus as long as a plus. */
export const signed = (value, digits = 3) => number(value, digits).replace("-", "−");

const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** So many digits, rounded down: a rate just below its bound stays below it. */
export function floor(value, digits = 6) {
  const power = 10 ** (digits - 1 - Math.floor(Math.log10(value)));
  return Number((Math.floor(value * power) / power).toPrecision(digits));
}

/** A factor with the digits that tell it from 1. */
export function factor(value, gap) {
  const beyond = -value - 1;
  if (Math.abs(beyond) > 0 && Math.abs(beyond) < 1e-4) return `−(1 ${beyond > 0 ? "+" : "−"} ${number(Math.abs(beyond), 2)})`;
  if (Math.abs(gap) > 1e-4 || gap === 0) return signed(value, 4);
  return `1 ${gap > 0 ? "−" : "+"} ${number(Math.abs(gap), 2)}`;
}

// Korean particles that depend on the sound before them, and what is not read, as in messages/korean.py.
const PARTICLES = { "은(는)": "은는", "이(가)": "이가", "을(를)": "을를", "과(와)": "과와", "와(과)": "과와", "(이)라": ["이라", "라"], "(으)로": ["으로", "로"] };
const PARTICLE = /은\(는\)|이\(가\)|을\(를\)|과\(와\)|와\(과\)|\(으\)로|\(이\)라/g;
const CLOSING_MARKS = /[\x60'"”’)\]}>*…]+$/;
const REMARK = /([^\s(])(?:\([^()]*\)(?=[\x60'"]*$)| \([^()]*\)(?=[\x60'"]+$))[\x60'"]*$/;
const OPEN = /[aeiouy]r$/i;
const CLOSED = /(?:[036²³]|\^\d+|[mn]|ng|[aeiouy][mn]e|get|type|ck|[a-z]ic|(?:^|[^aeiou])[aeiou]p)$/i;
const RIEUL = /(?:[178lr]|[a-z]le)$/i;
const LONGEST_READ = 60;
const UNIT = /(\d) (?=에포크|걸음|스텝)/g;

const COUNT_OF_ONE = /\b1 (more )?(update|epoch|row|column|direction|cell)s\b/g; // of which there is one

/** How a text ends as it is read in Korean, as the number of its final consonant: 0 for none, 8 for an l. */
function finalSound(text) {
  const code = text.charCodeAt(text.length - 1) - 0xac00;
  if (code >= 0 && code <= 11171) return code % 28;
  return OPEN.test(text) ? 0 : CLOSED.test(text) ? 1 : RIEUL.test(text) ? 8 : 0;
}

/** Korean text with every particle decided by the sound before it, as it is read aloud. */
export function particled(text) {
  return text.replace(PARTICLE, (form, at) => {
    const final = finalSound(text.slice(Math.max(at - LONGEST_READ, 0), at).replace(REMARK, "$1").replace(CLOSING_MARKS, ""));
    return PARTICLES[form][final === 0 || (final === 8 && form === "(으)로") ? 1 : 0];
  });
}

/** Text with no line break between a number and its unit. */
export const keepUnits = (text) => text.replace(UNIT, "$1\u00a0");

/** @returns {(key: string, values?: object) => string} the translator into one language */
export function translator(catalogue, lang) {
  const sentences = catalogue[lang];
  return (key, values = {}) => {
    const text = sentences[`lab.${key}`];
    if (text === undefined) throw new Error(`no sentence lab.${key} in ${lang}`);
    const filled = text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name]));
    return lang === "ko" ? keepUnits(particled(filled)) : filled.replace(COUNT_OF_ONE, "1 $1$2");
  };
}
