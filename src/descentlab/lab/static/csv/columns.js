/** What a column of text holds: numbers, two words for 1 and 0, or neither, and why; as data/csv/text_columns.py. */
import { detectCurrency, detectFormat, hasMinusBehind, hasNumbers, isPlain, numberReader, possibleThousands, trimmedCell } from "./number_format.js";
import { WORDS } from "./words.js";

const MISSING_CELLS = new Set(WORDS.missingCells);
const MISSING_MARKS = new Set(WORDS.missingMarks);
const DATE_OR_TIME = new RegExp(`^(?:${WORDS.patterns.dateOrTime})$`, "u");
const PANDAS_INDEX_NAME = new RegExp(`^(?:${WORDS.patterns.pandasIndexName})$`, "iu");
const ROW_NUMBER_NAME = new RegExp(`^(?:${WORDS.patterns.rowNumberName})$`, "u");
const LEADING_ZERO = new RegExp(WORDS.patterns.leadingZero);
const INTEGER = /^-?[0-9]+$/;
const BOOLEANS = { true: 1, True: 1, TRUE: 1, 1: 1, false: 0, False: 0, FALSE: 0, 0: 0 }; // as pyarrow reads them

/** A cell as it is compared: without spaces around it, null if it is missing. */
export function present(cell) {
  const text = cell.trim();
  return MISSING_CELLS.has(text) ? null : trimmedCell(text);
}

/**
 * A column's `values` (NaN where one is missing) and `format`, or why it is left out, or what is wrong with it.
 *
 * A cell such as ? or n.a. among numbers is missing, which is always asked about.
 */
export function readColumn(cells, marks) {
  const words = [...new Set(cells.filter((cell) => cell !== null))];
  if (!words.length) return { left: ["source.reason.empty", {}] };
  if (words.every((word) => Object.hasOwn(BOOLEANS, word)) && words.some((word) => word.length > 1)) {
    return { flags: ["true", "false"], values: cells.map(orMissing((cell) => BOOLEANS[cell])) };
  }
  const format = detectFormat(cells, marks);
  if (format) return { format, values: cells.map(orMissing(numberReader(format))) };
  const flags = detectFlags(words);
  if (flags) return { flags, values: cells.map(orMissing((cell) => (cell.toLowerCase() === flags[0] ? 1 : 0))) };
  return explain(cells, marks);
}

const orMissing = (read) => (cell) => (cell === null ? NaN : read(cell));

/** The two words of a column that holds nothing else. */
function detectFlags(words) {
  const lower = new Set(words.map((word) => word.toLowerCase()));
  return lower.size === 2 ? WORDS.flagWords.find((pair) => pair.every((word) => lower.has(word))) : undefined;
}

/** Why a column is not numeric: more numbers than text mean damage, other text means that it is left out. */
function explain(cells, marks) {
  const signs = { decimal: marks.decimal, currency: detectCurrency(cells), accounting: true, minusBehind: hasMinusBehind(cells) };
  const formats = [false, true].flatMap((percent) => possibleThousands(marks).map((thousands) => ({ ...signs, percent, thousands })));
  const isNumber = (format) => {
    const read = numberReader(format);
    return (cell) => cell !== null && !Number.isNaN(read(cell));
  };
  const counts = formats.map((format) => cells.filter(isNumber(format)).length);
  const format = formats[counts.indexOf(Math.max(...counts))];
  const numbers = hasNumbers(cells) ? Math.max(...counts) : 0;
  const isOdd = (cell) => cell !== null && !(numbers && isNumber(format)(cell));
  const odd = cells.filter(isOdd);
  const row = cells.findIndex(isOdd);
  const total = numbers + odd.length;
  const percents = [true, false].map((percent) => Math.max(...counts.filter((_, i) => formats[i].percent === percent)));
  if (percents.every(Boolean) && percents[0] + percents[1] === total) return { trouble: "source.percent", row };
  if (numbers && new Set(odd).size <= WORDS.maxMarks && odd.every((cell) => MISSING_MARKS.has(cell.toLowerCase()))) {
    const read = numberReader(format);
    return { format, values: cells.map(orMissing(read)) };
  }
  if (numbers > odd.length) return { trouble: odd.length === 1 ? "source.word" : "source.words", row, count: odd.length, total };
  return { left: [DATE_OR_TIME.test(cells[row]) ? "source.reason.date" : "source.reason.text", { example: cells[row] }] };
}

/** Why a numeric column only numbers the rows; null if it does not. */
export function rowNumberReason(name, values) {
  if (PANDAS_INDEX_NAME.test(name)) return ["source.reason.unnamed", {}];
  if (!ROW_NUMBER_NAME.test(name) && !ROW_NUMBER_NAME.test(name.toLowerCase())) return null;
  const counts = values.length > 1 && [0, 1].includes(values[0]) && values.every((value, i) => value === values[0] + i);
  return counts ? ["source.reason.row_number", {}] : null;
}

/** The first cell with leading zeros in a column of whole numbers. */
export const leadingZero = (cells) => (cells.every((cell) => cell === null || INTEGER.test(cell)) ? cells.find((cell) => cell !== null && LEADING_ZERO.test(cell)) : undefined);

/** Whether a column of whole numbers has one that float64 cannot hold. */
export const isRounded = ({ cells, values }) => values.some((value, i) => Math.abs(value) > Number.MAX_SAFE_INTEGER && INTEGER.test(cells[i]) && BigInt(cells[i]) !== BigInt(value));

/** How columns were read that have more than digits and a decimal mark: one notice for all of a kind. */
export function formatNotices(columns) {
  const grouped = new Map();
  for (const column of columns) {
    if (!column.flags && isPlain(column.format)) continue;
    const kind = JSON.stringify(column.flags ?? column.format);
    grouped.set(kind, [...(grouped.get(kind) ?? []), column]);
  }
  return [...grouped.values()].map(([first, ...others]) => {
    const names = [first, ...others].map(({ name }) => `“${name}”`).join(", ");
    if (first.flags) {
      const [one, zero] = [1, 0].map((value) => first.cells[first.values.indexOf(value)] ?? first.flags[1 - value]);
      return ["source.note.flags", { names, one, zero }];
    }
    const plain = numberReader({ ...first.format, thousands: "", currency: "", percent: false, accounting: false });
    const row = first.cells.findIndex((cell) => cell !== null && Number.isNaN(plain(cell)));
    return [first.format.percent ? "source.note.percent" : "source.note.number_format", { names, cell: first.cells[row], number: String(first.values[row]) }];
  });
}
