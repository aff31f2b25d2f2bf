/** What is no table at all, the line `sep=;`, and comments; as data/csv/layout/dialect.py. */
import { isNumberLike } from "./number_format.js";
import { bodyLength, detectDelimiter, readRows, sampled } from "./sample_rows.js";
import { WORDS } from "./words.js";

const DELIMITER_LINE = new RegExp(`^(?:${WORDS.patterns.delimiterLine})$`, "iu");
const IMAGE = /^data:image\/\S+$/i;
const ADDRESS = /^(?:[a-z][a-z0-9+.-]*:\/\/|www\.)\S+$|^[^,;|\t\n]+\.(?:csv|tsv|txt|dat|xlsx?|json|parquet|feather)$/i;
const JSON_START = new RegExp(`^(?:${WORDS.patterns.jsonStart})`, "i");

/** The message about text that is no table; null if it may be one. */
export function notTableReason(text) {
  const trimmed = text.trim();
  if (IMAGE.test(trimmed)) return "source.image";
  if (ADDRESS.test(trimmed)) return "source.link";
  if (WORDS.htmlStarts.some((start) => trimmed.toLowerCase().startsWith(start))) return "source.markup";
  return JSON_START.test(trimmed) ? "source.json" : null;
}

/** The text without `sep=;` in its first line, and the delimiter that this states. */
export function takeDelimiterLine(text) {
  const [first] = text.split("\n", 1);
  const stated = DELIMITER_LINE.exec(first)?.[1];
  return { text: stated ? text.slice(first.length) : text, stated };
}

/**
 * The text with comments emptied, the comments with their lines and without their mark, and the mark.
 *
 * A line that begins with a mark is certainly a comment if it is above the first row, or has another number of cells
 * than the rows, or if all rows begin with a number.
 */
export function separateComments(text, stated, given) {
  const lines = text.split("\n");
  const begins = (mark) => (line) => line.trimStart().startsWith(mark);
  const mark = given ?? WORDS.commentMarks.find((each) => lines.some(begins(each)));
  let isComment = lines.map((line) => mark !== undefined && begins(mark)(line));
  const firstRow = lines.findIndex((line, i) => line.trim() && !isComment[i]);
  if (firstRow < 0 || !isComment.includes(true)) return { text, comments: [], mark };
  const empty = () => lines.map((line, i) => (isComment[i] ? "" : line)).join("\n");
  if (!given && isComment.lastIndexOf(true) > firstRow && !areComments(empty(), lines.filter((_, i) => isComment[i] && i > firstRow), mark, stated)) {
    isComment = isComment.map((is, i) => is && i < firstRow);
  }
  const comments = lines.map((line, i) => ({ line: i + 1, text: line.trimStart().slice(mark?.length) })).filter((_, i) => isComment[i]);
  return { text: empty(), comments, mark };
}

function areComments(rest, marked, mark, stated) {
  const delimiter = stated ?? detectDelimiter(rest);
  const rows = sampled(readRows(rest, delimiter));
  if (rows.length > 1 && rows.slice(1).every(({ cells }) => isNumberLike(cells[0]))) return true;
  const length = bodyLength(rows);
  return marked.every((line) => splitComment(line.trimStart(), delimiter).length !== length);
}

/** The cells of a comment; a mark that is a name, or begins one such as `# of rooms`, stays. */
export function splitComment(text, delimiter, mark = "") {
  const cells = (readRows(text, delimiter)[0]?.cells ?? []).map((cell) => cell.trim());
  if (delimiter !== " " && cells.length && (cells[0] === "" || cells[0].startsWith("of "))) cells[0] = `${mark} ${cells[0]}`.trim();
  return cells;
}
