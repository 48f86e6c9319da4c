/** Exposures: the single spectra of which the coadd is the mean, over the wavelengths shown. */

import { getExposures } from "./api.js";
import { byId, colour, element, onTheme } from "./elements.js";
import { startPanel } from "./panel.js";
import { binned, drawSmall } from "./small_plot.js";
import { shownFlux, shrink } from "./spectrum.js";
import { on, state } from "./store.js";

let found = null; // {wave, exposures: [{expid, night, flux, ivar}]}
let drawing = 0; // animation frame

function figure({ expid, night }) {
  const caption = `Exposure ${expid}, night ${night}`;
  const canvas = element("canvas", { role: "img", "aria-label": caption });
  return element("figure", {}, element("figcaption", {}, caption), canvas);
}

function show(given) {
  found = given;
  byId("exposure-list").replaceChildren(...(found?.exposures ?? []).map(figure));
  const none = found && !found.exposures.length;
  byId("no-exposures").textContent = none ? "There are none in a spectra-*.fits beside the coadd." : "";
  draw();
}

function draw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    if (!found?.exposures.length || !state.spectrum) return;
    const { x, y, left, width } = shownFlux();
    const range = x.map((one) => one / shrink());
    const bins = Math.max(1, Math.round(width));
    const { wave, flux, ivar } = state.spectrum;
    const coadd = { values: binned(wave, flux, ivar, range, bins), stroke: colour("masked"), width: 3 };

    const canvases = byId("exposure-list").querySelectorAll("canvas");
    found.exposures.forEach((one, i) => {
      const canvas = canvases[i];
      canvas.style.marginLeft = `${left}px`;
      canvas.style.width = `${width}px`;
      const values = binned(found.wave, one.flux, one.ivar, range, bins);
      const own = { values, stroke: colour("flux"), width: 1 };
      drawSmall(canvas, y, [coadd, own], (ctx) => shadeSegments(ctx, range));
    });
  });
}

function shadeSegments(ctx, [least, most]) {
  const { width, height } = ctx.canvas;
  const scale = width / (most - least);
  for (const { obs_min, obs_max, sign } of state.spectrum.meta.segments) {
    ctx.fillStyle = colour(sign > 0 ? "above" : "below");
    ctx.fillRect((obs_min - least) * scale, 0, (obs_max - obs_min) * scale, height);
  }
}

/** Fetch the exposures where their panel is open, and draw them as the spectrum is. */
export function startExposures() {
  const say = (text) => {
    byId("no-exposures").textContent = text;
  };
  startPanel("exposures", getExposures, show, say);
  new ResizeObserver(draw).observe(byId("exposures"));
  onTheme(draw);
  on(["shown", "frame", "shownZ"], draw);
}
