/** Address: filters, order and row are in the page's address, so that it can be sent and reloaded. */

import { fromParameters, toParameters } from "./filters.js";
import { on, set, state } from "./store.js";

/** Take filters, order and row from the address; return the row, −1 where it names none. */
export function readAddress() {
  const parameters = new URLSearchParams(location.search);
  const order = parameters.get("order");
  const known = state.night.orders.includes(order);
  set({ filters: fromParameters(parameters), order: known ? order : state.order });

  const row = Number(parameters.get("row") ?? -1);
  return Number.isInteger(row) && row >= 0 && row < state.columns.z.length ? row : -1;
}

function write() {
  const parameters = toParameters(state.filters);
  if (state.order !== "anomaly") parameters.set("order", state.order);
  if (state.row >= 0) parameters.set("row", `${state.row}`);
  // Commas and dots are as good as what they would be escaped to, and can be read.
  const text = parameters.toString().replaceAll("%2C", ",");
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

let writing = 0;

/** Write the address when it changes; not at each key, because browsers limit how often. */
export function startAddress() {
  on(["filters", "order", "row"], () => {
    clearTimeout(writing);
    writing = setTimeout(write, 150);
  });
  addEventListener("pagehide", write);
}
