/**
 * Labels: what people say about spectra. A label is shown at once and sent in order; while the
 * server is away labels wait here and are sent again, also after the page was loaded again.
 */

import { Away, Refused, getLabels, postLabel, postUndo } from "./api.js";
import { byId, element } from "./elements.js";
import { forget, isDrawn, move, retry, select } from "./navigation.js";
import { on, set, state } from "./store.js";

const WAITING = "outcrop labels "; // begins the names of what is kept in the tab
const PAUSE = 2000; // ms until the server is asked again
const FIELDS = ["interest", "vi_quality", "issues", "z", "spectype", "comment"];

/**
 * What the server has to do, in order: {content, tries}. An undo, too, has a content by which the
 * same is reached: sent once more after an answer was lost, it does no harm.
 */
const queue = [];
const before = []; // {item, row, label}: what each of this page's labels replaced, for undo
let sending = false;
let again = 0; // timer
let written = -1; // row that the form shows

/** Return where this tab keeps the waiting labels of a scanner and a night. */
function place({ identity, scanner }) {
  return `${WAITING}${identity} ${scanner}`;
}

/** Return what the tab keeps from load to load; null where the browser is set to keep nothing. */
function kept() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** Write down which labels wait: a reload would lose them. */
function writeWaiting() {
  const name = place(state.night);
  if (queue.length) kept()?.setItem(name, JSON.stringify(queue));
  else kept()?.removeItem(name);
}

/** Go on with labels that waited when the page was loaded again. */
export function restoreWaiting() {
  const name = place(state.night);
  const found = JSON.parse(kept()?.getItem(name) ?? "[]");
  for (const item of found) {
    const { row, ...fields } = item.content;
    const known = state.labels.get(row) ?? null;
    if (!item.undo) before.push({ item, row, label: known });
    queue.push(item);
    keep(row, { ...known, ...fields });
  }
  if (found.length) send();

  const others = Object.keys(kept() ?? {}).filter((one) => one.startsWith(WAITING) && one !== name);
  if (others.length) {
    set({ notice: "Labels of another night or scanner wait in this tab: open that night to send them." });
  }
}

/** Show a label at all rows of the spectrum's target. */
function keep(row, label) {
  const { labels } = state;
  const { targetid, label: interest } = state.columns;
  let same = targetid.indexOf(targetid[row]);
  while (same >= 0) {
    if (label) labels.set(same, label);
    else labels.delete(same);
    interest[same] = label?.interest ?? -1;
    same = targetid.indexOf(targetid[row], same + 1);
  }
  set({ labelled: state.labelled + 1, waiting: queue.length });
  writeWaiting();
}

/** Label the present spectrum: what is given replaces what was there, the rest stays. */
export function label(change) {
  const { row } = state;
  if (row < 0) return;
  const known = state.labels.get(row) ?? null;
  const item = { content: { row, ...change }, tries: 0 };
  before.push({ item, row, label: known });
  queue.push(item);
  keep(row, { ...known, ...change });
  forget(row);
  send();
}

/** Say how interesting the spectrum is, and look at the next. */
export function rate(interest) {
  label({ interest });
  set({ notice: `Interest ${interest}` });
  move(1);
}

/** Give the VI quality; the spectrum stays, because redshift and class may follow. */
export function assess(quality) {
  label({ vi_quality: quality });
  set({ notice: `VI quality ${quality}` });
}

export function takeShownZ() {
  if (!isDrawn()) {
    set({ notice: "This spectrum is not drawn yet: no redshift was taken." });
    return;
  }
  label({ z: state.shownZ });
  set({ notice: `Best z ${state.shownZ.toFixed(4)}` });
}

/** Take back this page's last label, and show its spectrum again. */
export function undo() {
  if (!before.length) {
    set({ notice: "There is no label of this page to take back." });
    return;
  }
  const { item, row, label: known } = before.pop();
  if (item.tries) {
    const fields = Object.keys(item.content).filter((name) => name !== "row");
    const restored = Object.fromEntries(fields.map((name) => [name, known?.[name] ?? null]));
    // One that was sent twice may be there twice, of which the server would take back one.
    queue.push({ undo: item.tries === 1, content: { row, ...restored }, tries: 0 });
  } else {
    queue.splice(queue.indexOf(item), 1);
  }
  keep(row, known);
  forget(row);
  select(row);
  set({ notice: "The last label is taken back." });
  send();
}

async function send() {
  if (sending) return;
  clearTimeout(again);
  sending = true;
  try {
    while (queue.length) {
      await deliver(queue[0]);
      queue.shift();
      writeWaiting();
      set({ waiting: queue.length, away: "" });
    }
    retry();
  } catch (error) {
    if (!(error instanceof Away) && !(error instanceof Refused)) throw error;
    set({ away: `Labels cannot be stored: ${error.message}.`, waiting: queue.length });
    again = setTimeout(send, PAUSE);
  } finally {
    sending = false;
  }
}

async function deliver(item) {
  item.tries += 1;
  writeWaiting();
  try {
    if (item.undo && item.tries === 1) await postUndo();
    else await postLabel(item.content);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    set({ notice: `The label was refused: ${error.message}.` });
    const place = before.findIndex((one) => one.item === item);
    if (place >= 0) before.splice(place, 1);
    await readLabels();
  }
}

/** Read the labels that the server has. */
export async function readLabels() {
  const found = await getLabels();
  state.columns.label.fill(-1);
  state.labels.clear();
  for (const one of found) {
    state.labels.set(one.row, one);
    state.columns.label[one.row] = one.interest ?? -1;
  }
  set({ labelled: state.labelled + 1 });
}

function press(box, value) {
  for (const button of byId(box).children) {
    button.setAttribute("aria-pressed", `${Number(button.value) === value}`);
  }
}

function describe(one) {
  const said = FIELDS.filter((name) => one[name] !== null && one[name] !== undefined && one[name] !== "");
  const texts = said.map((name) => `${name.replace("_", " ")} ${one[name]}`);
  const when = new Date(one.time).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return `${texts.join("; ") || "nothing any more"} (${one.scanner}, ${when})`;
}

/** List what was said about the spectrum; what was taken back is struck out. */
function drawHistory(changes) {
  const undone = new Set(changes.map(({ undoes }) => undoes));
  const said = changes.filter(({ undoes }) => undoes === null);
  const items = said.map((one) => {
    const text = describe(one);
    return element("li", {}, undone.has(one.id) ? element("del", {}, text) : text);
  });
  byId("history").replaceChildren(...items);
}

/** Write a field, unless the user is writing there about the same spectrum. */
function write(id, value) {
  const field = byId(id);
  if (written === state.row && document.activeElement === field) return;
  field.value = value ?? "";
}

function draw() {
  const given = state.labels.get(state.row) ?? {};
  press("interest", given.interest ?? -1);
  press("quality", given.vi_quality ?? -1);
  for (const box of byId("issues").querySelectorAll("input")) {
    box.checked = (given.issues ?? "").includes(box.value);
  }
  write("best-z", given.z);
  write("best-spectype", given.spectype);
  write("comment", given.comment);
  written = state.row;
  drawHistory(state.spectrum?.row === state.row ? state.spectrum.meta.labels : []);
}

function drawAway() {
  const waiting = state.waiting === 1 ? "1 label waits" : `${state.waiting} labels wait`;
  const kept = state.waiting
    ? ` ${waiting} in this page and will be sent: keep it open, and go on.`
    : " It is asked again.";
  byId("away").textContent = state.away ? state.away + kept : "";
  byId("away").hidden = !state.away;
}

function digits(box, last, act) {
  for (let value = 0; value <= last; value += 1) {
    const button = element("button", { type: "button", value: `${value}` }, `${value}`);
    button.addEventListener("click", () => act(value));
    byId(box).append(button);
  }
}

/** Connect the form to the labels. */
export function startLabels() {
  digits("interest", 5, rate);
  digits("quality", 4, assess);
  byId("issues").addEventListener("change", () => {
    const chosen = [...byId("issues").querySelectorAll("input:checked")];
    label({ issues: chosen.map((box) => box.value).join("") });
  });
  byId("best-z").addEventListener("change", () => {
    const z = byId("best-z").valueAsNumber;
    label({ z: Number.isFinite(z) ? z : null });
  });
  byId("best-spectype").addEventListener("change", () => {
    label({ spectype: byId("best-spectype").value });
  });
  byId("comment").addEventListener("change", () => label({ comment: byId("comment").value }));
  byId("take-z").addEventListener("click", takeShownZ);
  byId("undo").addEventListener("click", undo);
  byId("label").addEventListener("submit", (event) => event.preventDefault());

  on(["row", "labelled", "spectrum"], draw);
  on(["away", "waiting"], drawAway);
  setInterval(() => {
    if (!state.away || queue.length) return;
    retry();
  }, PAUSE);
  on(["spectrum"], () => {
    if (state.spectrum && !queue.length) set({ away: "" });
  });
  addEventListener("beforeunload", (event) => {
    if (queue.length) event.preventDefault();
  });
}
