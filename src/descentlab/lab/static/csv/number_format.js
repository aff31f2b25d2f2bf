/** How numbers are written: the decimal mark, what separates thousands, currency and percent signs; as data/csv/number_format.py. */
import { WORDS } from "./words.js";

const MINUS_SIGN = new RegExp(`[${WORDS.minusSigns}]`, "gu");
const FULL_WIDTH = new RegExp(`[${Object.keys(WORDS.fullWidth).join("")}]`, "gu");
const NUMBER_LIKE = new RegExp(WORDS.patterns.numberLike, "u");
const TWO_READINGS = new RegExp(WORDS.patterns.twoReadings, "u");
const CURRENCY = new RegExp([...WORDS.currencySigns].sort((a, b) => b.length - a.length).map(escaped).join("|"));
const LONGEST_NUMBER = 200; // letters; patterns take their time with the spaces of longer cells
const INFINITE = /^[-+]?inf(inity)?$/i;
const WHOLE = /^[-+]?[0-9]+$/;
const PERCENT = /\s*%(\)?)$/;
const ACCOUNTING_MINUS = new RegExp(WORDS.patterns.accountingMinus);
const MINUS_BEHIND = new RegExp(WORDS.patterns.minusBehind);
const CERTAIN_MINUS_BEHIND = new RegExp(WORDS.patterns.certainMinusBehind);
const GROUPS_OF_POINTS = new RegExp(WORDS.patterns.groupsOfPoints);
const WHOLE_CURRENCY = new RegExp(WORDS.patterns.wholeCurrency);

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A cell without spaces around it and with one kind of minus and of digits. */
export const trimmedCell = (cell) => cell.trim().replace(MINUS_SIGN, "-").replace(FULL_WIDTH, (sign) => WORDS.fullWidth[sign]);

/** Whether a cell is a number with some decimal mark, currency sign or percent sign. */
export const isNumberLike = (cell) => looksLikeNumber(trimmedCell(cell));
const looksLikeNumber = (text) => text.length <= LONGEST_NUMBER && NUMBER_LIKE.test(text);

/** The pattern of a finite number; `thousands` has the characters between its groups. */
const numberPattern = (decimal, thousands) => new RegExp(`^${WORDS.numbers[decimal + thousands]}$`);

/** A function that gives a cell's number, NaN where it is none; `4.5%` is 4.5. */
export function numberReader(format) {
  const { decimal, thousands } = format;
  const pattern = numberPattern(decimal, thousands);
  const separator = thousands ? new RegExp(`[${thousands}]`, "g") : null;
  const bare = signRemover(format);
  return (cell) => {
    if (cell.length > LONGEST_NUMBER) return NaN;
    const text = bare(cell);
    if (!pattern.test(text)) return INFINITE.test(text) ? (text[0] === "-" ? -Infinity : Infinity) : NaN;
    return Number((separator ? text.replace(separator, "") : text).replace(decimal, "."));
  };
}

/** A function that takes currency and percent signs from a cell, and puts the minus in front. */
function signRemover({ currency, percent, accounting, minusBehind }) {
  const before = currency && new RegExp(`^([-+(]?)\\s*${escaped(currency)}\\s*`);
  const after = currency && new RegExp(`\\s*${escaped(currency)}(\\)?)$`);
  return (cell) => {
    let text = cell;
    if (currency) text = text.replace(before, "$1").replace(after, "$1");
    if (percent) text = /%\)?$/.test(text) ? text.replace(PERCENT, "$1") : "";
    return accounting ? text.replace(minusBehind ? MINUS_BEHIND : ACCOUNTING_MINUS, "-$1$2") : text;
  };
}

/** The format in which all of the cells are numbers (null where one is missing); null if there is none. */
export function detectFormat(cells, marks) {
  if (!hasNumbers(cells)) return null;
  const has = (sign) => cells.some((cell) => cell?.includes(sign));
  const accounting = has("(") || cells.some((cell) => cell?.endsWith("-"));
  const signs = { decimal: marks.decimal, currency: detectCurrency(cells), percent: has("%"), accounting, minusBehind: hasMinusBehind(cells) };
  for (const thousands of possibleThousands(marks)) {
    const format = { ...signs, thousands };
    const read = numberReader(format);
    if (cells.every((cell) => cell === null || !Number.isNaN(read(cell)))) return format;
  }
  return null;
}

/** Whether the numbers have nothing but digits, a sign and a decimal mark. */
export const isPlain = ({ thousands, currency, percent, accounting }) => !(thousands || currency || percent || accounting);

/** Whether one of the first cells might be a number. */
export const hasNumbers = (cells) => cells.slice(0, WORDS.leadingCells).some((cell) => cell !== null && looksLikeNumber(cell));

/** Whether a minus behind one of the cells is certainly the sign of a number. */
export const hasMinusBehind = (cells) => cells.some((cell) => cell !== null && CERTAIN_MINUS_BEHIND.test(cell));

/** The first currency sign among cells that might be numbers. */
export function detectCurrency(cells) {
  const cell = cells.find((each) => each !== null && CURRENCY.test(each) && looksLikeNumber(each));
  return cell === undefined ? "" : CURRENCY.exec(cell)[0];
}

/** What a column may have between thousands. */
export function possibleThousands({ decimal, thousands, certain, given }) {
  if (given) return ["", WORDS.thousandsMarks[thousands]];
  return ["", ...(certain ? [decimal === "." ? "," : "."] : []), WORDS.spaces, WORDS.apostrophes];
}

/** The marks, if what was answered determines them. */
export function marksFromOptions({ decimal, thousands }) {
  if (!decimal && thousands !== "," && thousands !== ".") return null;
  const mark = decimal ?? (thousands === "," ? "." : ",");
  return { decimal: mark, thousands: thousands ?? (mark === "." ? "," : "."), certain: true, given: Boolean(thousands) };
}

/** The first cell of each kind in the columns of numbers: only a point number, only a comma number, both. */
export function gatherEvidence(columns) {
  const found = {};
  columns.forEach((cells, column) => {
    if (hasNumbers(cells)) addEvidence(found, cells, column);
  });
  return found;
}

function addEvidence(found, cells, column) {
  const bare = signRemover({ currency: detectCurrency(cells), accounting: true, minusBehind: hasMinusBehind(cells) });
  const others = WORDS.spaces + WORDS.apostrophes;
  const [point, comma] = [numberPattern(".", `,${others}`), numberPattern(",", `.${others}`)];
  const first = {};
  const add = (kind, row) => (first[kind] ??= { column, row, cell: cells[row] });
  let [numbers, total, hasWhole] = [0, 0, false];
  cells.forEach((cell, row) => {
    if (cell === null) return;
    total += 1;
    if (cell.length > LONGEST_NUMBER) return;
    const text = bare(cell.replace(PERCENT, "$1"));
    const isWholeMoney = WHOLE_CURRENCY.test(cell); // won and yen have no decimals, so a mark separates thousands
    const [isPoint, isComma] = [point.test(text), comma.test(text)];
    if (isPoint || isComma) numbers += 1;
    hasWhole ||= WHOLE.test(text);
    if (isPoint && (!isComma || (isWholeMoney && text.includes(",")))) add("point", row);
    if (isComma && GROUPS_OF_POINTS.test(cell)) add("points", row);
    else if (isComma && (!isPoint || (isWholeMoney && text.includes(".")))) add("comma", row);
    if (isComma && isPoint && /[.,]/.test(text)) add("twoReadings", row);
  });
  if (2 * numbers < total) return;
  for (const kind of ["point", "comma", "points", "twoReadings"]) found[kind] ??= first[kind];
  if (hasWhole) found.besideWhole ??= first.twoReadings;
}

/** The marks that follow from the evidence; null if the person has to be asked. */
export function chooseMarks({ point, comma, points, twoReadings, besideWhole }, delimiter) {
  if (point && comma) return null;
  if (point || comma) return { decimal: point ? "." : ",", certain: true };
  if (points && delimiter !== ",") return { decimal: ",", certain: true };
  if (!twoReadings) return { decimal: ".", certain: delimiter === "," };
  const isPoint = twoReadings.cell.includes(".") && (delimiter === "," || (delimiter !== ";" && !besideWhole));
  return isPoint ? { decimal: ".", certain: true } : null;
}

/** A cell that can be read in two ways: its mark, and the number that each reading gives. */
export function readBothWays(cell) {
  const [text, mark] = TWO_READINGS.exec(cell);
  return { mark, whole: text.replace(mark, ""), fraction: String(Number(text.replace(mark, "."))) };
}
