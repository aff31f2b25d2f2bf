/** Keys: Space plays, arrows step, R goes back to the start; in a notebook they stay the lab's while it has the focus. */
import { set } from "./dom.js";

const CONTROLS_WITH_KEYS = "input, select, textarea, button, summary, .handle, .scroller, pre";

export class Keyboard {
  constructor(app) {
    this.app = app;
    this.onKeydown = this.onKeydown.bind(this);
    this.stopNotebookKeys = this.stopNotebookKeys.bind(this);
    if (app.alone) document.addEventListener("keydown", this.onKeydown);
    else this.focusInNotebook();
  }

  onKeydown(event) {
    const { app } = this;
    const control = event.composedPath()[0].closest?.(CONTROLS_WITH_KEYS);
    if (control || event.ctrlKey || event.metaKey || event.altKey || app.hidden("transport")) return;
    const by = event.shiftKey ? 10 : 1;
    const act = { " ": () => app.play(), ArrowRight: () => app.goTo(app.epoch + by), ArrowLeft: () => app.goTo(app.epoch - by), r: () => app.goTo(0), R: () => app.goTo(0) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** In a notebook a click on the lab's background gives it the keys that a page has at once. */
  focusInNotebook() {
    set(this.app.root, { tabindex: -1 });
    this.app.root.addEventListener("keydown", this.onKeydown);
    addEventListener("keydown", this.stopNotebookKeys, true);
  }

  /** Keys pressed in the lab are not JupyterLab's, to which `d d` deletes the cell; with Ctrl they are, so that S saves. */
  stopNotebookKeys({ target, ctrlKey, metaKey, altKey }) {
    if (!this.app.root.contains(target)) return;
    for (const node of [this.app.root, target]) set(node, { "data-lm-suppress-shortcuts": !(ctrlKey || metaKey || altKey) });
  }

  destroy() {
    document.removeEventListener("keydown", this.onKeydown);
    removeEventListener("keydown", this.stopNotebookKeys, true);
  }
}
