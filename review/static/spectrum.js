/** Spectrum: flux and residual of the present spectrum, with all that is marked on them. */

import uPlot from "/vendor/uplot.js";

import { byId, colour, onTheme } from "./elements.js";
import { describeSegment } from "./explanation.js";
import { drawLines, lineAt } from "./lines.js";
import { maskedAt } from "./mask.js";
import { smoothed } from "./smoothing.js";
import { on, set, state } from "./store.js";

const JOINS = [
  [5660, 5930],
  [7470, 7720],
]; // Å, observed frame: where two cameras overlap
const CAMERAS = [
  ["b", 3600, 5660],
  ["r", 5930, 7470],
  ["z", 7720, 9824],
];
const WIDEST = 6; // σ that the residual panel shows at least
const APART = 14; // px between the numbers of segments
const CUT = 0.004; // share of the shown values that may lie beyond each end of an axis
const PEAKS = 5; // values beyond the axis that are marked, at most
const CLEAR = 3; // σ by which such a peak lies beyond the axis, or else it may be noise
const NEAR = 12; // px within which they are one peak

let flux = null; // uPlots
let residual = null;
let following = false; // one plot's scale is being set after the other's
let onPoint = () => {}; // called with the wavelength below the pointer, observed Å

/** Return the factor from observed wavelengths to the shown frame. */
export function shrink() {
  return state.frame === "rest" ? 1 / (1 + state.shownZ) : 1;
}

function scaled(values, factor) {
  return Float64Array.from(values, (value) => value * factor);
}

/** Return values at new, ascending places by linear interpolation; null outside. */
function interpolated(at, places, values) {
  const found = new Array(at.length).fill(null);
  let k = 0;
  for (let i = 0; i < at.length; i += 1) {
    while (k + 2 < places.length && places[k + 1] < at[i]) k += 1;
    if (at[i] < places[0] || at[i] > places[places.length - 1]) continue;
    const share = (at[i] - places[k]) / (places[k + 1] - places[k]);
    found[i] = values[k] + share * (values[k + 1] - values[k]);
  }
  return found;
}

/** Return the least and the greatest of the shown values, but for the outermost, widened. */
function limits(plot, series) {
  const [first, last] = plot.series[0].idxs ?? [0, -1];
  const shown = series.flatMap((i) => plot.data[i].slice(first, last + 1));
  const sorted = Float64Array.from(shown.filter((one) => one !== null)).sort();
  if (!sorted.length) return [-1, 1];

  const low = sorted[Math.floor(CUT * (sorted.length - 1))];
  const high = sorted[Math.ceil((1 - CUT) * (sorted.length - 1))];
  const margin = 0.15 * (high - low) || 1;
  return [low - margin, high + 1.6 * margin];
}

function fluxLimits(plot) {
  return limits(plot, [3, 4]);
}

function residualLimits(plot) {
  const widest = Math.max(WIDEST, ...limits(plot, [1]).map(Math.abs));
  return [-widest, widest];
}

function fluxData() {
  const { wave, flux: given, ivar, mask } = state.spectrum;
  const usable = ivar.map((one, i) => (mask[i] ? 0 : one));
  const { values, errors } = smoothed(given, usable, state.smoothing);
  for (let i = 0; i < values.length; i += 1) if (!usable[i]) values[i] = null;

  const above = values.map((one, i) => (one === null ? null : one + errors[i]));
  const below = values.map((one, i) => (one === null ? null : one - errors[i]));
  const { z, rest_wave: rest, model } = state.fit;
  const fitted = model.length
    ? interpolated(wave, scaled(rest, 1 + z), model)
    : new Array(wave.length).fill(null);
  return [scaled(wave, shrink()), above, below, values, fitted];
}

function residualData() {
  const { z, rest_wave: rest, rest_flux: given, rest_ivar: ivar, model } = state.fit;
  if (!model.length) return [[], []];
  const values = Array.from(given, (one, i) =>
    ivar[i] > 0 ? (one - model[i]) * Math.sqrt(ivar[i]) : null,
  );
  return [scaled(rest, (1 + z) * shrink()), values];
}

function shade(plot, first, last, fill) {
  const { ctx, bbox } = plot;
  const left = Math.max(plot.valToPos(first, "x", true), bbox.left);
  const right = Math.min(plot.valToPos(last, "x", true), bbox.left + bbox.width);
  if (right <= left) return null;
  ctx.fillStyle = fill;
  ctx.fillRect(left, bbox.top, Math.max(right - left, devicePixelRatio), bbox.height);
  return (left + right) / 2;
}

/** Shade camera joins and segments, and mark pixels that are not used, below the flux. */
function drawGround(plot) {
  if (!state.spectrum) return;
  const { ctx, bbox } = plot;
  const factor = shrink();
  ctx.save();
  for (const [first, last] of JOINS) shade(plot, first * factor, last * factor, colour("join"));

  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  const bottom = bbox.top + bbox.height - 4 * devicePixelRatio;
  const written = [];
  state.spectrum.meta.segments.forEach(({ obs_min, obs_max, sign }, i) => {
    const name = sign > 0 ? "above" : "below";
    const middle = shade(plot, obs_min * factor, obs_max * factor, colour(name));
    if (middle === null || plot !== flux) return;
    if (written.some((x) => Math.abs(x - middle) < APART * devicePixelRatio)) return;
    written.push(middle);
    ctx.fillStyle = colour("ink");
    ctx.fillText(`${i + 1}`, middle, bottom);
  });

  if (plot === flux) drawMasked(plot, factor);
  ctx.restore();
}

function drawMasked(plot, factor) {
  const { ctx, bbox } = plot;
  const { wave, ivar, mask } = state.spectrum;
  const height = 7 * devicePixelRatio;
  const pixel = Math.max(1, plot.valToPos(wave[1] * factor, "x", true) - plot.valToPos(wave[0] * factor, "x", true));
  ctx.fillStyle = colour("masked");
  for (let i = 0; i < wave.length; i += 1) {
    if (ivar[i] > 0 && !mask[i]) continue;
    const x = plot.valToPos(wave[i] * factor, "x", true);
    if (x >= bbox.left && x <= bbox.left + bbox.width) {
      ctx.fillRect(x - pixel / 2, bbox.top, pixel, height);
      ctx.fillRect(x - pixel / 2, bbox.top + bbox.height - height, pixel, height);
    }
  }
}

function drawCameras(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colour("faint");
  for (const [name, first, last] of CAMERAS) {
    const x = plot.valToPos(((first + last) / 2) * shrink(), "x", true);
    if (x > bbox.left && x < bbox.left + bbox.width) {
      ctx.fillText(name, x, bbox.top + bbox.height - 12 * devicePixelRatio);
    }
  }
  ctx.restore();
}

/**
 * Return the peaks that the axis leaves out, the farthest beyond it first: {first, last, wave,
 * value}, in the shown frame.
 */
export function peaksBeyond() {
  if (!state.spectrum) return [];
  const [wave, above, , values] = flux.data;
  const { x, y } = flux.scales;
  const near = (NEAR * devicePixelRatio * (x.max - x.min)) / flux.bbox.width;
  const beyond = (value) => Math.max(value - y.max, y.min - value);

  const peaks = [];
  values.forEach((value, i) => {
    if (value === null || wave[i] < x.min || wave[i] > x.max) return;
    if (!(beyond(value) > CLEAR * (above[i] - value))) return;
    const last = peaks.at(-1);
    if (!last || wave[i] - last.last > near || value > y.max !== last.value > y.max) {
      peaks.push({ first: wave[i], last: wave[i], wave: wave[i], value });
      return;
    }
    last.last = wave[i];
    if (beyond(value) > beyond(last.value)) Object.assign(last, { wave: wave[i], value });
  });
  return peaks.sort((a, b) => beyond(b.value) - beyond(a.value)).slice(0, PEAKS);
}

/** Mark the peaks that the axis leaves out with their values, and frame the inset's stretch. */
function drawBeyond(plot) {
  const { ctx, bbox } = plot;
  const size = 5 * devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colour("ink");
  ctx.textAlign = "left";
  for (const { wave, value } of peaksBeyond()) {
    const up = value > plot.scales.y.max;
    const x = plot.valToPos(wave, "x", true);
    const tip = up ? bbox.top : bbox.top + bbox.height;
    const base = tip + (up ? size : -size) * 1.6;
    ctx.beginPath();
    ctx.moveTo(x, tip);
    ctx.lineTo(x - size, base);
    ctx.lineTo(x + size, base);
    ctx.fill();
    ctx.fillText(value.toPrecision(3), x + 1.6 * size, up ? base : base + size);
  }

  if (state.inset) {
    const [left, right] = [state.inset.first, state.inset.last].map((one) =>
      Math.min(Math.max(plot.valToPos(one * shrink(), "x", true), bbox.left), bbox.left + bbox.width),
    );
    ctx.strokeStyle = colour("accent");
    ctx.lineWidth = devicePixelRatio;
    ctx.strokeRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

/** Draw a line at residual 0 and at ±3 σ. */
function drawLevels(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour("model");
  for (const level of [-3, 0, 3]) {
    const y = Math.round(plot.valToPos(level, "y", true));
    ctx.setLineDash(level ? [2 * devicePixelRatio, 4 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function follow(plot, key) {
  const other = plot === flux ? residual : flux;
  const { min, max } = plot.scales.x;
  if (key === "x" && plot === flux) set({ shown: [min, max] });
  if (key !== "x" || following || !other) return;
  following = true;
  other.setScale("x", { min, max });
  following = false;
}

/** Say what is below the pointer; an open inset shows it. */
function read(plot) {
  const readout = byId("readout");
  const { left, idx } = plot.cursor;
  if (left < 0 || idx === null || idx === undefined || !state.spectrum) {
    readout.textContent = "";
    return;
  }
  const wave = plot.posToVal(left, "x");
  const observed = wave / shrink();
  const rest = observed / (1 + state.shownZ);
  onPoint(observed);
  const within = (3 * (plot.scales.x.max - plot.scales.x.min)) / plot.bbox.width;
  const line = lineAt(rest, Math.max(within, 3));
  const value = plot === flux ? flux.data[3][idx] : residual.data[1][idx];
  const name = plot === flux ? "flux" : "residual / σ";
  const { segments } = state.spectrum.meta;
  const masked = maskedAt(observed);
  const place = segments.findIndex((one) => observed >= one.obs_min && observed <= one.obs_max);
  readout.textContent =
    `${observed.toFixed(1)} Å observed, ${rest.toFixed(1)} Å rest` +
    (value === null || value === undefined ? "" : `, ${name} ${value.toFixed(2)}`) +
    (line ? `, ${line}` : "") +
    (masked ? `; ${masked}` : "") +
    (place < 0 ? "" : `; segment ${place + 1}: ${describeSegment(segments[place])}`);
}

function options(box, series, limitsOf, hooks) {
  const axis = { stroke: colour("faint"), grid: { stroke: colour("join") }, ticks: { show: false } };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    legend: { show: false },
    cursor: { sync: { key: "wave" }, drag: { x: true, y: false }, points: { show: false } },
    scales: { x: { time: false }, y: { range: limitsOf } },
    axes: [
      { ...axis, size: 26, values: (_, all) => all.map((one) => `${one}`) },
      { ...axis, size: 48 },
    ],
    series: [{}, ...series.map((one) => ({ points: { show: false }, ...one }))],
    hooks: { setScale: [follow], setCursor: [read], ...hooks },
  };
}

/** Return what is drawn: wavelengths in the shown frame, flux + σ, flux − σ, flux, model. */
export function drawnFlux() {
  return flux.data;
}

/** Return the first and the last wavelength that are shown, Å in the shown frame. */
export function shownWavelengths() {
  const { min, max } = flux.scales.x;
  return [min, max];
}

/** Return what the plot of the flux shows, {x, y}, and where on the page, {left, width} in px. */
export function shownFlux() {
  const { x, y } = flux.scales;
  const { left, width } = flux.bbox;
  return {
    x: [x.min, x.max],
    y: [y.min, y.max],
    left: left / devicePixelRatio,
    width: width / devicePixelRatio,
  };
}

/** Zoom by a factor around a share of the plot's width. */
export function zoom(factor, share = 0.5) {
  const [min, max] = shownWavelengths();
  const centre = min + share * (max - min);
  flux.setScale("x", { min: centre - (centre - min) * factor, max: centre + (max - centre) * factor });
}

/** Move the shown wavelengths by a share of their width. */
export function pan(share) {
  const [min, max] = shownWavelengths();
  const step = share * (max - min);
  flux.setScale("x", { min: min + step, max: max + step });
}

/** Show all wavelengths. */
export function resetZoom() {
  const wave = flux.data[0];
  flux.setScale("x", { min: wave[0], max: wave[wave.length - 1] });
}

function onWheel(event) {
  event.preventDefault();
  if (event.shiftKey) pan(Math.sign(event.deltaY || event.deltaX) * 0.1);
  else zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / event.currentTarget.clientWidth);
}

function make() {
  flux?.destroy();
  residual?.destroy();
  const fluxBox = byId("flux-plot");
  const residualBox = byId("residual-plot");
  const line = { stroke: colour("flux"), width: 1 };
  const bands = [{ series: [1, 2], fill: colour("band") }];
  const series = [{ width: 0 }, { width: 0 }, line, { stroke: colour("model"), width: 1.6 }];
  const marks = [drawLines, drawCameras, drawBeyond];

  const forFlux = options(fluxBox, series, fluxLimits, {
    drawClear: [drawGround],
    draw: marks,
  });
  flux = new uPlot({ ...forFlux, bands }, [[], [], [], [], []], fluxBox);
  const forResidual = options(residualBox, [line], residualLimits, {
    drawClear: [drawGround, drawLevels],
  });
  residual = new uPlot(forResidual, [[], []], residualBox);
  for (const plot of [flux, residual]) plot.over.addEventListener("wheel", onWheel, { passive: false });
  for (const plot of [flux, residual]) plot.over.addEventListener("dblclick", resetZoom);
}

/** Draw the data anew; the wavelengths stay where the same spectrum is drawn in the same frame. */
function draw({ keepScale }) {
  if (!flux) return;
  if (!state.spectrum) {
    flux.setData([[], [], [], [], []]);
    residual.setData([[], []]);
    byId("spectrum").dataset.row = "";
    return;
  }
  const [min, max] = shownWavelengths();
  following = true;
  flux.setData(fluxData(), false);
  residual.setData(residualData(), false);
  const wave = flux.data[0];
  const shown =
    keepScale && min !== null && min !== undefined
      ? { min, max }
      : { min: wave[0], max: wave[wave.length - 1] };
  flux.setScale("x", shown);
  residual.setScale("x", shown);
  following = false;

  // When the browser has painted: what tests and measurements wait for.
  const { row } = state.spectrum;
  requestAnimationFrame(() => {
    byId("spectrum").dataset.row = `${row}`;
  });
}

function resize() {
  for (const plot of [flux, residual]) {
    const box = plot.root.parentElement;
    plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  }
}

/**
 * Make the plots, and draw whenever something that they show has changed.
 *
 * @param {function(number): void} pointed called with the wavelength below the pointer, observed Å
 */
export function startSpectrum(pointed) {
  onPoint = pointed;
  make();
  new ResizeObserver(resize).observe(byId("spectrum"));
  onTheme(() => {
    make();
    draw({ keepScale: false });
  });

  let last = { row: -1, frame: state.frame };
  on(["spectrum", "fit", "smoothing", "frame", "shownZ"], () => {
    const row = state.spectrum?.row ?? -1;
    const keepScale = last.row === row && last.frame === state.frame;
    last = { row, frame: state.frame };
    draw({ keepScale });
  });
  on(["lines", "inset"], () => flux.redraw(false));
  byId("reset-zoom").addEventListener("click", resetZoom);
}

/** Change the smoothing by some pixels. */
export function smooth(step) {
  set({ smoothing: Math.min(26, Math.max(0, state.smoothing + step)) });
}
