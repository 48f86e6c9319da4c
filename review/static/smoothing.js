/** Smoothing: a Gaussian whose weights are also the pixels' inverse variances. */

/**
 * Return flux and its error, smoothed.
 *
 * A pixel with ivar = 0 has no weight; where all within reach have none, both are null.
 *
 * @param {Float32Array} flux
 * @param {Float32Array} ivar
 * @param {number} sigma standard deviation of the Gaussian, pixels; 0 does not smooth
 */
export function smoothed(flux, ivar, sigma) {
  const reach = Math.ceil(3 * sigma);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    sigma > 0 ? Math.exp(-0.5 * ((i - reach) / sigma) ** 2) : 1,
  );

  const values = new Array(flux.length);
  const errors = new Array(flux.length);
  for (let pixel = 0; pixel < flux.length; pixel += 1) {
    const first = Math.max(0, pixel - reach);
    const last = Math.min(flux.length - 1, pixel + reach);
    let weights = 0;
    let sum = 0;
    let variance = 0;
    for (let i = first; i <= last; i += 1) {
      const near = kernel[i - pixel + reach];
      const weight = near * ivar[i];
      weights += weight;
      sum += weight * flux[i];
      variance += near * weight;
    }
    values[pixel] = weights > 0 ? sum / weights : null;
    errors[pixel] = weights > 0 ? Math.sqrt(variance) / weights : null;
  }
  return { values, errors };
}
