/**
 * Address: filters, order, row and how it is drawn are in the page's address, so that it can be
 * sent and reloaded.
 */

import { fromParameters, toParameters } from "./filters.js";
import { CHOICES } from "./lines.js";
import { on, set, state } from "./store.js";

const VIEWS = {
  lines: CHOICES,
  frame: ["observed", "rest"],
  mapColour: ["density", "cause", "label", "class", "p"],
};
const usual = { ...state };

/** Take filters, order and row from the address; return the row, −1 where it names none. */
export function readAddress() {
  const parameters = new URLSearchParams(location.search);
  const order = parameters.get("order");
  const known = state.night.orders.includes(order);
  const smoothing = Number(parameters.get("smoothing") ?? state.smoothing);
  if (Number.isInteger(smoothing) && smoothing >= 0 && smoothing <= 26) set({ smoothing });
  for (const [name, all] of Object.entries(VIEWS)) {
    if (all.includes(parameters.get(name))) set({ [name]: parameters.get(name) });
  }
  set({ filters: fromParameters(parameters), order: known ? order : state.order });

  const row = Number(parameters.get("row") ?? -1);
  return Number.isInteger(row) && row >= 0 && row < state.columns.z.length ? row : -1;
}

function write() {
  const parameters = toParameters(state.filters);
  if (state.order !== "anomaly") parameters.set("order", state.order);
  for (const name of ["smoothing", ...Object.keys(VIEWS)]) {
    if (state[name] !== usual[name]) parameters.set(name, `${state[name]}`);
  }
  if (state.row >= 0) parameters.set("row", `${state.row}`);
  // Commas and dots are as good as what they would be escaped to, and can be read.
  const text = parameters.toString().replaceAll("%2C", ",");
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

let writing = 0;

/** Write the address when it changes; not at each key, because browsers limit how often. */
export function startAddress() {
  on(["filters", "order", "row", "smoothing", ...Object.keys(VIEWS)], () => {
    clearTimeout(writing);
    writing = setTimeout(write, 150);
  });
  addEventListener("pagehide", write);
}
