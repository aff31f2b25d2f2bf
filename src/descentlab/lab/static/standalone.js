/** A plain page's stand-in for a notebook's model: state lives in the page's address. */
import lab from "./app.js";

const spec = JSON.parse(document.getElementById("descentlab-spec").textContent);
const words = JSON.parse(document.getElementById("descentlab-words").textContent);
const values = { spec, words, hash: location.hash || spec.opening || "", served: document.documentElement.dataset.served === "true" };
const listeners = {};
let written = location.hash;
const model = {
  get: (name) => values[name],
  set: (name, value) => (values[name] = value),
  on: (event, listener) => ((listeners[event] ??= []).push(listener)),
  off: (event, listener) => (listeners[event] = (listeners[event] ?? []).filter((each) => each !== listener)),
  save_changes: () => {
    if (values.hash === location.hash || location.hash !== written) return; // someone else wrote it: that comes first
    try {
      history.replaceState(null, "", values.hash);
    } catch {
      location.hash = values.hash; // in a frame without an address of its own
    }
    written = location.hash;
  },
};
addEventListener("hashchange", () => {
  written = location.hash;
  values.hash = location.hash;
  for (const listener of listeners["change:hash"] ?? []) listener();
});
const el = document.getElementById("descentlab");
lab.render({ model, el });
if (parent !== window) {
  // In a notebook's frame: it is made as high as the page is, and says which of its themes JupyterLab has.
  const tell = () => parent.postMessage({ height: Math.ceil(el.getBoundingClientRect().height) }, "*");
  addEventListener("message", ({ source, data }) => {
    if (source === parent && data?.light) document.body.dataset.jpThemeLight = data.light;
  });
  addEventListener("load", tell);
  new ResizeObserver(tell).observe(el);
}
