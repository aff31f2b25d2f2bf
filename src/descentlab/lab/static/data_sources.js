/** Which data the lab is about: the page's own, a built-in set, pasted rows, an uploaded file; and which of its columns. */
import { floor } from "./messages.js";
import { factorOf, selected } from "./model.js";
import { MOST_POINTS } from "./state.js";

export const OWN_DATA = "own";
const RESET_DATA = { data: null, points: null, names: null, target: null, features: null }; // where other data comes in
const RESET_PARAMS = { ...RESET_DATA, start: null, epoch: null }; // and other parameters with it

/** What the lab knows about its data; `App` adds the state, the updates and the page. */
export class DataSources {
  namesFor(count) {
    if (this.state.names?.length === count) return this.state.names;
    return count === 2 ? ["x", "y"] : [...Array.from({ length: count - 1 }, (_, j) => `x${j + 1}`), "y"];
  }

  fromRows(columns, rows, name) {
    return { name, columns, points: rows, whole: true, hypothesis: {}, ...factorOf(rows) };
  }

  /** The data that an address cannot carry, where it is here all the same: on its own page, or saved with it. */
  storedOwnData() {
    if (this.data?.key === OWN_DATA) return this.data;
    return this.spec.own ? this.home : null;
  }

  builtInData(key) {
    const found = (this.spec.sets ?? []).find((each) => each.name === key);
    return found && { ...this.fromRows(found.columns, found.rows, found.name), key };
  }

  rows() {
    return this.data.points;
  }

  whole() {
    return this.data.whole && this.state.repeat === 1;
  }

  get editable() {
    return this.data.whole && this.data.columns.length === 2 && !this.hidden("data");
  }

  sets() {
    const listed = (this.spec.sets ?? []).filter((each) => each.name !== this.spec.name).map((each) => ({ key: each.name, name: each.name }));
    const own = this.data.key === OWN_DATA ? [{ key: OWN_DATA, name: this.data.name }] : [];
    return [{ key: "given", name: this.spec.name || this.t("source.unnamed") }, ...listed, ...own];
  }

  key() {
    return this.data.key;
  }

  all() {
    return this.data.all ?? this.data;
  }

  columns() {
    return this.data.columns;
  }

  weight(repeat) {
    return this.data.weight * repeat;
  }

  movePoint(i, row) {
    const rows = this.rows().map((each, at) => (at === i ? row.map((value) => Number(value.toPrecision(4))) : each));
    this.useEditedRows(rows);
  }

  addPoint(row) {
    this.useEditedRows([...this.rows(), row.map((value) => Number(value.toPrecision(3)))]);
  }

  useEditedRows(rows) {
    const name = this.data.key === OWN_DATA ? this.data.name : this.t("source.edited", { name: this.data.name });
    this.data = { ...this.fromRows(this.data.columns, rows, name), key: OWN_DATA };
    this.set({ ...RESET_DATA, ...addressedRows(rows), names: this.data.columns });
  }

  useOwnData(columns, rows, name) {
    this.data = { ...this.fromRows(columns, rows, name), key: OWN_DATA };
    this.data.all = this.data;
    this.set({ ...RESET_PARAMS, ...addressedRows(rows), names: columns, bias: true });
    this.setRate(this.firstRate());
  }

  /** The spec of a file that a server read. */
  useUploadedSpec(spec, name) {
    this.data = { ...spec, key: OWN_DATA, name };
    this.data.all = this.data;
    this.set({ ...RESET_PARAMS, data: OWN_DATA, bias: true });
    this.setRate(this.firstRate());
  }

  /** For data that nobody chose a rate for: half the bound, to two digits. */
  firstRate() {
    const { bound } = this.compute().theory;
    return Number.isFinite(bound) && bound > 0 ? floor(0.5 * bound, 2) : this.state.lr;
  }

  load(key) {
    this.stop();
    if (key === OWN_DATA) return;
    this.data = key === "given" ? this.home : this.builtInData(key);
    const other = key !== "given";
    this.set({ ...RESET_PARAMS, ...(other ? { bias: true, data: key } : { bias: this.base.bias }), center: false, standardize: false });
    this.setRate(other ? this.firstRate() : this.base.lr);
  }

  /** Another target, other features, of rows that the page has. */
  chooseColumns(target, features) {
    this.set({ target, features, start: null });
    this.applyColumns();
    this.problem = null;
    this.setRate(this.firstRate());
  }

  /** The columns that the state names, of all that the data has; a name that it has not is as none. */
  applyColumns() {
    const all = this.all();
    const target = all.columns.includes(this.state.target) ? this.state.target : all.columns.at(-1);
    const { features } = this.state;
    const others = all.columns.filter((name) => name !== target && (!features || features.includes(name)));
    const columns = [...(others.length ? others : all.columns.filter((name) => name !== target)), target];
    const places = columns.map((name) => all.columns.indexOf(name));
    const points = all.points.map((row) => places.map((j) => row[j]));
    this.data = { ...selected(all, places), points, key: this.data.key, all };
  }

  /** What a saved page is made of: the data as it is here, whatever the address can carry. */
  pageSpec() {
    if (this.data === this.home) return this.spec;
    const { name, columns, rows, weight, means, noise, triangle, points, whole } = this.data;
    const { bias, center, standardize } = this.state;
    return { ...this.spec, own: true, name, columns, rows, weight, means, noise, triangle, points, whole, hypothesis: { bias, center, standardize, ridge: 0 }, report: null };
  }

  /** Whether the address cannot carry the data that is shown. */
  get exceedsAddress() {
    return this.data.key === OWN_DATA && this.state.points === null;
  }

  get upload() {
    if (!this.model.get("served")) return null;
    return async (file) => {
      try {
        const answer = await fetch(`data?name=${encodeURIComponent(file.name)}&lang=${this.lang}`, { method: "POST", body: file });
        return await answer.json();
      } catch (cause) {
        return { error: String(cause) };
      }
    };
  }
}

/** As an address has rows of one's own: themselves, or the word for what it cannot carry. */
const addressedRows = (rows) => (rows.length <= MOST_POINTS ? { points: rows } : { data: OWN_DATA });
