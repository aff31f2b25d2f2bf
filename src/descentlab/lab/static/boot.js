/** A plain page's stand-in for a notebook's model. */
import lab from "./lab.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const values = { spec: read("descentlab-spec"), words: read("descentlab-words"), hash: location.hash };
const model = { get: (name) => values[name], set: (name, value) => (values[name] = value), on() {}, off() {}, save_changes() {} };
lab.render({ model, el: document.getElementById("descentlab") });
