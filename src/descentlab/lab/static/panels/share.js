/** The language, the theme, and what leaves the page: its address, itself as one file, a picture. */
import { html, set, svg } from "../dom.js";
import { CONTROLS, MOST_POINTS } from "../state.js";

const MARGIN = 24; // around saved pictures
const TITLE = 26; // the room of a title above its picture

export function shareControl(app) {
  const language = html("button", { type: "button", lang: app.lang === "ko" ? "en" : "ko", text: app.lang === "ko" ? "English" : "한국어", onclick: () => change({ lang: app.lang === "ko" ? "en" : "ko" }, 0) });
  const theme = html("button", { type: "button", text: app.t("share.theme"), onclick: () => change({ theme: app.theme.dark ? "light" : "dark" }, 1) });
  const link = html("button", { type: "button", text: app.t("share.link"), onclick: () => app.copy(location.href.split("#")[0] + app.address(), link, "share.link") });
  const without = html("p", { class: "soft" });
  const save = html("button", { type: "button", text: app.t("share.save"), onclick: () => download("descentlab.html", page(), "text/html") });
  const picture = html("button", { type: "button", text: app.t("share.picture"), onclick: () => download("descentlab.svg", drawing(), "image/svg+xml") });
  const boxes = CONTROLS.map((name) => {
    const input = html("input", { type: "checkbox", onchange: () => app.set({ hide: CONTROLS.filter((_, i) => boxes[i].input.checked) }) });
    return { name, input, node: html("label", { class: "check" }, input, html("span", { text: app.t(`control.${name}`) })) };
  });
  // In a notebook the address is the notebook's, and so is the page around a widget.
  link.hidden = !app.alone || location.protocol === "about:";
  save.hidden = !app.alone;
  const teacher = html("fieldset", {}, html("legend", { text: app.t("share.hide") }), html("div", { class: "row wrap" }, ...boxes.map((each) => each.node)));
  const menu = html("details", { class: "share" }, html("summary", { text: app.t("share.title") }), html("div", { class: "sheet" }, html("div", { class: "row wrap" }, link, save, picture), without, teacher));
  const node = html("div", { class: "row" }, language, theme, menu);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.firstElementChild.focus();
  });
  app.root.addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });

  /** The page is built anew, and the focus stays on the button that was pressed. */
  function change(changes, button) {
    app.state = { ...app.state, ...changes };
    app.applyState(true);
    app.build();
    app.shareControl.node.children[button].focus();
  }

  function download(name, content, type) {
    const address = URL.createObjectURL(new Blob([content], { type }));
    const anchor = html("a", { href: address, download: name });
    app.root.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  /** This page as it was sent, opening in the state that it is in. */
  function page() {
    const whole = document.documentElement.cloneNode(true);
    const place = whole.querySelector("#descentlab");
    if (place) place.replaceChildren();
    for (const made of whole.querySelectorAll(".made")) made.remove();
    delete whole.querySelector("body").dataset.jpThemeLight; // of a notebook that the file has left
    const spec = whole.querySelector("#descentlab-spec");
    if (spec) spec.textContent = JSON.stringify({ ...app.pageSpec(), opening: app.address() }).replace(/</g, "\\u003c");
    set(whole, { lang: app.lang, "data-served": "false" });
    return `<!doctype html>\n${whole.outerHTML}`;
  }

  /** The views that are pictures as one, below one another under their titles, with the colors that they have now. */
  function drawing() {
    const figures = [...app.root.querySelectorAll(".panel svg.picture")].filter((each) => each.clientWidth);
    let top = MARGIN;
    let wide = 0;
    const parts = figures.map((each) => {
      const copy = each.cloneNode(true);
      inline(each, copy);
      set(copy, { x: MARGIN, y: top + TITLE, overflow: "visible" });
      const heading = each.closest(".panel").querySelector("h2");
      const title = svg("text", { x: MARGIN, y: top + 14, text: heading.textContent });
      inline(heading, title);
      title.style.fill = getComputedStyle(heading).color;
      top += TITLE + each.clientHeight + MARGIN;
      wide = Math.max(wide, each.clientWidth + 2 * MARGIN);
      return [title, copy].map((part) => new XMLSerializer().serializeToString(part)).join("");
    });
    const paper = getComputedStyle(app.root).backgroundColor;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${top}"><rect width="100%" height="100%" fill="${paper}"/>${parts.join("")}</svg>`;
  }

  function inline(from, to) {
    const style = getComputedStyle(from);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "font-family", "font-size", "font-weight", "paint-order", "visibility"]) to.style.setProperty(name, style.getPropertyValue(name));
    [...from.children].forEach((child, i) => inline(child, to.children[i]));
  }

  return {
    node,
    draw() {
      without.hidden = !app.exceedsAddress;
      if (app.exceedsAddress) without.textContent = app.t("share.without", { most: MOST_POINTS });
      for (const each of boxes) each.input.checked = app.hidden(each.name);
    },
  };
}
