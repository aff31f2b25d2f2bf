/** Where the names are: below a title, in a comment, above a row of units, or nowhere; as data/csv/layout/header.py. */
import { isNumberLike } from "./number_format.js";
import { bodyLength, filled, mostCommon, sampled, width } from "./sample_rows.js";
import { WORDS } from "./words.js";

const whole = (pattern) => new RegExp(`^(?:${pattern})$`, "u");
const UNIT = whole(WORDS.patterns.unit);
const BRACKETED = whole(WORDS.patterns.bracketed);
const KNOWN_UNITS = new Set(WORDS.knownUnits);
const INVISIBLE = new RegExp(WORDS.patterns.invisible, "gu");
const QUOTED = whole(WORDS.patterns.quoted);
const SHOWN_UNITS = 4;

/**
 * The names, the number of lines above the first row, and notices.
 *
 * @param comments the comments above the first row: `{line, cells}`.
 * @param header whether the first line has names; undefined decides, and where that is not certain, `question` is the row.
 */
export function findHeader(rows, comments, delimiter, header) {
  const found = sampled(rows);
  const first = countTitleRows(found, delimiter, header);
  const notices = first ? [["source.note.title", { line: found[0].line, example: filled(found[0]).join(" ") }]] : [];
  const [row, body] = [found[first], found.slice(first + 1)];
  const length = bodyLength(found.slice(first));
  if (header === false) return { names: defaultNames(length), lines: row.line - 1, notices };
  if (header === undefined && !mayBeNames(row.cells)) {
    const names = namesInComments(comments, length);
    if (names) return { names: names.cells, lines: row.line - 1, notices: [["source.note.names_in_comment", { line: names.line }]] };
    if (!isLikeRows(row, body)) return { question: row };
    return { names: defaultNames(length), lines: row.line - 1, notices: [...notices, ["source.note.no_names", {}]] };
  }
  const names = completeNames(row, body, delimiter);
  if (!body.length || !isUnitsRow(row.cells, body)) return { names, lines: row.last, notices };
  const units = filled(body[0]).slice(0, SHOWN_UNITS).join(", ");
  return { names, lines: body[0].last, notices: [...notices, ["source.note.units", { line: body[0].line, units }]] };
}

const defaultNames = (length) => Array.from({ length }, (_, j) => (j === length - 1 ? "y" : length === 2 ? "x" : `x${j + 1}`));

/** How many of the first rows are a title: text, and narrower than the rows below; 0 if that is not certain. */
function countTitleRows(rows, delimiter, header) {
  const most = mostCommon((rows.length > 1 ? rows.slice(1) : rows).map(width));
  const count = Math.max(rows.findIndex((row, i) => width(row) >= most || lacksRowName(row, rows.slice(i + 1), delimiter)), 0);
  const titles = rows.slice(0, count);
  if (titles.some((row) => isNumberLike(filled(row)[0]))) return 0;
  if (titles.every((row) => filled(row).length === 1)) return header !== undefined || mayBeNames(rows[count].cells) ? count : 0;
  const isApart = rows[count].line > titles.at(-1).last + 1;
  const isNarrow = titles.every((row) => 2 * filled(row).length <= most);
  return (isApart || isNarrow) && mayBeNames(rows[count].cells) ? count : 0;
}

/** Whether none of the cells is a number, except years, and the numbers from 0 on that pandas writes. */
function mayBeNames(cells) {
  const numbers = cells.filter(isNumberLike).map((cell) => cell.trim());
  if (!numbers.length) return true;
  if (!cells[0].trim() && numbers.length === cells.length - 1 && numbers.every((cell, j) => cell === String(j))) return true;
  const years = numbers.filter((cell) => /^[0-9]{4}$/.test(cell)).map(Number);
  const rises = years.every((year, i) => i === 0 || year > years[i - 1]);
  const falls = years.every((year, i) => i === 0 || year < years[i - 1]);
  return years.length === numbers.length && years.length > 1 && numbers.length < cells.length && (rises || falls) && years.every((year) => year >= WORDS.earliestYear && year <= WORDS.latestYear);
}

/** Whether the first row has numbers and text in the same places as the rows below, so that it is one of them. */
function isLikeRows(row, body) {
  return row.cells.every((cell, j) => {
    const column = body.map((each) => (each.cells[j] ?? "").trim()).filter((each) => each !== "");
    const numbers = column.filter(isNumberLike).length;
    return cell.trim() === "" || !column.length || (isNumberLike(cell) ? 2 * numbers >= column.length : 2 * numbers < column.length);
  });
}

/** The comment that has a name for every cell; the one before it if it has units. */
function namesInComments(comments, length) {
  const found = comments.filter(({ cells }) => cells.length === length && mayBeNames(cells));
  const hasUnits = found.length > 1 && found.at(-1).cells.some((cell) => KNOWN_UNITS.has(cell.toLowerCase()));
  return found.at(hasUnits ? -2 : -1);
}

/** Whether this is the header of R's `write.table`, which has no name for the names of the rows. */
function lacksRowName(row, body, delimiter) {
  if (!body.length || body.some(({ cells }) => cells.length !== row.cells.length + 1 || !cells[0].trim())) return false;
  if (!mayBeNames(row.cells) || row.cells.some((cell) => !cell.trim())) return false;
  const labels = body.map(({ cells }) => cells[0].trim());
  if (!labels.some(isNumberLike)) return body.some(({ cells }) => cells.slice(1).some(isNumberLike));
  if (delimiter === "," && !body.every((each) => each.beginsWithQuote)) return false; // 1,5 may be one number
  return [0, 1].some((start) => labels.every((label, i) => label === String(i + start)));
}

/** A name without spaces and quotes around it, and without letters that have no width. */
function cleanName(cell) {
  const name = cell.replace(INVISIBLE, "").trim();
  return QUOTED.test(name) ? name.slice(1, -1).trim() : name;
}

/** The names, empty ones for the names of rows and for cells after a delimiter at the end of rows. */
function completeNames(row, body, delimiter) {
  const cells = row.cells.map(cleanName);
  if (!body.length) return cells;
  if (lacksRowName(row, body, delimiter)) cells.unshift("");
  const length = bodyLength([row, ...body]);
  const isTrailing = body.every((each) => each.cells.slice(cells.length).every((cell) => !cell.trim()));
  while (isTrailing && cells.length < length) cells.push("");
  while (cells.length > length && cells.at(-1) === "") cells.pop();
  return cells;
}

/** Whether the first row has the units of the numbers below it. */
function isUnitsRow(names, body) {
  const units = body[0].cells.map((cell) => cell.trim());
  const rows = body.slice(1, WORDS.unitRows + 1);
  if (!rows.length || units.length !== names.length || units.some(isNumberLike)) return false;
  const isKnown = (unit) => KNOWN_UNITS.has(unit.toLowerCase());
  const isUnit = (unit, j) => {
    if (WORDS.noUnit.includes(unit) || BRACKETED.test(unit)) return true;
    const column = rows.map((row) => (row.cells[j] ?? "").trim()).filter((cell) => cell !== "");
    return column.length > 0 && column.every(isNumberLike) && (isKnown(unit) || UNIT.test(unit));
  };
  return units.every(isUnit) && units.some((unit) => !WORDS.noUnit.includes(unit) && (BRACKETED.test(unit) || isKnown(unit)));
}
