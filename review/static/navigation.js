/** Navigation: which spectrum is looked at, and those that are fetched before they are needed. */

import { Away, Refused, getFit, getSpectrum } from "./api.js";
import { on, set, state } from "./store.js";

const AHEAD = 3; // spectra fetched in advance
const KEPT = 24; // spectra in memory

let left = 0; // place in the list where one that is not there was turned to
const fetched = new Map(); // row: promise of a spectrum, the most recently used last

/** Return a promise of a spectrum, from memory where it is there. */
export function spectrumOf(row) {
  const found = fetched.get(row) ?? getSpectrum(row);
  fetched.delete(row);
  fetched.set(row, found);
  found.catch(() => fetched.delete(row));
  if (fetched.size > KEPT) fetched.delete(fetched.keys().next().value);
  return found;
}

/** Forget a spectrum, because its labels have changed. */
export function forget(row) {
  fetched.delete(row);
}

/** Return the place of the spectrum in the list, −1 where it is not there. */
function place() {
  return state.rows.indexOf(state.row);
}

/** Whether the chosen spectrum is the one that is drawn, not one that is still there. */
export function isDrawn() {
  return state.spectrum !== null && state.spectrum.row === state.row;
}

/** Look at a row. */
export async function select(row) {
  if (row === state.row) return;
  if (place() >= 0) left = place();
  set({ row, failure: "" });
  await load(row);
}

async function load(row) {
  try {
    const spectrum = await spectrumOf(row);
    if (row !== state.row) return;

    if (spectrum.meta.targetid !== state.columns.targetid[row].toString()) {
      throw new Refused("the server shows another night now; load the page again");
    }
    const z = spectrum.meta.z ?? 0;
    const { rest_wave, rest_flux, rest_ivar, model } = spectrum;
    const own = { z, rest_wave, rest_flux, rest_ivar, model };
    set({ spectrum, shownZ: z, fit: own, failure: "" });
    const here = place();
    for (const next of state.rows.subarray(here + 1, here + 1 + AHEAD)) {
      spectrumOf(next).catch(() => {});
    }
  } catch (error) {
    if (row === state.row) failed(error);
  }
}

/** Say why the chosen spectrum is not there; another one's must not stand in its place. */
function failed(error) {
  if (!(error instanceof Away) && !(error instanceof Refused)) throw error;
  const text = `This spectrum cannot be shown: ${error.message}.`;
  set({ spectrum: null, fit: null, [error instanceof Away ? "away" : "failure"]: text });
}

/** Fetch the present spectrum again if it could not be fetched. */
export function retry() {
  if (state.row >= 0 && !isDrawn()) load(state.row);
}

/** Look at the row that is so many places further down the list; false at its ends. */
export function move(step) {
  const here = place();
  // From a spectrum that is not in the list back to where it was left.
  const next = here < 0 ? left + Math.max(step, 0) : here + step;
  if (next < 0 || next >= state.rows.length) {
    set({ notice: step > 0 ? "This is the end of the list." : "This is the first of the list." });
    return false;
  }
  select(state.rows[next]);
  return true;
}

/** Look at the next row that has no interest yet. */
export function skip() {
  for (let next = place() + 1; next < state.rows.length; next += 1) {
    if (state.columns.label[state.rows[next]] < 0) {
      select(state.rows[next]);
      return;
    }
  }
  set({ notice: "No spectrum further down is without a label." });
}

let asked = 0;
let waiting = 0;

/** Show another redshift; the reconstruction at it follows when it is asked for no longer. */
export function showZ(z) {
  if (!Number.isFinite(z) || !isDrawn()) return;
  set({ shownZ: z });
  clearTimeout(waiting);
  waiting = setTimeout(() => fit(z), 80);
}

async function fit(z) {
  if (!isDrawn()) return;
  const { row, meta } = state.spectrum;
  asked += 1;
  const mine = asked;
  try {
    const { rest_wave, rest_flux, rest_ivar, model } = state.spectrum;
    const own = { z, rest_wave, rest_flux, rest_ivar, model };
    const found = z === (meta.z ?? 0) ? own : await getFit(row, z);
    if (mine === asked && row === state.row && z === state.shownZ) set({ fit: found });
  } catch (error) {
    if (error instanceof Away || error instanceof Refused) {
      set({ notice: `No reconstruction at z = ${z.toFixed(4)}: ${error.message}.` });
    } else throw error;
  }
}

/** Return the redshifts worth a look: the given one, that of the cause, redrock's next best. */
export function redshifts() {
  const { meta, row } = state.spectrum;
  const best = state.columns.z_best[row];
  const all = [
    { name: "given", z: meta.z },
    { name: "of the cause", z: best },
    ...meta.candidates.map((z, i) => ({ name: `redrock's ${i + 2}.`, z })),
  ];
  return all.filter(
    ({ z }, i) => Number.isFinite(z) && all.findIndex((one) => Math.abs(one.z - z) < 1e-5) === i,
  );
}

/** Show the next of these redshifts. */
export function nextRedshift(step) {
  if (!isDrawn()) return;
  const all = redshifts();
  const here = all.findIndex(({ z }) => Math.abs(z - state.shownZ) < 1e-5);
  const next = all[(Math.max(here, 0) + step + all.length) % all.length];
  showZ(next.z);
  set({ notice: `z = ${next.z.toFixed(4)}, ${next.name}` });
}

/** Look at the first row of the list when the present one has left it. */
export function startNavigation() {
  on(["rows"], () => {
    if (state.rows.length && place() < 0) select(state.rows[0]);
  });
}
