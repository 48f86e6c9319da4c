/** API: requests to the server, and its binary format: a JSON header, then arrays. */

const ARRAYS = {
  i8: BigInt64Array,
  i4: Int32Array,
  f8: Float64Array,
  f4: Float32Array,
  u1: Uint8Array,
};

let token = "";

/** The server refused a request (status 400 to 499) and says why. */
export class Refused extends Error {}

/** The server is away, or cannot do its work now; asking again later may help. */
export class Away extends Error {}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Away("the server does not answer");
  }
  if (response.ok) return response;

  const { error } = await response.json().catch(() => ({}));
  const message = error || `the server answered with status ${response.status}`;
  throw response.status < 500 && response.status !== 429 ? new Refused(message) : new Away(message);
}

async function send(path, content) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: JSON.stringify(content),
  });
  return response.json();
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
  return night;
}

export async function getColumns() {
  return (await binary("/api/columns")).arrays;
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

export async function getLabels() {
  return (await ask("/api/labels")).json();
}

export function postLabel(label) {
  return send("/api/labels", label);
}

export function postUndo() {
  return send("/api/labels/undo", {});
}
