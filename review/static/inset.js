/** Inset: a stretch of the spectrum at a scale of its own, such as a peak beyond the axis. */

import uPlot from "/vendor/uplot.js";

import { byId, colour, onTheme } from "./elements.js";
import { drawLines } from "./lines.js";
import { drawnFlux, peaksBeyond, shrink } from "./spectrum.js";
import { on, set, state } from "./store.js";

const AROUND = 60; // Å, observed, on either side
const MARGIN = 0.08; // of the range of the values

let plot = null;
let chosen = -1; // of the stretches
let stretches = []; // those of the spectrum when the inset was opened

/** Return peaks beyond the axis and segments, as stretches worth a closer look. */
function findStretches() {
  const peaks = peaksBeyond().map(({ first, last, wave, value }) => ({
    first: first / shrink() - AROUND,
    last: last / shrink() + AROUND,
    name: `peak of ${value.toPrecision(3)} at ${(wave / shrink()).toFixed(0)} Å`,
  }));
  const segments = state.spectrum.meta.segments.map(({ obs_min, obs_max }, i) => ({
    first: obs_min - AROUND,
    last: obs_max + AROUND,
    name: `segment ${i + 1}, ${obs_min.toFixed(0)}–${obs_max.toFixed(0)} Å`,
  }));
  return [...peaks, ...segments];
}

/** Show the next stretch, or the one before; no inset after the last. */
export function nextInset(step) {
  if (!state.spectrum) return;
  if (!state.inset) {
    stretches = findStretches();
    chosen = step > 0 ? -1 : stretches.length;
  }
  chosen += step;
  const inset = stretches[chosen] ?? null;
  const none = stretches.length ? "The inset is closed." : "No peak is beyond the axis, and there is no segment.";
  set({ inset, notice: inset ? `Inset: ${inset.name}` : none });
}

/** Return the least and the greatest value that the inset shows. */
export function shownValues() {
  const { min, max } = plot.scales.y;
  return [min, max];
}

export function closeInset() {
  if (state.inset) set({ inset: null });
}

/** Let an open inset show what is below the pointer, observed Å. */
export function pointInset(wave) {
  if (!state.inset) return;
  const first = wave - AROUND;
  set({ inset: { first, last: wave + AROUND, name: `around ${wave.toFixed(0)} Å` } });
}

function limits(shown) {
  const [first, last] = shown.series[0].idxs ?? [0, -1];
  const values = [3, 4].flatMap((i) => shown.data[i].slice(first, last + 1));
  const known = values.filter((one) => one !== null);
  if (!known.length) return [-1, 1];

  const [least, most] = [Math.min(...known), Math.max(...known)];
  const margin = MARGIN * (most - least) || 1;
  return [least - margin, most + margin];
}

function make() {
  plot?.destroy();
  const box = byId("inset-plot");
  const axis = { stroke: colour("faint"), grid: { stroke: colour("join") }, ticks: { show: false } };
  const flux = { stroke: colour("flux"), width: 1 };
  const model = { stroke: colour("model"), width: 1.6 };
  const series = [{ width: 0 }, { width: 0 }, flux, model];
  plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false }, y: { range: limits } },
      axes: [
        { ...axis, size: 22, space: 60, values: (_, all) => all.map((one) => `${one}`) },
        { ...axis, size: 40, space: 26 },
      ],
      series: [{}, ...series.map((one) => ({ points: { show: false }, ...one }))],
      bands: [{ series: [1, 2], fill: colour("band") }],
      hooks: { draw: [drawLines] },
    },
    [[], [], [], [], []],
    box,
  );
}

function draw() {
  const { inset, spectrum } = state;
  const box = byId("inset");
  box.hidden = !inset || !spectrum;
  if (box.hidden) return;

  if (!plot) make();
  const [first, last] = [inset.first * shrink(), inset.last * shrink()];
  plot.setData(drawnFlux(), false);
  plot.setScale("x", { min: first, max: last });
  byId("inset-name").textContent = inset.name;

  // On the side where the stretch is not.
  const wave = drawnFlux()[0];
  const middle = (wave[0] + wave[wave.length - 1]) / 2;
  box.dataset.side = (first + last) / 2 > middle ? "left" : "right";
}

/** Draw the inset whenever what it shows has changed; another spectrum begins without. */
export function startInset() {
  on(["row"], closeInset);
  on(["spectrum", "fit", "smoothing", "frame", "shownZ", "lines", "inset"], draw);
  onTheme(() => {
    plot?.destroy();
    plot = null;
    draw();
  });
  byId("open-inset").addEventListener("click", () => nextInset(1));
}
