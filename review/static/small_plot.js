/** Small plot: curves on a canvas, without axes, as one of several that are compared. */

/**
 * Return the mean of each of some bins, null where a bin has no value.
 *
 * @param {Float32Array} wave ascending
 * @param {Float32Array} flux
 * @param {Float32Array | null} ivar weights; null where all have the same
 * @param {[number, number]} range of the wavelengths
 * @param {number} count of the bins
 */
export function binned(wave, flux, ivar, [least, most], count) {
  const sums = new Float64Array(count);
  const weights = new Float64Array(count);
  const scale = count / (most - least);
  for (let i = 0; i < wave.length; i += 1) {
    const bin = Math.floor((wave[i] - least) * scale);
    if (bin < 0 || bin >= count || !Number.isFinite(flux[i])) continue;
    const weight = ivar ? ivar[i] : 1;
    sums[bin] += weight * flux[i];
    weights[bin] += weight;
  }
  return Array.from(sums, (sum, bin) => (weights[bin] > 0 ? sum / weights[bin] : null));
}

/** Return the given share of the values that are there, 0 to 1. */
export function quantile(values, share) {
  const known = Float64Array.from(values.filter((one) => one !== null)).sort();
  return known.length ? known[Math.round(share * (known.length - 1))] : NaN;
}

/**
 * Draw curves of values at equal steps over the whole width.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {[number, number]} limits of the values
 * @param {{values: (number | null)[], stroke: string, width: number}[]} curves the last on top
 * @param {function(CanvasRenderingContext2D): void} ground draws what lies below them
 */
export function drawSmall(canvas, [low, high], curves, ground = () => {}) {
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
  const ctx = canvas.getContext("2d");
  ground(ctx);
  for (const { values, stroke, width } of curves) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = width * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.beginPath();
    let begun = false;
    values.forEach((value, i) => {
      // Zoomed in, most bins are empty: the curve goes on to the next that is not.
      if (value === null) return;
      const x = ((i + 0.5) / values.length) * canvas.width;
      const y = ((high - value) / (high - low)) * canvas.height;
      if (begun) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
      begun = true;
    });
    ctx.stroke();
  }
}
