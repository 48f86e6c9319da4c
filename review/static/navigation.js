/** Navigation: which spectrum is looked at, and those that are fetched before they are needed. */

import { Away, Refused, getFit, getSpectrum } from "./api.js";
import { on, set, state } from "./store.js";

const AHEAD = 3; // spectra fetched in advance
const KEPT = 12; // spectra in memory

const fetched = new Map(); // row: promise of a spectrum, the most recently used last

function spectrumOf(row) {
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

function place() {
  return state.rows.indexOf(state.row);
}

/** Look at a row. */
export async function select(row) {
  if (row === state.row) return;
  set({ row });
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
    set({ spectrum, shownZ: z, fit: { z, rest_wave, rest_flux, rest_ivar, model } });
    const here = place();
    for (const next of state.rows.subarray(here + 1, here + 1 + AHEAD)) {
      spectrumOf(next).catch(() => {});
    }
  } catch (error) {
    if (row === state.row) failed(error);
  }
}

function failed(error) {
  if (error instanceof Away) {
    set({ away: `This spectrum cannot be shown: ${error.message}.` });
  } else if (error instanceof Refused) {
    set({ notice: `This spectrum cannot be shown: ${error.message}.` });
  } else {
    throw error;
  }
}

/** Fetch the present spectrum again if it could not be fetched. */
export function retry() {
  if (state.row >= 0 && state.spectrum?.row !== state.row) load(state.row);
}

/** Look at the row that is so many places further down the list; false at its ends. */
export function move(step) {
  const next = place() + step;
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
  if (!Number.isFinite(z) || !state.spectrum) return;
  set({ shownZ: z });
  clearTimeout(waiting);
  waiting = setTimeout(() => fit(z), 80);
}

async function fit(z) {
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
  if (!state.spectrum) return;
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
