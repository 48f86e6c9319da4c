/** Mask: which pixels are not used, and why, by the names of DESI's bits. */

import { state } from "./store.js";

function names(bits) {
  return state.night.mask_bits.filter((_, bit) => (bits >> bit) & 1);
}

/** Return why the pixel at a wavelength, observed Å, is not used, or "" where it is. */
export function maskedAt(observed) {
  const { wave, mask, mask_bits: bits } = state.spectrum;
  const pixel = Math.round((observed - wave[0]) / (wave[1] - wave[0]));
  if (!(pixel in mask)) return "";
  const why = names(bits[pixel]).join(", ");
  if (mask[pixel]) return `not used: ${why || "no inverse variance"}`;
  return why && `used, but masked in one of two cameras: ${why}`;
}

/** Return how many pixels are not used, and how many of them for each reason, as a sentence. */
export function describeMask() {
  const { mask, mask_bits: bits } = state.spectrum;
  const counts = new Map();
  let unused = 0;
  mask.forEach((masked, pixel) => {
    if (!masked) return;
    unused += 1;
    const why = names(bits[pixel]);
    for (const name of why.length ? why : ["no inverse variance"]) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  });
  if (!unused) return "All pixels are used.";
  const reasons = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
  return `${unused} of ${mask.length} pixels are not used: ${reasons.join(", ")}.`;
}
