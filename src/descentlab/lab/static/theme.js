/** Light or dark: as the reader chose, else as JupyterLab around the page is, else as the system is. */
import { set } from "./dom.js";

export class Theme {
  constructor(app) {
    this.app = app;
    this.darkQuery = matchMedia("(prefers-color-scheme: dark)");
    this.onThemeChange = () => this.apply();
    this.darkQuery.addEventListener("change", this.onThemeChange);
    this.themeObserver = new MutationObserver(this.onThemeChange);
    this.themeObserver.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  }

  get dark() {
    if (this.app.state.theme) return this.app.state.theme === "dark";
    const light = document.body.dataset.jpThemeLight;
    return light ? light === "false" : this.darkQuery.matches;
  }

  apply() {
    this.app.root.classList.toggle("dark", this.dark);
    if (!this.app.alone) return;
    set(this.app.root, { role: "main" });
    document.body.classList.toggle("descentlab-dark", this.dark);
  }

  destroy() {
    this.themeObserver.disconnect();
    this.darkQuery.removeEventListener("change", this.onThemeChange);
  }
}
