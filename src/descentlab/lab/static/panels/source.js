/** Where the data comes from: the built-in sets, a pasted or opened CSV; which column is the target. */
import { html } from "../dom.js";

const LARGEST_NUMBER = 1e100; // squares of larger ones soon leave float64
const LARGEST = 2_000_000; // letters of a CSV that a page without a server reads by itself

/** Rows and names out of the text of a CSV; numbers only, the first line may hold names. */
export function parseCsv(text) {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  if (lines.length < 2) return { trouble: "source.few" };
  const bare = lines[0].replace(/"[^"]*"/g, "");
  const separator = ["\t", ";", ","].reduce((best, each) => (bare.split(each).length > bare.split(best).length ? each : best), ",");
  const cells = (line) => split(line, separator);
  const read = (cell) => (cell === "" ? NaN : Number(separator === ";" ? cell.replace(",", ".") : cell));
  const head = cells(lines[0]);
  const named = head.some((cell) => Number.isNaN(read(cell)));
  const body = (named ? lines.slice(1) : lines).map(cells);
  const ragged = body.findIndex((row) => row.length !== head.length);
  if (ragged >= 0) return { trouble: "source.ragged", values: { line: ragged + (named ? 2 : 1), cells: body[ragged].length, columns: head.length } };
  const names = named ? head.map((name, j) => name || `column ${j + 1}`) : head.map((_, j) => (j === head.length - 1 ? "y" : head.length === 2 ? "x" : `x${j + 1}`));
  const twice = names.find((name, j) => names.indexOf(name) < j);
  if (twice !== undefined) return { trouble: "source.twice", values: { name: twice } };
  const table = body.map((row) => row.map(read));
  if (table.some((row) => row.some((value) => Math.abs(value) > LARGEST_NUMBER))) return { trouble: "source.huge" };
  const numeric = names.map((_, j) => j).filter((j) => table.every((row) => Number.isFinite(row[j])));
  if (numeric.length < 2) return { trouble: "source.no_numbers", values: { columns: names.join(", ") } };
  const left = names.filter((_, j) => !numeric.includes(j));
  return { columns: numeric.map((j) => names[j]), rows: table.map((row) => numeric.map((j) => row[j])), left };
}

/** The cells of a line; a separator within quotes is part of its cell. */
function split(line, separator) {
  const found = [""];
  let quoted = false;
  for (const letter of line) {
    if (letter === '"') quoted = !quoted;
    if (letter === separator && !quoted) found.push("");
    else found[found.length - 1] += letter;
  }
  return found.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1").replace(/""/g, '"'));
}

/** A file's text: UTF-8, UTF-16 by its mark, or the Korean encoding of Windows; null where it is none of them. */
export function decoded(buffer) {
  const [a, b] = new Uint8Array(buffer);
  const marked = a === 0xff && b === 0xfe ? ["utf-16le"] : a === 0xfe && b === 0xff ? ["utf-16be"] : [];
  for (const encoding of [...marked, "utf-8", "euc-kr"]) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(buffer);
    } catch {
      // The next one may fit.
    }
  }
  return null;
}

export function sourceControl(app) {
  const sets = html("select", { "aria-label": app.t("source.title"), onchange: () => app.load(sets.value) });
  const paste = html("textarea", { rows: 5, "aria-label": app.t("source.paste"), placeholder: "x,y\n1,1\n2,2\n3,3", spellcheck: "false" });
  const file = html("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", "aria-label": app.t("source.open") });
  const target = html("select", { "aria-label": app.t("source.target") });
  const features = html("div", { class: "row wrap features", role: "group", "aria-label": app.t("source.features") });
  const told = html("p", { class: "soft", role: "status" });
  const use = html("button", { type: "button", text: app.t("source.use"), onclick: () => read(paste.value, app.t("source.pasted")) });
  const box = html("details", { class: "source" }, html("summary", { text: app.t("source.own") }), html("p", { class: "soft", text: app.t("source.hint") }), paste, html("div", { class: "row wrap" }, use, html("label", { class: "row" }, html("span", { text: app.t("source.open") }), file)), told);
  const columns = html("div", { class: "row wrap columns" }, html("label", { class: "row" }, html("span", { text: app.t("source.target") }), target), html("span", { text: app.t("source.features") }), features);
  const node = html("div", { class: "control data" }, html("div", { class: "row wrap" }, html("label", { class: "row" }, html("span", { class: "name", text: app.t("source.title") }), sets), columns), box);

  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    if (app.upload && chosen.size > LARGEST) return sent(chosen);
    if (chosen.size > LARGEST) return say("source.too_large", { most: LARGEST / 1e6 });
    const text = decoded(await chosen.arrayBuffer());
    if (text === null) return say("source.encoding");
    read(text, chosen.name);
  });

  const say = (key, values) => (told.textContent = app.t(key, values));

  async function sent(chosen) {
    say("source.sending", { name: chosen.name });
    const answer = await app.upload(chosen);
    if (answer.error) told.textContent = answer.error;
    else {
      app.useUploadedSpec(answer, chosen.name);
      say("source.taken", { rows: answer.rows, columns: answer.columns.length });
    }
  }

  function read(text, name) {
    if (text.length > LARGEST) return say("source.too_large", { most: LARGEST / 1e6 });
    const found = parseCsv(text);
    if (found.trouble) return say(found.trouble, found.values);
    app.useOwnData(found.columns, found.rows, name);
    if (found.left.length) say("source.left", { rows: found.rows.length, columns: found.columns.length, left: found.left.join(", ") });
    else say("source.taken", { rows: found.rows.length, columns: found.columns.length });
  }

  let listed = "";
  let shown = "";
  return {
    node,
    draw() {
      node.hidden = app.hidden("data");
      const key = `${app.sets().map((each) => each.name)}|${app.all().columns}`;
      if (key !== listed) {
        listed = key;
        sets.replaceChildren(...app.sets().map((each) => html("option", { value: each.key, text: each.name })));
        target.replaceChildren(...app.all().columns.map((name) => html("option", { value: name, text: name })));
        target.onchange = () => app.chooseColumns(target.value, null);
      }
      if (sets.value !== app.key()) sets.value = app.key();
      const now = app.columns();
      if (shown === `${key}|${now}`) return;
      shown = `${key}|${now}`;
      target.value = now.at(-1);
      const names = app.all().columns.filter((name) => name !== now.at(-1));
      columns.hidden = app.all().columns.length <= 2;
      features.replaceChildren(
        ...names.map((name) => {
          const input = html("input", { type: "checkbox", onchange: () => app.chooseColumns(now.at(-1), names.filter((each) => (each === name ? input.checked : now.includes(each)))) });
          input.checked = now.includes(name);
          return html("label", { class: "check" }, input, html("span", { text: name }));
        }),
      );
    },
  };
}
