/** The text of a file: UTF-8, UTF-16 by its mark, or CP949 or CP1252 where that is certain; as data/csv/encoding.py. */
import { WORDS } from "./words.js";

const { westernLetter, westernSign, signWithinWord } = WORDS.patterns;
const HIGH_BYTES = /[\x80-\xff]+/g;
const ASCII = /[\x00-\x7f]/g;
const BYTES_AT_ONCE = 1 << 15; // arguments of a call

/** `{text, encoding}` of a file's bytes, where an encoding that had to be detected has its name; or `{trouble}`. */
export function decodeText(bytes) {
  const [a, b] = bytes;
  if (a === 0xff && b === 0xfe) return { text: decode(bytes, "utf-16le") };
  if (a === 0xfe && b === 0xff) return { text: decode(bytes, "utf-16be") };
  if (bytes.includes(0)) return { trouble: "source.binary" };
  const text = decode(bytes, "utf-8");
  if (text !== null) return { text };
  if (isKorean(bytes)) return { text: decode(bytes, "euc-kr"), encoding: "CP949" };
  return isWestern(bytes) ? { text: decode(bytes, "windows-1252"), encoding: "CP1252" } : { trouble: "source.encoding" };
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

/** Whether most characters are Hangul of EUC-KR: its extension CP949 has any letter as a second byte. */
function isKorean(bytes) {
  const text = decode(bytes, "euc-kr");
  if (text === null) return false;
  const pairs = latin(bytes).match(/[\x80-\xff][^]/g); // characters of two bytes
  const common = text.replace(ASCII, "").split("").filter((each, i) => /[가-힣]/.test(each) && [0, 1].every((j) => pairs[i].charCodeAt(j) >= WORDS.eucKrByte));
  return common.length >= WORDS.minHangulShare * pairs.length;
}

/** Whether all signs and letters are common in Western texts: one or two with an accent at a time, among others. */
function isWestern(bytes) {
  const text = decode(bytes, "windows-1252");
  if (text === null || latin(bytes).match(HIGH_BYTES).some((run) => run.length > WORDS.maxWesternRun)) return false;
  const known = new RegExp(`${westernLetter}|${westernSign}`, "gu");
  return !new RegExp(signWithinWord, "u").test(text) && text.replace(known, "").replace(ASCII, "") === "";
}
