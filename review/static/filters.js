/**
 * Filters: which rows the list shows. A filter by value is the list of its values, one by range is
 * [least, most] with null where it is open, and the lasso is a polygon on the map; what is not
 * filtered is absent.
 */

import { byId, element } from "./elements.js";
import { words } from "./numbers.js";
import { on, set, state } from "./store.js";

/** Each filter, and the value of a row. */
const VALUES = {
  flagged: { title: "Flagged", of: (c, row) => c.flagged[row], text: (v) => (v ? "yes" : "no") },
  cause: { title: "Cause", of: (c, row) => c.cause[row], text: (v) => category("cause", v) },
  label: {
    title: "Interest given",
    of: (c, row) => c.label[row],
    text: (v) => (v < 0 ? "none yet" : `${v}`),
  },
  spectype: {
    title: "Class",
    of: (c, row) => c.spectype[row],
    text: (v) => state.categories.spectype[v] || "unknown",
  },
  zwarn: {
    title: "ZWARN",
    of: (c, row) => Number(c.zwarn[row] !== 0),
    text: (v) => (v ? "set" : "0"),
  },
  status: { title: "Status", of: (c, row) => c.status[row], text: (v) => `${v}` },
  tileid: { title: "Tile", of: (c, row) => c.tileid[row], text: (v) => `${v}` },
  petal: { title: "Petal", of: (c, row) => c.petal[row], text: (v) => `${v}` },
};
const RANGES = { snr: "S/N", z: "Redshift" };
const NAMES = [...Object.keys(VALUES), ...Object.keys(RANGES), "lasso"];

function category(name, value) {
  return words(state.categories[name][value]);
}

/** Return the filters as the parameters of an address. */
export function toParameters(filters) {
  const parameters = new URLSearchParams();
  for (const [name, filter] of Object.entries(filters)) {
    if (name in RANGES) parameters.set(name, filter.map((end) => end ?? "").join(".."));
    else parameters.set(name, filter.flat().join(","));
  }
  return parameters;
}

/** Return the filters that an address names; what cannot be read is left out. */
export function fromParameters(parameters) {
  const filters = {};
  for (const name of NAMES) {
    const text = parameters.get(name);
    if (!text) continue;

    const split = text.split(name in RANGES ? ".." : ",");
    const numbers = split.map((one) => (one === "" ? null : Number(one)));
    if (numbers.some(Number.isNaN)) continue;
    if (name in RANGES && numbers.length === 2) filters[name] = numbers;
    else if (name in VALUES) filters[name] = numbers;
    else if (name === "lasso" && numbers.length >= 6) filters.lasso = pairs(numbers);
  }
  return filters;
}

function pairs(numbers) {
  const points = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) points.push([numbers[i], numbers[i + 1]]);
  return points;
}

/** Whether a point lies in a polygon, by the even-odd rule. */
function inside(xs, ys, x, y) {
  let found = false;
  for (let i = 0, j = xs.length - 1; i < xs.length; j = i, i += 1) {
    const crosses = ys[i] > y !== ys[j] > y;
    if (crosses && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) found = !found;
  }
  return found;
}

/** Return a function that says whether a row lies in a polygon on the map. */
function lassoed(polygon, { map_x: x, map_y: y }) {
  const xs = Float64Array.from(polygon, ([one]) => one);
  const ys = Float64Array.from(polygon, ([, one]) => one);
  const [west, east] = [Math.min(...xs), Math.max(...xs)];
  const [south, north] = [Math.min(...ys), Math.max(...ys)];
  return (row) =>
    x[row] >= west &&
    x[row] <= east &&
    y[row] >= south &&
    y[row] <= north &&
    inside(xs, ys, x[row], y[row]);
}

/** Return for each filter that is set a function that says whether a row passes it. */
function tests(filters, columns) {
  return Object.entries(filters).map(([name, filter]) => {
    if (name in VALUES) {
      const chosen = new Set(filter);
      return [name, (row) => chosen.has(VALUES[name].of(columns, row))];
    }
    if (name in RANGES) {
      const [least, most] = filter;
      const values = columns[name];
      return [name, (row) => values[row] >= (least ?? -Infinity) && values[row] <= (most ?? Infinity)];
    }
    return [name, lassoed(filter, columns)];
  });
}

/** Return the rows that pass, in the order of the ranking, and the counts of all values. */
export function apply(filters, columns, ranking) {
  const found = tests(filters, columns);
  const valueNames = Object.keys(VALUES);
  const counts = Object.fromEntries(valueNames.map((name) => [name, new Map()]));
  const rows = new Int32Array(ranking.length);
  let kept = 0;

  for (const row of ranking) {
    let failed = 0;
    let failing = "";
    for (const [name, passes] of found) {
      if (passes(row)) continue;
      failed += 1;
      failing = name;
      if (failed > 1) break;
    }
    if (failed > 1) continue;

    if (failed === 0) {
      rows[kept] = row;
      kept += 1;
    }
    // A row that only one filter leaves out counts there: so many would come back.
    for (const name of failed ? [failing] : valueNames) {
      if (!(name in VALUES)) continue;
      const value = VALUES[name].of(columns, row);
      counts[name].set(value, (counts[name].get(value) ?? 0) + 1);
    }
  }
  return { rows: rows.slice(0, kept), counts };
}

/** Replace one filter; null removes it. */
export function setFilter(name, filter) {
  const filters = { ...state.filters };
  if (filter === null) delete filters[name];
  else filters[name] = filter;
  set({ filters });
}

function update() {
  if (!state.ranking) return;
  set(apply(state.filters, state.columns, state.ranking));
}

function toggle(name, value, wanted) {
  const others = (state.filters[name] ?? []).filter((one) => one !== value);
  const chosen = wanted ? [...others, value] : others;
  setFilter(name, chosen.length ? chosen : null);
}

function drawValues(name) {
  const counts = state.counts[name] ?? new Map();
  const chosen = state.filters[name] ?? [];
  const values = [...new Set([...counts.keys(), ...chosen])].sort((a, b) => a - b);
  const box = byId(`filter-${name}`);
  const focused = box.contains(document.activeElement) ? document.activeElement.value : null;

  box.replaceChildren(
    ...values.map((value) => {
      const input = element("input", {
        type: "checkbox",
        value: `${value}`,
        checked: chosen.includes(value),
      });
      input.addEventListener("change", () => toggle(name, value, input.checked));
      const count = element("span", { class: "count" }, `${counts.get(value) ?? 0}`);
      return element("label", {}, input, ` ${VALUES[name].text(value)} `, count);
    }),
  );
  if (focused !== null) box.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
}

function draw() {
  for (const name of Object.keys(VALUES)) drawValues(name);
  for (const name of Object.keys(RANGES)) {
    const [least, most] = state.filters[name] ?? [null, null];
    byId(`filter-${name}-least`).value = least ?? "";
    byId(`filter-${name}-most`).value = most ?? "";
  }
  byId("clear-lasso").hidden = !state.filters.lasso;
  byId("clear-filters").hidden = Object.keys(state.filters).length === 0;
  const shown = state.rows.length.toLocaleString("en");
  byId("shown").textContent = `${shown} of ${state.columns.z.length.toLocaleString("en")} spectra`;
}

function rangeInputs(name) {
  const inputs = ["least", "most"].map((end) => {
    const input = element("input", {
      type: "number",
      step: "any",
      id: `filter-${name}-${end}`,
      "aria-label": `${RANGES[name]}, ${end}`,
      placeholder: end,
    });
    input.addEventListener("change", () => {
      const range = inputs.map((one) => (one.value === "" ? null : Number(one.value)));
      setFilter(name, range.every((one) => one === null) ? null : range);
    });
    return input;
  });
  return inputs;
}

/** Make the form, and keep the list at what the filters leave. */
export function startFilters() {
  const form = byId("filters");
  for (const [name, { title }] of Object.entries(VALUES)) {
    const box = element("div", { id: `filter-${name}`, class: "values" });
    const open = name === "cause" || name === "flagged";
    const group = element("details", {}, element("summary", {}, title), box);
    group.open = open;
    form.append(group);
  }
  for (const [name, title] of Object.entries(RANGES)) {
    const inputs = element("div", { class: "range" }, ...rangeInputs(name));
    form.append(element("div", { class: "ranges" }, element("span", {}, title), inputs));
  }

  byId("clear-lasso").addEventListener("click", () => setFilter("lasso", null));
  byId("clear-filters").addEventListener("click", () => set({ filters: {} }));
  on(["filters", "ranking", "columns"], update);
  on(["rows", "counts"], draw);
}
