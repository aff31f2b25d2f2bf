/** Elements of the page: made, changed, shown as a table. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** An SVG element with attributes, in a parent. */
export function svg(name, attributes = {}, parent = null) {
  const node = document.createElementNS(SVG_NAMESPACE, name);
  set(node, attributes);
  parent?.append(node);
  return node;
}

/** An HTML element with attributes and children (nodes or texts). */
export function html(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  set(node, attributes);
  node.append(...children);
  return node;
}

/** Attributes by name; `text` is the content, `on...` a listener, `--...` a property of style, null takes away. */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") {
      if (node.textContent !== value) node.textContent = value;
    } else if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

/** What a panel shows as a table, for who would rather read: made when it is opened, and while it is open. */
export function addDataTable(panel, title, rows) {
  const name = `${panel.heading.textContent}: ${title}`;
  const table = html("table", { "aria-label": name });
  const box = html("details", { class: "tabled" }, html("summary", { text: title }), html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": name }, table));
  panel.node.append(box);
  const fill = () => {
    if (!box.open) return;
    const [head, ...body] = rows();
    const line = (cell, texts) => html("tr", {}, ...texts.map((text) => html(cell, cell === "th" ? { scope: "col", text } : { text })));
    table.replaceChildren(html("thead", {}, line("th", head)), html("tbody", {}, ...body.map((cells) => line("td", cells))));
  };
  box.addEventListener("toggle", fill);
  return fill;
}

/** A name that fits. */
export const truncate = (text, most) => (text.length > most ? `${text.slice(0, Math.max(most - 1, 1))}…` : text);
