/** Neighbours: spectra that are like this one, of the training sample and of the night. */

import { getNeighbours } from "./api.js";
import { byId, colour, element, onTheme } from "./elements.js";
import { select, spectrumOf } from "./navigation.js";
import { fixed, small, words } from "./numbers.js";
import { startPanel } from "./panel.js";
import { binned, drawSmall, quantile } from "./small_plot.js";
import { on, state } from "./store.js";

const BINS = 160;

let drawn = []; // {canvas, values}: binned flux in the rest frame

/** Return flux in bins over the model's wavelengths, its median 1, which the eye can compare. */
function curve({ rest_wave: wave, rest_flux: flux, rest_ivar: ivar }) {
  const { rest_wave: own } = state.spectrum;
  const values = binned(wave, flux, ivar, [own[0], own[own.length - 1]], BINS);
  const size = quantile(values.map((one) => (one === null ? null : Math.abs(one))), 0.5) || 1;
  return values.map((one) => (one === null ? null : one / size));
}

function draw() {
  if (!state.spectrum?.rest_wave.length) return;
  const own = { values: curve(state.spectrum), stroke: colour("masked"), width: 2 };
  for (const { canvas, values } of drawn) {
    const [low, high] = [quantile(values, 0.01), quantile(values, 0.99)];
    const margin = 0.3 * (high - low) || 1;
    const curves = [own, { values, stroke: colour("accent"), width: 1.2 }];
    drawSmall(canvas, [low - margin, high + margin], curves);
  }
}

function card(texts, name, picture, ...more) {
  const canvas = element("canvas", { role: "img", "aria-label": name });
  const caption = element("figcaption", {}, ...texts.flatMap((one) => [one, element("br")]), ...more);
  if (picture) drawn.push({ canvas, values: picture });
  return element("figure", {}, picture ? canvas : null, caption);
}

/** Return the card of a training neighbour, whose flux only the decoder knows. */
function reference(one, flux) {
  const picture = flux && curve({ rest_wave: flux.wave, rest_flux: flux.values, rest_ivar: null });
  const far = `farther than the nearest of ${fixed(100 * one.quantile, 0)} % of inliers`;
  const texts = [
    `${one.spectype || "class unknown"}, z = ${fixed(one.z, 3)}${one.label ? `: ${one.label}` : ""}`,
    `distance ${fixed(one.distance, 2)}, ${far}`,
  ];
  return card(texts, `Neighbour ${one.targetid} as the model draws it`, picture, `${one.targetid}`);
}

/** Return the card of a spectrum of the night, which a button shows. */
async function similar(row) {
  const { columns: c, categories } = state;
  const button = element("button", { type: "button" }, `${c.targetid[row]}`);
  button.addEventListener("click", () => select(row));
  const label = c.label[row] < 0 ? "" : `, interest ${c.label[row]}`;
  const texts = [
    `${categories.spectype[c.spectype[row]] || "class unknown"}, z = ${fixed(c.z[row], 3)}${label}`,
    `p = ${small(c.p_value[row])}, ${words(categories.cause[c.cause[row]])}`,
  ];
  const spectrum = await spectrumOf(row).catch(() => null);
  const picture = spectrum?.rest_wave.length && state.spectrum ? curve(spectrum) : null;
  return card(texts, `Flux of ${c.targetid[row]}`, picture, button);
}

async function show(found) {
  const { row, spectrum } = state;
  const empty = () => {
    drawn = [];
    for (const id of ["neighbour-list", "similar-list"]) byId(id).replaceChildren();
  };
  empty();
  byId("votes").textContent = "";
  if (!found) return;

  const { wave, night } = found;
  const near = found.votes.map(({ name, votes, voters }) => `${name}, ${votes} of ${voters}`);
  byId("votes").textContent = near.length ? `Those that are near say: ${near.join("; ")}.` : "";
  const references = spectrum.meta.neighbours.map((one, i) => {
    const values = found.flux.subarray(i * wave.length, (i + 1) * wave.length);
    return reference(one, values.length ? { wave, values } : null);
  });
  byId("neighbour-list").replaceChildren(...references);
  draw();
  const cards = await Promise.all(night.map(similar));
  if (row !== state.row) return;
  byId("similar-list").replaceChildren(...cards);
  draw();
}

/** Fetch the neighbours where their panel is open. */
export function startNeighbours() {
  const say = (text) => {
    byId("no-neighbours").textContent = text;
  };
  startPanel("neighbours", getNeighbours, show, say);
  new ResizeObserver(draw).observe(byId("neighbours"));
  onTheme(draw);
  on(["spectrum"], draw);
}
