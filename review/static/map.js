/** Map: all spectra of the night where the latent space has been drawn in two dimensions. */

import KDBush from "/vendor/kdbush.js";

import { Away, Refused, getMap } from "./api.js";
import { byId, colour, element, onTheme } from "./elements.js";
import { setFilter } from "./filters.js";
import { select } from "./navigation.js";
import { small, words } from "./numbers.js";
import { on, set, state } from "./store.js";

const MARGIN = 0.04; // of the range of the coordinates
const REACH = 8; // px around the pointer
const STEP = 12; // px that an arrow moves the cross
const WAIT = 500; // ms of rest after which a screen reader is told what is below the cross
const VERTICES = 64; // of a lasso, at most
const AGAIN = 2000; // ms
const STEPS = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"]; // viridis

let tree = null; // KDBush of the rows that have a place
let placed = null; // their rows
let bounds = null; // [least x, most x, least y, most y]
let drawing = null; // polygon in px while a lasso is drawn
let hovered = -1;
let cross = null; // [x, y] in px while the map has the focus
let corner = null; // of the box that is drawn with the keys, px
let saying = 0; // timer

function rgb(text) {
  const value = Number.parseInt(text.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function pack([r, g, b], alpha = 255) {
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function ramp(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STEPS.length - 1);
  const first = Math.min(Math.floor(at), STEPS.length - 2);
  const [low, high] = [rgb(STEPS[first]), rgb(STEPS[first + 1])];
  return pack(low.map((one, i) => Math.round(one + (at - first) * (high[i] - one))));
}

/** Return the entries of the legend: name and colour of each class, and the class of a row. */
function classes() {
  const c = state.columns;
  const shade = (i) => colour(`cause-${i}`);
  const interests = (i) => STEPS[Math.min(Math.max(i, 1), 5) - 1];
  if (state.mapColour === "cause") {
    const names = state.categories.cause.map(words);
    return { names, shade: (i) => shade(names[i] === "no cause" ? 0 : causePlace(i)), of: (row) => c.cause[row] };
  }
  if (state.mapColour === "class") {
    const shades = [1, 6, 7, 0];
    return {
      names: state.categories.spectype.map((name) => name || "unknown"),
      shade: (i) => shade(shades[i] ?? 0),
      of: (row) => c.spectype[row],
    };
  }
  return {
    names: ["no label", "0", "1", "2", "3", "4", "5"],
    shade: (i) => (i === 0 ? shade(0) : i === 1 ? shade(11) : interests(i - 1)),
    of: (row) => c.label[row] + 1,
  };
}

function causePlace(i) {
  return state.night.causes.indexOf(state.categories.cause[i]) + 1;
}

function toPixel(canvas, x, y) {
  const [x0, x1, y0, y1] = bounds;
  return [((x - x0) / (x1 - x0)) * canvas.width, ((y1 - y) / (y1 - y0)) * canvas.height];
}

/** Return where a row is on the map, CSS px. */
export function placeOnMap(row) {
  const { map_x: x, map_y: y } = state.columns;
  return toPixel(byId("map-marks"), x[row], y[row]).map((one) => one / devicePixelRatio);
}

function toPlace(canvas, px, py) {
  const [x0, x1, y0, y1] = bounds;
  return [x0 + (px / canvas.width) * (x1 - x0), y1 - (py / canvas.height) * (y1 - y0)];
}

function findPlaces() {
  const { map_x: x, map_y: y } = state.columns;
  placed = Int32Array.from(x.keys()).filter((row) => Number.isFinite(x[row]) && Number.isFinite(y[row]));
  byId("map-hint").hidden = placed.length === 0;
  bounds = [Infinity, -Infinity, Infinity, -Infinity];
  if (!placed.length) return;

  tree = new KDBush(placed.length);
  for (const row of placed) {
    tree.add(x[row], y[row]);
    bounds = [
      Math.min(bounds[0], x[row]),
      Math.max(bounds[1], x[row]),
      Math.min(bounds[2], y[row]),
      Math.max(bounds[3], y[row]),
    ];
  }
  tree.finish();
  const [wide, high] = [bounds[1] - bounds[0] || 1, bounds[3] - bounds[2] || 1];
  bounds = [
    bounds[0] - MARGIN * wide,
    bounds[1] + MARGIN * wide,
    bounds[2] - MARGIN * high,
    bounds[3] + MARGIN * high,
  ];
}

/** Return which rows the list shows. */
function listed() {
  const kept = new Uint8Array(state.columns.z.length);
  for (const row of state.rows) kept[row] = 1;
  return kept;
}

function fit(canvas) {
  const { clientWidth, clientHeight } = canvas;
  canvas.width = Math.max(1, Math.round(clientWidth * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(clientHeight * devicePixelRatio));
}

/** Draw the points: those that the filters leave last, in their colour. */
function drawPoints() {
  if (!placed?.length) return;
  const canvas = byId("map-points");
  fit(canvas);
  const { width, height } = canvas;
  const image = canvas.getContext("2d").createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);

  if (state.mapColour === "density") drawDensity(pixels, canvas);
  else drawClasses(pixels, canvas);
  canvas.getContext("2d").putImageData(image, 0, 0);
  drawMarks();
}

function drawDensity(pixels, canvas) {
  const size = Math.max(1, Math.round(2 * devicePixelRatio));
  const columns = Math.ceil(canvas.width / size);
  const counts = new Uint32Array(columns * Math.ceil(canvas.height / size));
  const kept = listed();
  const { map_x: x, map_y: y } = state.columns;
  for (const row of placed) {
    if (!kept[row]) continue;
    const [px, py] = toPixel(canvas, x[row], y[row]);
    counts[Math.floor(py / size) * columns + Math.floor(px / size)] += 1;
  }

  const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 1));
  for (let i = 0; i < pixels.length; i += 1) {
    const px = i % canvas.width;
    const count = counts[Math.floor((i - px) / canvas.width / size) * columns + Math.floor(px / size)];
    if (count) pixels[i] = ramp(Math.log1p(count) / most);
  }
  drawLegend([["few", STEPS[0]], ["many", STEPS.at(-1)]]);
}

function drawClasses(pixels, canvas) {
  const c = state.columns;
  const size = Math.max(1, Math.round((placed.length < 20000 ? 3 : 1.5) * devicePixelRatio));
  const kept = listed();
  const faint = pack(rgb(colour("rule")), 90);
  let shadeOf;
  if (state.mapColour === "p") {
    const shades = Array.from({ length: 64 }, (_, i) => ramp(i / 63));
    shadeOf = (row) => shades[Math.min(63, Math.floor(-Math.log10(Math.max(c.p_value[row], 1e-6)) * 10.5))];
    drawLegend([["p = 1", STEPS[0]], ["p ≤ 1e-6", STEPS.at(-1)]]);
  } else {
    const { names, shade, of } = classes();
    const shades = names.map((_, i) => pack(rgb(shade(i))));
    shadeOf = (row) => shades[of(row)] ?? shades[0];
    drawLegend(names.map((name, i) => [name, shade(i)]));
  }

  const put = (row, value) => {
    const [px, py] = toPixel(canvas, c.map_x[row], c.map_y[row]).map(Math.floor);
    for (let j = py; j < Math.min(py + size, canvas.height); j += 1) {
      pixels.fill(value, j * canvas.width + px, j * canvas.width + Math.min(px + size, canvas.width));
    }
  };
  // Rows are in the order of p_value: the least probable are drawn last, on top.
  const last = placed.length - 1;
  for (let i = last; i >= 0; i -= 1) if (!kept[placed[i]]) put(placed[i], faint);
  for (let i = last; i >= 0; i -= 1) if (kept[placed[i]]) put(placed[i], shadeOf(placed[i]));
}

function drawLegend(entries) {
  const svg = "http://www.w3.org/2000/svg";
  const made = entries.map(([name, fill]) => {
    const mark = document.createElementNS(svg, "svg");
    const square = document.createElementNS(svg, "rect");
    mark.setAttribute("aria-hidden", "true");
    square.setAttribute("width", "100%");
    square.setAttribute("height", "100%");
    square.setAttribute("fill", fill);
    mark.append(square);
    return element("span", {}, mark, ` ${name}`);
  });
  byId("map-legend").replaceChildren(...made);
}

function ring(ctx, x, y, radius, stroke) {
  for (const [width, shade] of [
    [4, colour("ground")],
    [2, stroke],
  ]) {
    ctx.lineWidth = width * devicePixelRatio;
    ctx.strokeStyle = shade;
    ctx.beginPath();
    ctx.arc(x, y, radius * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
  }
}

/** Mark this spectrum, its neighbours, the one below the pointer, and the lasso. */
function drawMarks() {
  if (!placed?.length) return;
  const canvas = byId("map-marks");
  fit(canvas);
  const ctx = canvas.getContext("2d");
  const { map_x: x, map_y: y } = state.columns;

  if (state.spectrum) {
    for (const { place } of state.spectrum.meta.neighbours) {
      if (place?.every(Number.isFinite)) ring(ctx, ...toPixel(canvas, ...place), 4, colour("accent"));
    }
  }
  if (hovered >= 0) ring(ctx, ...toPixel(canvas, x[hovered], y[hovered]), 5, colour("faint"));
  const { row } = state;
  if (row >= 0 && Number.isFinite(x[row])) {
    ring(ctx, ...toPixel(canvas, x[row], y[row]), 7, colour("model"));
  }

  if (cross) drawCross(ctx, canvas);
  const polygon = drawing ?? state.filters.lasso?.map(([px, py]) => toPixel(canvas, px, py));
  if (!polygon) return;
  ctx.strokeStyle = colour("ink");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  for (const point of polygon) ctx.lineTo(...point);
  if (!drawing || corner) ctx.closePath();
  ctx.stroke();
}

function drawCross(ctx, { width, height }) {
  const [x, y] = cross;
  ctx.strokeStyle = colour("ink");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (const point of [[x, 0], [x, height]]) ctx.lineTo(...point);
  ctx.moveTo(0, y);
  ctx.lineTo(width, y);
  ctx.stroke();
}

function pointer(event) {
  const canvas = byId("map-marks");
  const box = canvas.getBoundingClientRect();
  return [
    (event.clientX - box.left) * (canvas.width / box.width),
    (event.clientY - box.top) * (canvas.height / box.height),
  ];
}

/** Return the row nearest to a pixel, or −1 where none is near. */
function rowAt([px, py]) {
  const canvas = byId("map-marks");
  const { map_x: x, map_y: y } = state.columns;
  const reach = REACH * devicePixelRatio;
  const [x0, y0] = toPlace(canvas, px - reach, py + reach);
  const [x1, y1] = toPlace(canvas, px + reach, py - reach);

  let best = -1;
  let least = reach ** 2;
  for (const found of tree.range(x0, y0, x1, y1)) {
    const row = placed[found];
    const [qx, qy] = toPixel(canvas, x[row], y[row]);
    const apart = (qx - px) ** 2 + (qy - py) ** 2;
    if (apart < least) [best, least] = [row, apart];
  }
  return best;
}

/** Ring the row below the pointer or the cross, and say which it is. */
function point(place, otherwise) {
  hovered = rowAt(place);
  drawMarks();
  const c = state.columns;
  const text =
    hovered < 0
      ? otherwise
      : `${c.targetid[hovered]}: p = ${small(c.p_value[hovered])}, ` +
        words(state.categories.cause[c.cause[hovered]]);
  byId("map-hint").textContent = text;
  return text;
}

function hover(event) {
  point(pointer(event), "Draw around points to filter the list; click one to look at it.");
}

/** Return the corners of the box between its first corner and the cross, px. */
function box() {
  const [[x0, y0], [x1, y1]] = [corner, cross];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/** Filter the list by a polygon, px. */
function lasso(polygon) {
  const canvas = byId("map-marks");
  const rounded = polygon.map(([px, py]) =>
    toPlace(canvas, px, py).map((one) => Number(one.toFixed(3))),
  );
  setFilter("lasso", rounded);
}

function moveCross(dx, dy) {
  const canvas = byId("map-marks");
  const [x, y] = cross;
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  cross = [within(x + dx, canvas.width), within(y + dy, canvas.height)];
  drawing = corner && box();
}

/** Begin a box at the cross, or end it there. */
function cornerHere() {
  if (!corner) {
    corner = cross;
    return;
  }
  const polygon = box();
  leaveBox();
  if (polygon[0][0] !== polygon[2][0] && polygon[0][1] !== polygon[2][1]) lasso(polygon);
}

function leaveBox() {
  corner = null;
  drawing = null;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  if (!cross || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = (event.shiftKey ? 2 : STEP) * devicePixelRatio;
  if (event.key in ARROWS) moveCross(...ARROWS[event.key].map((one) => one * step));
  else if (event.key === " ") cornerHere();
  else if (event.key === "Escape") leaveBox();
  else if (event.key === "Enter" && hovered >= 0) select(hovered);
  else return;

  // These keys mean something else on the rest of the page.
  event.preventDefault();
  event.stopPropagation();
  say();
}

/** Show what is below the cross; a screen reader is told when it rests. */
function say() {
  const begun = corner ? "A box is begun; space ends it." : "";
  const text = `${begun} ${point(cross, "No spectrum is here.")}`.trim();
  clearTimeout(saying);
  saying = setTimeout(() => {
    byId("map-said").textContent = text;
  }, WAIT);
}

/** Begin with the cross at this spectrum, or in the middle. */
function enter() {
  if (!placed?.length || drawing) return;
  const canvas = byId("map-marks");
  const { row } = state;
  const { map_x: x, map_y: y } = state.columns;
  const here = row >= 0 && Number.isFinite(x[row]);
  cross = here ? toPixel(canvas, x[row], y[row]) : [canvas.width / 2, canvas.height / 2];
  say();
}

/** Let the keys move the map's cross. */
export function focusMap() {
  byId("map-marks").focus();
  if (!cross) enter();
}

function leave() {
  leaveBox();
  cross = null;
  hovered = -1;
  drawMarks();
}

function finish() {
  const polygon = drawing;
  drawing = null;
  const row = rowAt(polygon[0]);
  const far = polygon.some(([px, py]) => Math.hypot(px - polygon[0][0], py - polygon[0][1]) > REACH);
  if (!far && row >= 0) select(row);

  const step = Math.ceil(polygon.length / VERTICES);
  if (far && polygon.length > 2) lasso(polygon.filter((_, i) => i % step === 0));
  drawMarks();
}

function listen() {
  const canvas = byId("map-marks");
  canvas.addEventListener("pointerdown", (event) => {
    if (!placed.length) return;
    drawing = [pointer(event)];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!placed.length) return;
    if (!drawing) return hover(event);
    drawing.push(pointer(event));
    return drawMarks();
  });
  canvas.addEventListener("pointerup", () => drawing && finish());
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && enter());
  canvas.addEventListener("blur", leave);
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("pointercancel", () => {
    drawing = null;
    drawMarks();
  });
}

/** Fetch the places, which the server finds after its start, or say why there are none. */
async function readPlaces() {
  try {
    const places = await getMap();
    set({ columns: { ...state.columns, ...places } });
    findPlaces();
    byId("map-legend").textContent = placed.length ? "" : "These spectra have no places on the map.";
    drawPoints();
  } catch (error) {
    if (error instanceof Away) setTimeout(readPlaces, AGAIN);
    else if (error instanceof Refused) byId("map-legend").textContent = `There is no map: ${error.message}.`;
    else throw error;
  }
}

/** Draw the map of the night, and what changes on it. */
export function startMap() {
  byId("map-colour").value = state.mapColour;
  byId("map-colour").addEventListener("change", () => set({ mapColour: byId("map-colour").value }));
  findPlaces();
  listen();
  new ResizeObserver(drawPoints).observe(byId("map"));
  onTheme(drawPoints);
  on(["rows", "mapColour"], drawPoints);
  on(["labelled"], () => state.mapColour === "label" && drawPoints());
  on(["row", "spectrum"], drawMarks);
  byId("map-legend").textContent = "The places on the map are being found …";
  readPlaces();
}
