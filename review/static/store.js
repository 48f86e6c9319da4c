/**
 * Store: the only state of the page. Modules read `state`, change it with `set`, and are called
 * when what they named with `on` has changed.
 */

export const state = {
  night: null, // answer of /api/night
  columns: null, // typed array of each column, rows in the order of p_value
  categories: {}, // texts of the columns that hold categories
  order: "anomaly",
  ranking: null, // Int32Array: all rows in that order
  filters: {}, // see filters.js
  counts: {}, // of each filter: rows of each value that the other filters leave
  rows: new Int32Array(0), // what the list shows
  row: -1, // the spectrum that is looked at
  spectrum: null, // its arrays and meta
  shownZ: 0, // redshift of the line markers and the rest frame
  fit: null, // {z, rest_wave, rest_flux, rest_ivar, model}: reconstruction that is drawn
  failure: "", // why the chosen spectrum cannot be shown
  shown: [0, 0], // wavelengths of the plots, Å in the shown frame
  inset: null, // {first, last, name}: stretch of the inset, observed Å
  frame: "observed",
  smoothing: 3, // pixels
  lines: "major",
  mapColour: "cause",
  labels: new Map(), // current label of each row that has one
  labelled: 0, // grows when a label changes
  waiting: 0, // labels that the server does not have yet
  away: "", // what is wrong with the server
  notice: "", // last message for the user
};

const listeners = [];

/** Call a function whenever one of these keys has changed. */
export function on(keys, listener) {
  listeners.push({ keys, listener });
}

/** Change the state; listeners run before this returns. */
export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const { keys, listener } of listeners) {
    if (keys.some((key) => changed.includes(key))) listener();
  }
}
