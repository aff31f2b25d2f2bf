/** The lab in a notebook's or a page's element. */
function render({ model, el }) {
  const { name, columns, rows } = model.get("spec");
  const main = document.createElement("main");
  main.textContent = `${name}: ${columns.join(", ")} (${rows})`;
  el.replaceChildren(main);
}

export default { render };
