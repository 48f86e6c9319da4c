/** Explanation: what is known about the present spectrum, as text. */

import { byId, element } from "./elements.js";
import { describeMask } from "./mask.js";
import { fixed, small, words } from "./numbers.js";
import { on, state } from "./store.js";

const LIKELY = 0.01; // probability of the causes that are listed

function tableRow(...cells) {
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

function segmentRow(segment, i) {
  const { obs_min, obs_max, rest_min, rest_max } = segment;
  return tableRow(
    `${i + 1}: ${obs_min.toFixed(0)}–${obs_max.toFixed(0)}`,
    `${rest_min.toFixed(0)}–${rest_max.toFixed(0)}`,
    describeSegment(segment),
  );
}

/** Return what is known of a segment, as one text. */
export function describeSegment({ significance, sign, tags, repeats }) {
  const place = sign > 0 ? "above" : "below";
  return [`${fixed(significance, 1)} σ ${place}`, tags, repeats].filter(Boolean).join("; ");
}

function evidenceRow({ cause, probability, p_value: left, sentence }) {
  const meter = element("meter", { "aria-label": `Probability of ${words(cause)}` });
  meter.value = probability;
  const row = tableRow(words(cause), meter, small(left));
  row.title = sentence;
  row.cells[1].append(` ${fixed(100 * probability, 0)} %`);
  return row;
}

/** Return a link with the places of a template filled, or null where there is no template. */
function link(template, text, values) {
  if (!template) return null;
  const address = template.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** Name the chosen spectrum, and say whether it is the one that is drawn. */
function drawTitle() {
  const { columns: c, row, spectrum, failure } = state;
  if (row < 0) return;
  const spectype = state.categories.spectype[c.spectype[row]] || "class unknown";
  byId("title").textContent =
    `${c.targetid[row]}: ${spectype}, z = ${fixed(c.z[row], 4)}, S/N ${fixed(c.snr[row], 1)}`;
  byId("failure").hidden = !failure;
  byId("failure").textContent = failure;
  const loading = spectrum?.row !== row && !failure;
  byId("parts").classList.toggle("loading", loading);
  byId("spectrum").setAttribute("aria-busy", `${loading}`);
}

function clear() {
  const lists = ["segments", "evidence", "links", "sentence", "legend", "unlikely"];
  for (const id of lists) byId(id).replaceChildren();
  byId("missing").hidden = true;
  byId("spectrum").setAttribute("aria-label", "No spectrum");
}

function draw() {
  if (!state.spectrum) {
    clear();
    return;
  }
  const { meta, row } = state.spectrum;
  const c = state.columns;
  byId("sentence").textContent = meta.sentence || "It has not been explained: it is not flagged.";
  byId("missing").hidden = !meta.notice;
  byId("missing").textContent = meta.notice ? `There is no reconstruction: ${meta.notice}.` : "";
  byId("legend").textContent =
    `p = ${small(meta.p_value)}, q = ${small(meta.q_value)}; tile ${c.tileid[row]}, ` +
    `petal ${c.petal[row]}, fiber ${c.fiber[row]}; ZWARN ${c.zwarn[row]}, status ${c.status[row]}. ` +
    "Shaded and numbered: segments above (blue) or below (orange) the reconstruction; grey: camera " +
    "joins; grey at the edges: masked pixels. Flux in 1e-17 erg / (s cm² Å) with ±1 σ, " +
    `reconstruction in orange; below, the residual over σ. ${describeMask()}`;

  const count = meta.segments.length;
  byId("spectrum").setAttribute(
    "aria-label",
    `Flux and reconstruction of ${meta.targetid}, with ${count} segments that the model does not ` +
      "explain, listed in the table that follows",
  );
  byId("segments").replaceChildren(...meta.segments.map(segmentRow));
  const likely = meta.evidence.filter(({ probability }) => probability >= LIKELY);
  byId("evidence").replaceChildren(...likely.map(evidenceRow));
  const rest = meta.evidence.length - likely.length;
  byId("unlikely").textContent = rest ? `${rest} others are less probable than 1 %.` : "";
  const { links } = state.night;
  const values = { ...meta, TARGETID: meta.targetid };
  const made = [
    link(links.spectrum, "DESI spectrum viewer", values),
    link(links.image, "Legacy Survey", values),
  ];
  byId("links").replaceChildren(...made.filter(Boolean).flatMap((one) => [one, " "]));
}

export function startExplanation() {
  on(["row", "spectrum", "failure"], drawTitle);
  on(["spectrum"], draw);
}
