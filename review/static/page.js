/** Page: reads the night, then starts all parts. */

import { readAddress, startAddress } from "./address.js";
import { Away, Refused, getColumns, getNight, getOrder, postLogout } from "./api.js";
import { byId, element } from "./elements.js";
import { startExplanation } from "./explanation.js";
import { startExposures } from "./exposures.js";
import { startFilters } from "./filters.js";
import { pointInset, startInset } from "./inset.js";
import { startKeys } from "./keys.js";
import { readLabels, restoreWaiting, startLabels } from "./labels.js";
import { startList } from "./list.js";
import { startMap } from "./map.js";
import { select, startNavigation } from "./navigation.js";
import { startNeighbours } from "./neighbours.js";
import { words } from "./numbers.js";
import { startSpectrum } from "./spectrum.js";
import { on, set, state } from "./store.js";
import { startTools } from "./tools.js";

const LEARNED = new Set(["interest", "expected_improvement", "blend"]);
const AGAIN = 2000; // ms

/** Rank the rows anew; the learned orders are fitted to the labels when they are asked for. */
async function rank() {
  const { order } = state;
  byId("refit").hidden = !LEARNED.has(order);
  try {
    const ranking =
      order === "anomaly" ? Int32Array.from(state.columns.z.keys()) : await getOrder(order);
    if (order === state.order) set({ ranking });
  } catch (error) {
    if (!(error instanceof Away) && !(error instanceof Refused)) throw error;
    set({ notice: `No order by ${words(order)}: ${error.message}.` });
    if (state.ranking && order !== "anomaly") set({ order: "anomaly" });
    else if (!state.ranking) set({ order: "anomaly", ranking: Int32Array.from(state.columns.z.keys()) });
  }
}

async function logOut() {
  if (state.waiting) {
    set({ notice: "Some labels wait to be sent; log out when they are." });
    return;
  }
  try {
    await postLogout();
  } catch (error) {
    if (!(error instanceof Away)) throw error;
    set({ notice: `You are not logged out: ${error.message}.` });
    return;
  }
  location.assign("/login");
}

function drawHeader() {
  const { night } = state;
  byId("night").textContent = `${night.folder}, model ${night.model}, scanner ${night.scanner}`;
  const options = night.orders.map((name) => element("option", { value: name }, words(name)));
  byId("order").replaceChildren(...options);
  byId("log-out").hidden = !night.login;
  byId("log-out").addEventListener("click", logOut);
}

function drawProgress() {
  const place = state.rows.indexOf(state.row) + 1;
  byId("progress").textContent =
    `${place || "–"} of ${state.rows.length}, ${state.labels.size} labelled`;
  byId("order").value = state.order;
}

async function read() {
  const [night, columns] = await Promise.all([getNight(), getColumns()]);
  const named = night.columns.filter(({ categories }) => categories);
  const categories = Object.fromEntries(named.map((one) => [one.name, one.categories]));
  // The places on the map come later.
  const nowhere = new Float32Array(night.rows).fill(NaN);
  set({ night, columns: { ...columns, map_x: nowhere, map_y: nowhere }, categories });
  await readLabels();
}

async function start() {
  await read();
  drawHeader();
  for (const part of [startFilters, startList, startTools, startExplanation]) part();
  startSpectrum(pointInset);
  for (const part of [startInset, startExposures, startNeighbours]) part();
  for (const part of [startLabels, startNavigation, startKeys]) part();

  const row = readAddress();
  startMap();
  startAddress();
  on(["order"], rank);
  on(["rows", "row", "labelled", "order"], drawProgress);
  on(["notice"], () => {
    byId("notice").textContent = state.notice;
  });
  byId("order").addEventListener("change", () => set({ order: byId("order").value }));
  byId("refit").addEventListener("click", rank);
  // The list does not wait for a spectrum, which may wait for the model.
  if (row >= 0) select(row);
  await rank();
  restoreWaiting();
  document.body.dataset.ready = "true";
}

/** Start as soon as the server answers. */
async function startWhenThere() {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof Away) && !(error instanceof Refused)) throw error;
    byId("away").hidden = false;
    byId("away").textContent = `The night cannot be read: ${error.message}. It is asked again.`;
    setTimeout(() => location.reload(), AGAIN);
  }
}

await startWhenThere();
