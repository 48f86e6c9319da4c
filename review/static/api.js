/** API: requests to the server, and its binary format: a JSON header, then arrays. */

const ARRAYS = {
  i8: BigInt64Array,
  i4: Int32Array,
  f8: Float64Array,
  f4: Float32Array,
  u1: Uint8Array,
};

const PATIENCE = { GET: 120_000, POST: 10_000 }; // ms; a label may be sent again, a coadd is large

let token = "";
let opened = ""; // the night that the page was opened with

/** The server refused a request (status 400 to 499) and says why. */
export class Refused extends Error {}

/** The server refused the token of this page. */
class Forbidden extends Refused {}

/** The server is away, or cannot do its work now; asking again later may help. */
export class Away extends Error {}

async function ask(path, options = {}) {
  let response;
  const signal = AbortSignal.timeout(PATIENCE[options.method ?? "GET"]);
  try {
    response = await fetch(path, { credentials: "same-origin", signal, ...options });
  } catch {
    throw new Away("the server does not answer");
  }
  if (response.ok) return response;

  const { error } = await response.json().catch(() => ({}));
  const message = error || `the server answered with status ${response.status}`;
  if (response.status === 401) throw new Away("log in again, at /login in another tab");
  if (response.status === 403) throw new Forbidden(message);
  throw response.status < 500 && response.status !== 429 ? new Refused(message) : new Away(message);
}

async function send(path, content) {
  const post = () =>
    ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(content),
    });
  try {
    return (await post()).json();
  } catch (error) {
    if (!(error instanceof Forbidden)) throw error;
  }

  // A server that was started again has another token. Row numbers are those of one night.
  const { identity } = await getNight();
  if (identity !== opened) {
    throw new Away("the server shows another night now; start it for the one that is open here");
  }
  return (await post()).json();
}

/** Return header and typed arrays of a body; the arrays are views. */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));

  const arrays = {};
  for (const { name, dtype, offset, length: items } of header.columns) {
    arrays[name] = new ARRAYS[dtype](buffer, offset, items);
  }
  return { header, arrays };
}

async function binary(path) {
  return decode(await (await ask(path)).arrayBuffer());
}

export async function getNight() {
  const night = await (await ask("/api/night")).json();
  token = night.csrf;
  opened ||= night.identity;
  return night;
}

export async function getColumns() {
  return (await binary("/api/columns")).arrays;
}

/** Return map_x and map_y; answered when all places are found. */
export async function getMap() {
  return (await binary("/api/map")).arrays;
}

/** Return all rows in an order, Int32Array. */
export async function getOrder(name) {
  return new Int32Array(await (await ask(`/api/order/${name}`)).arrayBuffer());
}

/** Return the arrays of a spectrum, with its meta. */
export async function getSpectrum(row) {
  const { header, arrays } = await binary(`/api/spectrum/${row}`);
  return { row, meta: header.meta, ...arrays };
}

/** Return the reconstruction of a spectrum at another redshift. */
export async function getFit(row, z) {
  const { arrays } = await binary(`/api/spectrum/${row}/at?z=${z}`);
  return { z, ...arrays };
}

/** Return the exposures of a spectrum: {wave, exposures: [{expid, night, flux, ivar}]}. */
export async function getExposures(row) {
  const { header, arrays } = await binary(`/api/spectrum/${row}/exposures`);
  const { wave, flux, ivar } = arrays;
  const part = (values, i) => values.subarray(i * wave.length, (i + 1) * wave.length);
  const exposures = header.exposures.map((one, i) => ({ ...one, flux: part(flux, i), ivar: part(ivar, i) }));
  return { wave, exposures };
}

/** Return what the model draws of a spectrum's neighbours, and the nearest rows of the night. */
export async function getNeighbours(row) {
  const { header, arrays } = await binary(`/api/spectrum/${row}/neighbours`);
  return { wave: arrays.rest_wave, flux: arrays.flux, night: header.night, votes: header.votes };
}

export async function getLabels() {
  return (await (await ask("/api/labels")).json()).labels;
}

export function postLabel(label) {
  return send("/api/labels", label);
}

export function postUndo() {
  return send("/api/labels/undo", {});
}

export function postLogout() {
  return send("/logout", {});
}
