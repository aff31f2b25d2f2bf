/** Where the rows end: above totals, notes and empty rows; as data/csv/layout/footer.py. */
import { isNumberLike } from "./number_format.js";
import { filled } from "./sample_rows.js";
import { WORDS } from "./words.js";

const TOTAL_WORDS = new Set(WORDS.totalWords);
const SENTENCE_OR_RULE = new RegExp(WORDS.patterns.sentenceOrRule, "u");
const MISSING = new Set([...WORDS.missingCells, ...WORDS.missingMarks]);

const TOTAL_LABEL = new RegExp(WORDS.patterns.totalLabel, "u");

/** Whether a cell may be the label of a row that sums up others. */
export const mayBeTotal = (cell) => TOTAL_WORDS.has(cell.toLowerCase()) || TOTAL_LABEL.test(cell.toLowerCase());

/** How many of the last rows are not rows, and notices; 0 if all would be left out. */
export function findFooter(rows, columns, delimiter) {
  let count = 0;
  let isTotal = false;
  while (count < rows.length) {
    const row = rows[rows.length - 1 - count];
    const texts = filled(row);
    const sumsUp = isTotalRow(texts, columns) && isSumOrMean(row.cells, rows.slice(0, rows.length - 1 - count));
    if (row.last > row.line || (texts.length ? !sumsUp && !isNote(row, texts, columns, delimiter) : columns === 1)) break;
    isTotal ||= sumsUp;
    count += 1;
  }
  const found = rows.slice(rows.length - count);
  const first = found.find((row) => filled(row).length);
  if (count === rows.length) return { count: 0, notices: [] };
  const notices = first ? [[isTotal && count === 1 ? "source.note.total" : "source.note.footer", { line: first.line, first: filled(first).join(" ") }]] : [];
  const empty = found.filter((row) => !filled(row).length).length;
  if (empty) notices.push(["source.note.empty_rows", { count: empty }]);
  return { count, notices };
}

/** Whether the cells are those of a row that sums up others. */
function isTotalRow(texts, columns) {
  return columns > 1 && texts.length > 1 && isTotalWord(texts[0]);
}

const isTotalWord = (cell) => TOTAL_WORDS.has(stripped(cell.trim().toLowerCase()));

/** Whether at least half of the numbers of a row are the sums or the means of the other rows; as data/csv/layout/totals.py. */
function isSumOrMean(total, rows) {
  const others = rows.filter(({ cells }) => !isTotalWord(cells[0]));
  return [".", ","].some((decimal) => {
    const given = total.map((cell) => readNumber(cell, decimal));
    const found = given.filter((number, j) => {
      const values = others.map(({ cells }) => readNumber(cells[j] ?? "", decimal)).filter((value) => !Number.isNaN(value));
      const sum = values.reduce((all, value) => all + value, 0);
      return [sum, sum / Math.max(values.length, 1)].some((expected) => isClose(number, expected));
    });
    return 2 * found.length >= given.filter((number) => !Number.isNaN(number)).length;
  });
}

const isClose = (number, expected) => Math.abs(number - expected) <= WORDS.totalTolerance * Math.abs(expected) || number === Math.trunc(expected) || number === Math.round(expected);

/** The number in a cell without its signs; NaN where there is none. */
function readNumber(cell, decimal) {
  const text = cell.replace(/[^0-9.,eE+-]/g, "").replaceAll(decimal === "." ? "," : ".", "").replace(decimal, ".").replace(/-+$/, "");
  return text ? Number(text) : NaN;
}

function stripped(text) {
  const letters = [...text];
  const isInner = (letter) => !WORDS.labelMarks.includes(letter);
  return letters.slice(letters.findIndex(isInner), letters.findLastIndex(isInner) + 1).join("");
}

/** Whether a line is a sentence and not a row: narrower than a row, and no missing value. */
function isNote(row, texts, columns, delimiter) {
  const text = texts.join(" ");
  if (text === WORDS.endOfFile) return true;
  if (row.cells.length >= columns || texts.some(isNumberLike)) return false;
  return (row.cells.length === 1 || delimiter === " ") && !MISSING.has(text) && !MISSING.has(text.toLowerCase()) && SENTENCE_OR_RULE.test(text);
}
