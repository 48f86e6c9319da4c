/**
 * Keys: what each key does. They work wherever the focus is, except that text fields take what is
 * written, and that controls keep the keys by which they are used.
 */

import { byId, element } from "./elements.js";
import { closeInset, nextInset } from "./inset.js";
import { assess, rate, takeShownZ, undo } from "./labels.js";
import { focusMap } from "./map.js";
import { move, nextRedshift, showZ, skip } from "./navigation.js";
import { togglePanel } from "./panel.js";
import { pan, resetZoom, smooth, zoom } from "./spectrum.js";
import { set, state } from "./store.js";
import { nextLines, otherFrame } from "./tools.js";

const LABELLING = [
  { keys: ["n"], text: "next spectrum", act: () => move(1) },
  { keys: ["b"], text: "the one before", act: () => move(-1) },
  { keys: [" "], shown: ["space"], text: "next without a label", act: skip },
  { shown: ["0", "…", "5"], text: "interest; moves on" },
  { shown: ["Shift 0", "…", "Shift 4"], text: "VI quality; stays" },
  { shown: ["q"], text: "the next digit is the VI quality" },
  { keys: ["u"], text: "take back the last label", act: undo },
  { keys: ["a"], text: "the shown redshift is the best z", act: takeShownZ },
  { keys: ["c"], text: "write a comment", act: () => byId("comment").focus() },
];
const DRAWING = [
  { keys: ["s"], text: "smooth more", act: () => smooth(1) },
  { keys: ["d"], text: "smooth less", act: () => smooth(-1) },
  { keys: ["z"], text: "write a redshift", act: () => byId("z").select() },
  { keys: ["t"], text: "next redshift to try, with the reconstruction there", act: () => nextRedshift(1) },
  { keys: ["T"], text: "the redshift before", act: () => nextRedshift(-1) },
  { keys: ["ArrowLeft"], shown: ["←"], text: "redshift − 0.0001 (Shift: 0.01)", act: (e) => shift(e, -1) },
  { keys: ["ArrowRight"], shown: ["→"], text: "redshift + 0.0001 (Shift: 0.01)", act: (e) => shift(e, 1) },
  { keys: ["l"], text: "lines: major, all, emission, absorption, none", act: nextLines },
  { keys: ["f"], text: "observed or rest frame", act: otherFrame },
  { keys: ["+", "="], shown: ["+"], text: "zoom in", act: () => zoom(0.7) },
  { keys: ["-"], text: "zoom out", act: () => zoom(1 / 0.7) },
  { keys: [",", "<"], shown: [","], text: "shorter wavelengths", act: () => pan(-0.2) },
  { keys: [".", ">"], shown: ["."], text: "longer wavelengths", act: () => pan(0.2) },
  { keys: ["r"], text: "all wavelengths", act: resetZoom },
  { keys: ["i"], text: "inset: next peak beyond the axis, then segments; follows the pointer", act: () => nextInset(1) },
  { keys: ["I"], text: "the stretch before", act: () => nextInset(-1) },
  { keys: ["Escape"], shown: ["Esc"], text: "close the inset", act: closeInset },
  { keys: ["e"], text: "exposures", act: () => togglePanel("exposures") },
  { keys: ["k"], text: "neighbours", act: () => togglePanel("neighbours") },
  { keys: ["m"], text: "to the map", act: focusMap },
  { keys: ["?"], text: "these keys", act: toggleHelp },
];
/** All that the help lists, by what it is for or where it is done. */
const HELP = {
  "Spectra and labels": LABELLING,
  "What is drawn": DRAWING,
  "In the list": [{ shown: ["↑", "↓"], text: "the spectrum above, below" }],
  "On the map": [
    { shown: ["←", "→", "↑", "↓"], text: "move the cross (Shift: in small steps)" },
    { shown: ["Enter"], text: "look at the spectrum below the cross" },
    { shown: ["space"], text: "begin a box, and end it: the list shows what is inside" },
    { shown: ["Esc"], text: "leave the box" },
  ],
  "With a pointer": [
    { shown: ["drag"], text: "over a plot: zoom in; on the map: list what is inside" },
    { shown: ["double click"], text: "all wavelengths" },
    { shown: ["wheel"], text: "zoom (Shift: pan)" },
    { shown: ["click"], text: "in the list or on the map: look at that spectrum" },
  ],
};
const ACTS = new Map([...LABELLING, ...DRAWING].flatMap(({ keys = [], act }) => keys.map((key) => [key, act])));
const WRITTEN = new Set(["text", "number", "search"]);

let quality = false; // q was pressed: a digit is the VI quality

function shift(event, sign) {
  showZ(Number((state.shownZ + sign * (event.shiftKey ? 0.01 : 0.0001)).toFixed(6)));
}

function toggleHelp() {
  const help = byId("help");
  if (help.open) help.close();
  else help.showModal();
}

/** Whether the focused element takes this key itself. */
function taken(target, key) {
  if (target instanceof HTMLInputElement && WRITTEN.has(target.type)) return true;
  if (target instanceof HTMLInputElement && target.type === "range") return key.startsWith("Arrow");
  if (target instanceof HTMLSelectElement) return key.startsWith("Arrow") || key === " ";
  return key === " " && target.matches("button, input, summary, a");
}

function leaveField(event) {
  if (event.key !== "Enter" && event.key !== "Escape") return false;
  const written = event.target instanceof HTMLInputElement && WRITTEN.has(event.target.type);
  if (written) event.target.blur();
  return written;
}

/** Return the digit of a key, and whether it is the VI quality. */
function digitOf(event) {
  if (/^[0-9]$/.test(event.key)) return { digit: Number(event.key), assessed: quality };
  const code = event.shiftKey && /^Digit([0-9])$/.exec(event.code);
  return code ? { digit: Number(code[1]), assessed: true } : null;
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (leaveField(event) || taken(event.target, event.key)) return;
  if (byId("help").open && event.key !== "?") return;

  const found = digitOf(event);
  const act = ACTS.get(event.key);
  if (found) {
    if (found.assessed && found.digit <= 4) assess(found.digit);
    else if (!found.assessed && found.digit <= 5) rate(found.digit);
    else set({ notice: `${found.digit} is no ${found.assessed ? "VI quality" : "interest"}.` });
  } else if (event.key === "q") {
    set({ notice: "VI quality: press 0 to 4" });
  } else if (act) {
    act(event);
  } else {
    return;
  }
  quality = event.key === "q";
  event.preventDefault();
}

function helpRow({ keys, shown, text }) {
  return element(
    "tr",
    {},
    element("td", {}, ...(shown ?? keys).flatMap((key) => [element("kbd", {}, key), " "])),
    element("td", {}, text),
  );
}

/** Listen to keys, and list them in the help. */
export function startKeys() {
  const parts = Object.entries(HELP).map(([title, all]) =>
    element("table", {}, element("caption", {}, title), element("tbody", {}, ...all.map(helpRow))),
  );
  byId("help-keys").replaceChildren(...parts);
  byId("open-help").addEventListener("click", toggleHelp);
  byId("close-help").addEventListener("click", toggleHelp);
  byId("skip").addEventListener("click", skip);

  addEventListener("keydown", onKey);
  // A button that the mouse pressed gives the focus back, so that space skips.
  addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest?.("button")?.blur();
  });
}
