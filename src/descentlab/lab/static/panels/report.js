/** A diagnosis on the page: its answer above everything else, and its findings below. */
import { html } from "../dom.js";
import { keepUnits } from "../messages.js";

/** What a sentence names, as code. */
const marked = (text) => text.split(/\x60/).map((part, i) => (i % 2 ? html("code", { text: part }) : keepUnits(part)));

/** The verdict, what to do, lines to paste, and the tables; none on a page that was not made of a diagnosis. */
export function answerSection(app) {
  const blocks = app.spec.report?.answer?.[app.lang] ?? [];
  return blocks.length ? [html("section", { class: "answer", "aria-label": app.t("answer") }, ...blocks.map(blockNode))] : [];
}

function blockNode(block) {
  if (block.kind === "code") return html("pre", {}, html("code", { text: block.text }));
  if (block.kind === "table") return tableNode(block);
  return html("p", { class: block.kind }, ...marked(block.text));
}

function tableNode({ title, headings, rows }) {
  const cells = ([first, ...rest]) => html("tr", {}, html("th", { scope: "row", text: first }), ...rest.map((text) => html("td", { text })));
  const head = html("tr", {}, ...headings.map((text) => html("th", { scope: "col", text })));
  const table = html("table", { "aria-label": title }, html("thead", {}, head), html("tbody", {}, ...rows.map(cells)));
  return html("div", {}, html("h2", { text: title }), html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": title }, table));
}

/** The findings, with their marks. */
export function findingsSection(app) {
  const { report } = app.spec;
  if (!report) return [];
  const list = (report.findings[app.lang] ?? report.findings.en).map((each) => html("li", { class: each.weight }, html("span", { class: "sign", "aria-label": app.t(`weight.${each.weight}`), role: "img", text: { problem: "✗", caution: "!", fact: "·" }[each.weight] }), html("span", {}, ...marked(each.text))));
  return [html("section", { class: "findings", "aria-label": app.t("findings") }, html("h2", { text: app.t("findings") }), html("p", { class: "soft", text: app.t("findings.of") }), html("ul", {}, ...list))];
}
