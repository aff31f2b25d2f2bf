/**
 * Pasted text as columns of numbers, by the rules of descentlab.data.csv: what is certain is read, and said in a note;
 * what is not is a question or an error about a cell and its line. Nothing is dropped in silence.
 */
import { formatNotices, isRounded, leadingZero, present, readColumn, rowNumberReason } from "./csv/columns.js";
import { findFooter, mayBeTotal } from "./csv/footer.js";
import { findHeader } from "./csv/header.js";
import { chooseMarks, gatherEvidence, marksFromOptions, readBothWays } from "./csv/number_format.js";
import { notTableReason, separateComments, splitComment, takeDelimiterLine } from "./csv/preamble.js";
import { detectDelimiter, filled, holdsRow, readRows, sampled } from "./csv/sample_rows.js";
import { WORDS } from "./csv/words.js";

const LARGEST_NUMBER = 1e100; // squares of larger ones soon leave float64
const MOST_COLUMNS = 100; // as MAX_LAB_COLUMNS in spec.py

/** Why a text cannot be read, as a message, and the options by which a person can answer. */
class Refusal {
  constructor(trouble, values = {}, answers = [], left = []) {
    Object.assign(this, { trouble, values, answers, left });
  }
}

/**
 * The columns of numbers in a text.
 *
 * @param options what a person has answered: `decimal`, `thousands`, `header`, `comment`; columns to `drop` and to
 *   `keep`; `missing: "drop"` for rows without a value.
 * @returns `{columns, rows, notices, left}`, where a notice is a message and its values, and `left` has the name of each
 *   column that was left out and why; or `{trouble, values, answers, left}`, where an answer has a message or a label,
 *   and the options that it adds.
 */
export function parseCsv(text, options = {}) {
  try {
    const table = readTable(text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n"), options);
    return readNumbers(table, options);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    return { ...refusal };
  }
}

/** The names, the rows below them with their lines, and notices. */
function readTable(text, options) {
  if (!text.trim()) throw new Refusal("source.few");
  const reason = notTableReason(text);
  if (reason) throw new Refusal(reason);
  const { text: below, stated } = takeDelimiterLine(text);
  const { text: uncommented, comments, mark } = separateComments(below, stated, options.comment);
  const delimiter = stated ?? detectDelimiter(uncommented, options.decimal);
  const rows = readRows(uncommented, delimiter);
  const open = rows.find((row) => row.open);
  if (open) throw new Refusal("source.quote", { line: open.line });
  const [first, second] = sampled(rows);
  const top = comments.filter(({ line }) => line < first?.line).map((each) => ({ ...each, cells: splitComment(each.text, delimiter, mark) }));
  if (!second && !top.length) throw new Refusal("source.few");
  const header = findHeader(rows, top, delimiter, options.header);
  if (header.question) throw headerQuestion(header.question);
  const body = rows.filter(({ line }) => line > header.lines);
  const footer = findFooter(body, header.names.length, delimiter);
  const table = { names: header.names, rows: body.slice(0, body.length - footer.count), delimiter };
  checkRows(table);
  const others = comments.filter(({ line }) => !header.notices.some(([key, values]) => key === "source.note.names_in_comment" && values.line === line));
  const skipped = others.length ? [["source.note.comments", { mark, line: others[0].line }]] : [];
  return { ...table, notices: [...header.notices, ...skipped, ...footer.notices] };
}

function headerQuestion(row) {
  const answers = [true, false].map((header) => ({ key: header ? "source.answer.names" : "source.answer.row", options: { header } }));
  return new Refusal("source.names_or_row", { line: row.line, cells: filled(row).join(", ") }, answers);
}

/** Refuse a table without rows, with a row of another length, or with names that occur twice. */
function checkRows({ names, rows, delimiter }) {
  if (!rows.length) throw new Refusal("source.few");
  const quoted = rows.find(({ cells }) => names.length > 1 && cells.some((cell) => cell.includes("\n") && holdsRow(cell, delimiter, names.length)));
  if (quoted) throw new Refusal("source.quote", { line: quoted.line });
  const ragged = rows.find(({ cells }) => cells.length !== names.length);
  if (ragged) {
    const comment = WORDS.commentLike.find((mark) => ragged.cells[0].trimStart().startsWith(mark));
    const answers = comment ? [{ key: "source.answer.comment", values: { mark: comment }, options: { comment } }] : [];
    throw new Refusal("source.ragged", { line: ragged.line, cells: ragged.cells.length, columns: names.length }, answers);
  }
  const again = rows.find(({ cells }) => cells.every((cell, j) => cell.trim() === names[j]));
  if (again) throw new Refusal("source.names_again", { line: again.line });
  const seen = new Set();
  const twice = names.find((name) => name && (seen.has(name) || !seen.add(name)));
  if (twice !== undefined) throw new Refusal("source.twice", { name: twice });
}

/** The columns that are numbers, and why each other is left out. */
function readNumbers({ names, rows, delimiter, notices }, options) {
  const columns = names.map((name, j) => ({ name: name || `(unnamed ${j + 1})`, cells: rows.map((row) => present(row.cells[j])), raw: (i) => rows[i].cells[j].trim() }));
  const used = columns.filter(({ name }) => !options.drop?.includes(name));
  const marks = marksFromOptions(options) ?? decideMarks(used, rows, delimiter);
  const left = columns.filter((each) => !used.includes(each)).map(({ name }) => ({ name, reason: ["source.reason.dropped", {}] }));
  const numeric = [];
  for (const column of used) {
    Object.assign(column, readColumn(column.cells, marks));
    if (column.trouble) throw damaged(column, rows);
    const reason = column.left ?? (options.keep?.includes(column.name) ? null : rowNumberReason(column.name, column.values));
    if (reason) left.push({ name: column.name, reason });
    else numeric.push(column);
  }
  checkNumbers(numeric, left, rows, columns);
  const complete = rows.map((_, i) => numeric.every(({ values }) => !Number.isNaN(values[i])));
  const missing = complete.filter((is) => !is).length;
  if (missing && options.missing !== "drop") throw missingQuestion(numeric, rows, complete);
  const rounded = numeric.filter(isRounded).map(({ name }) => `“${name}”`);
  const zeros = numeric.map(({ name, cells }) => ({ name, cell: leadingZero(cells) })).filter(({ cell }) => cell !== undefined);
  return {
    columns: numeric.map(({ name }) => name),
    rows: rows.map((_, i) => numeric.map(({ values }) => values[i])).filter((_, i) => complete[i]),
    left,
    notices: [
      ...notices,
      ...(marks.decimal === "," ? [["source.note.decimal_comma", {}]] : []),
      ...formatNotices(numeric),
      ...zeros.map(({ name, cell }) => ["source.note.leading_zeros", { name, cell, number: String(Number(cell)) }]),
      ...(rounded.length ? [["source.note.rounded", { names: rounded.join(", ") }]] : []),
      ...totalNotice(used, rows),
      ...(missing ? [["source.note.rows_left_out", { count: missing, total: rows.length }]] : []),
    ],
  };
}

/** A notice about the first row with the word of a total that was read as the others. */
function totalNotice(columns, rows) {
  for (const { name, cells } of columns) {
    const row = cells.findIndex((cell) => cell !== null && mayBeTotal(cell));
    if (row >= 0) return [["source.note.total_read", { line: rows[row].line, name, cell: cells[row] }]];
  }
  return [];
}

/** The decimal mark of all numbers, or a question about a cell that can be read in two ways. */
function decideMarks(columns, rows, delimiter) {
  const evidence = gatherEvidence(columns.map(({ cells }) => cells));
  const marks = chooseMarks(evidence, delimiter);
  if (marks) return marks;
  const { point, comma, twoReadings, besideWhole } = evidence;
  const place = ({ column, row }) => ({ line: rows[row].line, name: columns[column].name, cell: columns[column].raw(row) });
  if (point && comma) {
    const [a, b] = [place(point), place(comma)];
    throw new Refusal("source.two_marks", { point: a.cell, point_line: a.line, point_name: a.name, comma: b.cell, comma_line: b.line, comma_name: b.name });
  }
  const { mark, whole, fraction } = readBothWays((besideWhole ?? twoReadings).cell);
  const answers = [
    { label: whole, options: { thousands: mark } },
    { label: fraction, options: { decimal: mark } },
  ];
  throw new Refusal("source.two_readings", place(besideWhole ?? twoReadings), answers);
}

/** The error for a column in which some cells are numbers. */
function damaged({ name, trouble, row, count, total, raw }, rows) {
  return new Refusal(trouble, { name, line: rows[row].line, cell: raw(row), count, total }, [dropAnswer(name)]);
}

const dropAnswer = (name) => ({ key: "source.answer.column", values: { name }, options: { drop: [name] } });

/** Refuse numbers that are too large, too many columns, and fewer than two. */
function checkNumbers(numeric, left, rows, columns) {
  for (const { name, values, raw } of numeric) {
    const row = values.findIndex((value) => Math.abs(value) > LARGEST_NUMBER);
    if (row >= 0) throw new Refusal("source.huge", { name, line: rows[row].line, cell: raw(row) }, [dropAnswer(name)]);
  }
  if (numeric.length > MOST_COLUMNS) throw new Refusal("source.many_columns", { count: numeric.length, most: MOST_COLUMNS });
  if (numeric.length > 1) return;
  const kept = left.filter(({ reason }) => ["source.reason.row_number", "source.reason.unnamed"].includes(reason[0]));
  const answers = kept.map(({ name }) => ({ key: "source.answer.keep", values: { name }, options: { keep: [name] } }));
  throw new Refusal("source.no_numbers", { columns: columns.map(({ name }) => name).join(", ") }, answers, left);
}

/** What to do with rows without a value: leave them out, or the first column that lacks one. */
function missingQuestion(numeric, rows, complete) {
  const row = complete.indexOf(false);
  const { name, raw } = numeric.find(({ values }) => Number.isNaN(values[row]));
  const count = complete.filter((is) => !is).length;
  const answers = count < rows.length ? [{ key: "source.answer.rows", values: { count }, options: { missing: "drop" } }] : [];
  return new Refusal(raw(row) ? "source.missing_mark" : "source.missing", { line: rows[row].line, name, cell: raw(row), count, total: rows.length }, [...answers, dropAnswer(name)]);
}
