/** Where the data comes from: the built-in sets, a pasted or opened CSV; which column is the target. */
import { parseCsv } from "../csv.js";
import { decodeText } from "../csv/encoding.js";
import { html, truncate } from "../dom.js";

const LARGEST = 2_000_000; // letters of a CSV that a page without a server reads by itself
const MOST_NOTES = 12;
const LONGEST_VALUE = 60; // letters of a cell or of names in a sentence

export function sourceControl(app) {
  const sets = html("select", { "aria-label": app.t("source.title"), onchange: () => app.load(sets.value) });
  const paste = html("textarea", { rows: 5, "aria-label": app.t("source.paste"), placeholder: "x,y\n1,1\n2,2\n3,3", spellcheck: "false" });
  const file = html("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", "aria-label": app.t("source.open") });
  const target = html("select", { "aria-label": app.t("source.target") });
  const features = html("div", { class: "row wrap features", role: "group", "aria-label": app.t("source.features") });
  const told = html("div", { class: "told", role: "status" });
  const answers = html("div", { class: "row wrap", role: "group", "aria-label": app.t("source.answers"), hidden: true });
  const use = html("button", { type: "button", text: app.t("source.use"), onclick: () => read(paste.value, app.t("source.pasted"), {}) });
  const box = html("details", { class: "source" }, html("summary", { text: app.t("source.own") }), html("p", { class: "soft", text: app.t("source.hint") }), paste, html("div", { class: "row wrap" }, use, html("label", { class: "row" }, html("span", { text: app.t("source.open") }), file)), told, answers);
  const columns = html("div", { class: "row wrap columns" }, html("label", { class: "row" }, html("span", { text: app.t("source.target") }), target), html("span", { text: app.t("source.features") }), features);
  const node = html("div", { class: "control data" }, html("div", { class: "row wrap" }, html("label", { class: "row" }, html("span", { class: "name", text: app.t("source.title") }), sets), columns), box);

  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    if (app.upload && chosen.size > LARGEST) return sent(chosen);
    if (chosen.size > LARGEST) return say("source.too_large", { most: LARGEST / 1e6 });
    const { text, encoding, trouble } = decodeText(new Uint8Array(await chosen.arrayBuffer()));
    if (trouble) return say(trouble);
    read(text, chosen.name, {}, encoding ? [["source.note.encoding", { encoding }]] : []);
  });

  paste.addEventListener("paste", ({ clipboardData }) => {
    if (!clipboardData.types.includes("text/plain") && clipboardData.files.length) say("source.image");
  });

  const short = (value) => (typeof value === "string" ? truncate(value.replace(/\s+/g, " "), LONGEST_VALUE) : value);
  const sentence = (key, values = {}) => app.t(key, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, short(value)])));

  /** A message with notes below it, and a button for each answer. */
  function say(key, values, notes = [], buttons = []) {
    const items = notes.map((text) => html("li", { text }));
    told.replaceChildren(html("p", { text: sentence(key, values) }), ...(items.length ? [html("ul", {}, ...items)] : []));
    answers.replaceChildren(...buttons);
    answers.hidden = !buttons.length;
  }

  async function sent(chosen) {
    say("source.sending", { name: chosen.name });
    const answer = await app.upload(chosen);
    if (answer.error) told.replaceChildren(html("p", { text: answer.error }));
    else {
      app.useUploadedSpec(answer, chosen.name);
      say("source.taken", { rows: answer.rows, columns: answer.columns.length });
    }
  }

  /** Read a text, with what was answered about it; a button of another answer reads it again. */
  function read(text, name, options, before = []) {
    if (text.length > LARGEST) return say("source.too_large", { most: LARGEST / 1e6 });
    const found = parseCsv(text, options);
    const left = leftOut(found.left);
    if (found.trouble) return say(found.trouble, found.values, left, found.answers.map((each) => answerButton(each, (added) => read(text, name, merged(options, added), before))));
    app.useOwnData(found.columns, found.rows, name);
    const notes = [...before, ...found.notices].map(([key, values]) => sentence(key, values));
    say("source.taken", { rows: found.rows.length, columns: found.columns.length }, [...notes, ...left]);
  }

  /** Why each column was left out; where there are many, the names of the last ones. */
  function leftOut(columns) {
    const shown = columns.length > MOST_NOTES ? columns.slice(0, MOST_NOTES - 1) : columns;
    const rest = columns.slice(shown.length).map(({ name }) => name);
    const sentences = shown.map(({ name, reason: [key, values] }) => app.t("source.note.column", { name: short(name), reason: sentence(key, values) }));
    return rest.length ? [...sentences, sentence("source.note.more", { count: rest.length, names: rest.join(", ") })] : sentences;
  }

  function answerButton({ key, label, values, options }, choose) {
    const onclick = () => {
      choose(options);
      (answers.querySelector("button") ?? use).focus();
    };
    return html("button", { type: "button", text: label ?? sentence(key, values), onclick });
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

/** What was answered, with one more answer; columns are added to those of the answers before. */
function merged(options, added) {
  const lists = ["drop", "keep"].filter((name) => added[name]).map((name) => [name, [...(options[name] ?? []), ...added[name]]]);
  return { ...options, ...added, ...Object.fromEntries(lists) };
}
