/** Panel: what is fetched of a spectrum only where its panel is open, and the spectrum looked at. */

import { Away, Refused } from "./api.js";
import { byId } from "./elements.js";
import { isDrawn } from "./navigation.js";
import { on, state } from "./store.js";

const REST = 250; // ms on a spectrum before more of it is fetched

/** Open a closed panel, close an open one. */
export function togglePanel(id) {
  byId(id).open = !byId(id).open;
}

/**
 * Let a panel, a details element, show what belongs to the present spectrum.
 *
 * @param {string} id of the details
 * @param {function(number): Promise} get fetches it for a row
 * @param {function(any): void} show is called with it, and with null where there is nothing to show
 * @param {function(string): void} say is called with why it cannot be had, or ""
 */
export function startPanel(id, get, show, say) {
  const panel = byId(id);
  let shown = -1; // row
  let waiting = 0;

  async function fetchIt() {
    const { row } = state;
    if (!panel.open || !isDrawn() || shown === row) return;
    try {
      const found = await get(row);
      if (row !== state.row) return;
      shown = row;
      say("");
      show(found);
    } catch (error) {
      if (!(error instanceof Away) && !(error instanceof Refused)) throw error;
      if (row === state.row) say(`They cannot be shown: ${error.message}.`);
    }
  }

  function update() {
    if (shown !== state.row) {
      shown = -1;
      say("");
      show(null);
    }
    clearTimeout(waiting);
    waiting = setTimeout(fetchIt, REST);
  }

  panel.addEventListener("toggle", update);
  on(["row", "spectrum"], update);
}
