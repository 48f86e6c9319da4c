/** Lines: markers of emission and absorption lines at the shown redshift. */

import { colour } from "./elements.js";
import { state } from "./store.js";

export const CHOICES = ["major", "all", "emission", "absorption", "none"];
const APART = 13; // px between names

/** Return the lines that are marked. */
function marked() {
  const { lines } = state.night;
  if (state.lines === "none") return [];
  if (state.lines === "all") return lines;
  if (state.lines === "major") return lines.filter(({ major }) => major);
  return lines.filter(({ kind }) => kind === state.lines);
}

/** Draw the markers into a uPlot whose x is the wavelength in the shown frame. */
export function drawLines(plot) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const stretch = state.frame === "rest" ? 1 : 1 + state.shownZ;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.lineWidth = ratio;

  let written = -Infinity;
  const sorted = [...marked()].sort((a, b) => a.wave - b.wave);
  for (const { name, wave, kind } of sorted) {
    const x = Math.round(plot.valToPos(wave * stretch, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;

    ctx.strokeStyle = colour(kind);
    ctx.fillStyle = colour(kind);
    ctx.setLineDash(kind === "absorption" ? [4 * ratio, 3 * ratio] : []);
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();

    ctx.globalAlpha = 1;
    if (x - written < APART * ratio) continue;
    written = x;
    ctx.save();
    ctx.translate(x - 3 * ratio, bbox.top + 3 * ratio);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(name, 0, 0);
    ctx.restore();
  }
  ctx.restore();
}

/** Return the name of the marked line that is nearest to a rest wavelength, if one is near. */
export function lineAt(rest, within) {
  let best = null;
  for (const line of marked()) {
    const apart = Math.abs(line.wave - rest);
    if (apart < within && (!best || apart < Math.abs(best.wave - rest))) best = line;
  }
  return best?.name ?? "";
}
