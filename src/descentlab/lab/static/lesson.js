/** A lesson's page: its figures come alive, its questions are graded, and what was answered is kept: by the server, else here. */
import { grade } from "./grading.js";
import { set } from "./dom.js";
import lab from "./app.js";

const parseElement = (id) => JSON.parse(document.getElementById(id).textContent);
const spec = parseElement("descentlab-spec");
const words = parseElement("descentlab-words");
const lesson = parseElement("descentlab-lesson");
const STORAGE_KEY = "descentlab.lessons";

/** What a figure's lab asks of its surroundings: a state of its own that no address shows. */
function modelOf({ state, views }) {
  const values = { spec, words, views, hash: `#v=1&l=${lesson.lang}${state ? `&${state}` : ""}`, served: false };
  return { get: (name) => values[name], set: (name, value) => (values[name] = value), on() {}, off() {}, save_changes() {} };
}

/** What was answered before; where a browser keeps nothing for a file, nothing. */
function loadAnswered() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    return {};
  }
}

function saveInBrowser(name) {
  const all = loadAnswered();
  all[lesson.slug] = [...new Set([...(all[lesson.slug] ?? []), name])];
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(all));
  } catch {
    // A browser may forbid it; the page works all the same.
  }
}

/** Why the server could not keep it; null where it did. */
async function saveOnServer(name) {
  try {
    const answer = await fetch(`answered?lesson=${lesson.slug}&question=${name}&lang=${lesson.lang}`, { method: "POST" });
    return (await answer.json()).error ?? null;
  } catch {
    return lesson.unkept;
  }
}

for (const [name, figure] of Object.entries(lesson.figures)) lab.render({ model: modelOf(figure), el: document.getElementById(`figure-${name}`) });

for (const [name, question] of Object.entries(lesson.questions)) {
  const form = document.getElementById(`question-${name}`);
  const statusNode = form.querySelector("[role=status]");
  const tell = (text, right) => {
    set(statusNode, { text, class: right ? "right" : "wrong" });
    if (right) form.classList.add("answered"); // and it stays so, whatever is tried afterwards
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const verdict = grade(question, String(new FormData(form).get("answer") ?? ""));
    const reason = verdict === null ? question.unread : question.notes[verdict] ?? question.notes.other;
    tell(reason, verdict === "right");
    if (verdict !== "right") return;
    if (lesson.done === null) return saveInBrowser(name);
    const trouble = await saveOnServer(name);
    if (trouble) tell(`${reason} ${trouble}`, true);
  });
  if ((lesson.done ?? loadAnswered()[lesson.slug])?.includes(name)) form.classList.add("answered");
}
