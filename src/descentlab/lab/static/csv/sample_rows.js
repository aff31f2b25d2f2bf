/** The rows of a text, as a delimiter divides them, and the delimiter that divides them best; as data/csv/layout/sample_rows.py. */
import { isNumberLike } from "./number_format.js";
import { WORDS } from "./words.js";

const OUTER_BLANKS = /^[ \t]+|(?<![ \t])[ \t]+$/gm;
const QUOTED_OR_BLANKS = /(?<=[ \t\n]|^)"(?:[^"\n]|"")*"(?=[ \t\n]|$)|[ \t]+/g;

/** The rows of a text with the lines on which they begin and end; blank lines are none. */
export function readRows(text, delimiter) {
  if (delimiter === " ") return readRows(delimitBlanks(text), "\t");
  const cell = new RegExp(`"([^"]*(?:""[^"]*)*)(?:"|$)([^${delimiter}\n]*)|[^${delimiter}\n]*`, "y");
  const rows = [];
  const begin = (at, line) => ({ cells: [], line, beginsWithQuote: text[at] === '"' });
  let row = begin(0, 1);
  for (let [at, line] = [0, 1]; at <= text.length; ) {
    cell.lastIndex = at;
    const [found, quoted, rest] = cell.exec(text);
    row.cells.push(quoted === undefined ? found : quoted.replaceAll('""', '"') + rest);
    if (quoted !== undefined) {
      row.quoted = true;
      row.open ||= text[at + quoted.length + 1] !== '"';
      line += quoted.split("\n").length - 1;
    }
    at = cell.lastIndex + 1;
    if (text[at - 1] === delimiter) continue;
    row.last = line;
    if (row.quoted || row.cells.length > 1 || row.cells[0].trim()) rows.push(row);
    line += 1;
    row = begin(at, line);
  }
  return rows;
}

/** The text with one tab for each run of blanks, but not within quotes. */
function delimitBlanks(text) {
  return text.replace(OUTER_BLANKS, "").replace(QUOTED_OR_BLANKS, (found) => (found[0] === '"' ? found : "\t"));
}

/** The cells of a row that are not empty. */
export const filled = (row) => row.cells.map((cell) => cell.trim()).filter((cell) => cell !== "");

/** The number of cells up to the last one that is not empty. */
export const width = (row) => row.cells.findLastIndex((cell) => cell.trim() !== "") + 1;

/** The first rows that are not empty. */
export const sampled = (rows) => rows.filter((row) => filled(row).length).slice(0, WORDS.sampleRows);

/** The most common of the values; the largest of them if there are several. */
export function mostCommon(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, each) => (each[1] > best[1] || (each[1] === best[1] && each[0] > best[0]) ? each : best))[0];
}

/** The delimiter that divides the rows most evenly, then into the most numbers, then into the most cells. */
export function detectDelimiter(text, decimal) {
  const found = WORDS.delimiterCandidates.filter((each) => text.includes(each) || (each === " " && text.includes("\t")));
  const wide = found.map((delimiter) => ({ delimiter, rows: sampled(readRows(text, delimiter)) })).filter(({ rows }) => rows.length && bodyLength(rows) > 1);
  const marked = wide.filter(({ delimiter, rows }) => !(delimiter === "," && decimal === "," && evenShare(rows) < 1));
  const divisions = marked.filter(({ delimiter, rows }) => delimiter !== " " || areColumns(rows, marked.length > 1 ? WORDS.minEvenShare : 0));
  const scores = new Map(divisions.map(({ delimiter, rows }) => [delimiter, [evenShare(rows), numbersShare(rows), delimiter === " " ? 0 : 1, bodyLength(rows)]]));
  const isBetter = (a, b) => a.map((value, i) => value - b[i]).find((gap) => gap !== 0) > 0;
  return [...scores.keys()].reduce((best, each) => (best === null || isBetter(scores.get(each), scores.get(best)) ? each : best), null) ?? (decimal === "," ? ";" : ",");
}

/** The most common number of cells below the first row, which may be a title. */
export const bodyLength = (rows) => mostCommon(body(rows).map(({ cells }) => cells.length));

const body = (rows) => (rows.length > 1 ? rows.slice(1) : rows);

function evenShare(rows, length = bodyLength(rows)) {
  return rows.filter(({ cells }) => cells.length === length).length / rows.length;
}

/** The share of numbers and missing values in the first rows. */
function numbersShare(rows) {
  const cells = body(rows).slice(0, WORDS.scoredRows).flatMap(filled);
  return cells.filter((cell) => isNumberLike(cell) || WORDS.missingCells.includes(cell)).length / Math.max(cells.length, 1);
}

/** Whether spaces divide cells, and not words: evenly, and into numbers. */
function areColumns(rows, minEvenShare) {
  const hasRowNames = rows[0].cells.length === bodyLength(rows) - 1; // which have no name
  return evenShare(hasRowNames ? rows.slice(1) : rows) >= minEvenShare && numbersShare(rows) >= WORDS.minNumbersShare;
}

/** Whether a line of a cell has as many cells as a row, and at least half of them are numbers. */
export function holdsRow(cell, delimiter, columns) {
  return cell.split("\n").some((line) => {
    const cells = line.split(delimiter);
    return cells.length === columns && 2 * cells.filter(isNumberLike).length >= columns;
  });
}
