/** The lesson's table: Epoch, the parameters, their gradient and the cost, each row before its update. */
import { addDataTable, html } from "../dom.js";
import { number } from "../messages.js";

const ALL = 24; // epochs up to which each has its row
const ROWS = 11; // of more: the first ones and others evenly spread, as many as are seen without scrolling
const COLUMNS = 4; // parameters, at most: all of them have a table of their own

export function tablePanel(app) {
  const heading = html("h2", { text: app.t("table.title") });
  const head = html("thead");
  const body = html("tbody");
  const table = html("table", { "aria-label": app.t("table.title") }, head, body);
  const scroller = html("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": app.t("table.title") }, table);
  const caption = html("figcaption");
  const node = html("figure", { class: "panel table" }, heading, scroller, caption);
  const fill = addDataTable({ heading, node }, app.t("table.all"), () => {
    const { labels, shown, theory } = app.view;
    return [[app.t("table.parameter"), app.t("table.after", { epochs: shown.t }), app.t("table.least")], ...labels.map((label, j) => [label, number(shown.params[j]), number(theory.goal[j])])];
  });
  let rows = [];
  let marked = null;

  body.addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr");
    if (row) app.hover(Number(row.dataset.t));
  });
  body.addEventListener("pointerleave", () => app.hover(null));
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) app.set({ epoch: Number(row.dataset.t) });
  });

  /** Which of the path's places have a row: one for each of the lesson's epochs, thinned where there are more. */
  function chosen(view) {
    const count = view.ts.length - 1; // the last is what all epochs came to: it has a row of its own below
    if (count <= ALL) return [...Array(count).keys()];
    const first = (ROWS + 1) / 2;
    const others = Array.from({ length: ROWS - first }, (_, i) => first + Math.round(((i + 1) * (count - 1 - first)) / (ROWS - first)));
    return [...new Set([...Array(first).keys(), ...others])];
  }

  function fresh(view) {
    const { problem } = view;
    const named = view.labels.slice(0, COLUMNS);
    const single = problem.parameters.length === 1;
    const titles = [app.t("table.epoch"), ...named, ...(single ? [app.t("table.gradient")] : [app.t("table.gradient_size")]), app.t("table.cost")];
    head.replaceChildren(html("tr", {}, ...titles.map((title) => html("th", { scope: "col", text: title }))));
    rows = [...chosen(view), view.ts.length - 1];
    body.replaceChildren(
      ...rows.map((_, i) => {
        const last = i === rows.length - 1;
        return html("tr", { class: last ? "after" : "" }, html("th", { scope: "row" }), ...titles.slice(1).map(() => html("td")));
      }),
    );
  }

  return {
    panel: { node },
    still: fresh,
    draw(view) {
      if (rows.length !== chosen(view).length + 1 || rows.at(-1) !== view.ts.length - 1) fresh(view);
      const { problem } = view;
      const shown = Math.min(problem.parameters.length, COLUMNS);
      const single = problem.parameters.length === 1;
      let at = null;
      rows.forEach((place, i) => {
        const cells = body.children[i].children;
        const t = view.ts[place];
        body.children[i].dataset.t = t;
        cells[0].textContent = i === rows.length - 1 ? app.t("table.after", { epochs: t }) : number(t + 1);
        for (let j = 0; j < shown; j += 1) cells[j + 1].textContent = fixed(view.params[place][j]);
        const gradient = view.gradient(place);
        cells[shown + 1].textContent = fixed(single ? gradient[0] : Math.hypot(...gradient));
        cells[shown + 2].textContent = fixed(view.cost[place], 6);
        if (t <= view.shown.t) at = i;
      });
      if (at !== marked) {
        body.children[marked]?.removeAttribute("aria-current");
        marked = at;
      }
      if (at !== null) {
        body.children[at].setAttribute("aria-current", "true");
        if (app.playing) scroller.scrollTop = Math.max(0, body.children[at].offsetTop - scroller.clientHeight / 2);
      }
      fill();
      const said = [app.t(rows.length - 1 < app.state.epochs ? "table.caption_thinned" : "table.caption", { rows: rows.length - 1, epochs: app.state.epochs })];
      if (shown < problem.parameters.length) said.push(app.t("table.caption_more", { shown, parameters: problem.parameters.length }));
      caption.textContent = said.join(" ");
    },
  };
}

/** As the lesson prints them: three decimals, six for a cost, and powers of ten where that would hide the number. */
function fixed(value, places = 3) {
  if (!Number.isFinite(value)) return number(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 0.5 * 10 ** -places || size >= 1e7) ? number(value, places + 1) : value.toFixed(places);
  return text.replace("-", "−");
}
