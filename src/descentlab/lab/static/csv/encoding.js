/** The text of a file: UTF-8, UTF-16 by its mark, or CP949 or CP1252 where that is certain; as data/csv/encoding.py. */
import { WORDS } from "./words.js";

const { westernLetter, westernSign, signWithinWord } = WORDS.patterns;
const HIGH_BYTES = /[\x80-\xff]+/g;
const HANGUL = /[가-힣]/g;
const MIN_SHARE = 0.9; // of the runs and characters that look Korean
const BYTES_AT_ONCE = 1 << 15; // arguments of a call

/** `{text, encoding}` of a file's bytes, where an encoding that had to be detected has its name; or `{trouble}`. */
export function decodeText(bytes) {
  const [a, b] = bytes;
  if (a === 0xff && b === 0xfe) return { text: decode(bytes, "utf-16le") };
  if (a === 0xfe && b === 0xff) return { text: decode(bytes, "utf-16be") };
  if (bytes.includes(0)) return { trouble: "source.binary" };
  const text = decode(bytes, "utf-8");
  if (text !== null) return { text };
  const runs = latin(bytes).match(HIGH_BYTES);
  if (isKorean(bytes, runs)) return { text: decode(bytes, "euc-kr"), encoding: "CP949" };
  return isWestern(bytes, runs) ? { text: decode(bytes, "windows-1252"), encoding: "CP1252" } : { trouble: "source.encoding" };
}

/** The text of bytes; null if they are not in this encoding. */
function decode(bytes, encoding) {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A character for each byte. */
function latin(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += BYTES_AT_ONCE) text += String.fromCharCode(...bytes.subarray(at, at + BYTES_AT_ONCE));
  return text;
}

function isKorean(bytes, runs) {
  const pairs = runs.filter((run) => run.length % 2 === 0);
  if (pairs.length < MIN_SHARE * runs.length) return false; // single bytes are signs such as °, and letters with an accent
  const text = decode(Uint8Array.from(pairs.join(""), (each) => each.charCodeAt(0)), "euc-kr");
  return text !== null && (text.match(HANGUL)?.length ?? 0) >= MIN_SHARE * text.length && decode(bytes, "euc-kr") !== null;
}

function isWestern(bytes, runs) {
  const text = decode(bytes, "windows-1252");
  if (text === null || runs.some((run) => run.length > WORDS.maxWesternRun) || new RegExp(signWithinWord, "u").test(text)) return false;
  const known = new RegExp(`${westernLetter}|${westernSign}`, "gu");
  return text.replace(known, "").search(/[^\x00-\x7f]/) < 0;
}
