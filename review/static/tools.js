/** Tools: the controls below the spectrum. */

import { byId, element } from "./elements.js";
import { CHOICES } from "./lines.js";
import { redshifts, showZ } from "./navigation.js";
import { on, set, state } from "./store.js";

const FINE = 0.01; // the coarse slider's step, and the range of the fine one

function drawRedshift() {
  const coarse = Math.floor(state.shownZ / FINE + 1e-9) * FINE;
  if (document.activeElement !== byId("z")) byId("z").value = state.shownZ.toFixed(4);
  byId("z-coarse").value = coarse;
  byId("z-fine").value = state.shownZ - coarse;
  for (const button of byId("candidates").children) {
    const shown = Math.abs(Number(button.value) - state.shownZ) < 1e-5;
    button.setAttribute("aria-pressed", `${shown}`);
  }
}

function drawCandidates() {
  if (!state.spectrum) return;
  const buttons = redshifts().map(({ name, z }) => {
    const text = `${z.toFixed(4)} ${name}`;
    const button = element("button", { type: "button", value: `${z}` }, text);
    button.addEventListener("click", () => showZ(z));
    return button;
  });
  byId("candidates").replaceChildren(...buttons);
  drawRedshift();
}

function drawChoices() {
  byId("smoothing").value = state.smoothing;
  byId("smoothing-shown").value = `${state.smoothing} ${state.smoothing === 1 ? "pixel" : "pixels"}`;
  byId("lines").value = state.lines;
  byId("frame").value = state.frame;
}

/** Mark the next kind of lines. */
export function nextLines() {
  set({ lines: CHOICES[(CHOICES.indexOf(state.lines) + 1) % CHOICES.length] });
}

export function otherFrame() {
  set({ frame: state.frame === "rest" ? "observed" : "rest" });
}

/** Connect the controls to the state. */
export function startTools() {
  const slid = () => showZ(Number(byId("z-coarse").value) + Number(byId("z-fine").value));
  byId("z-coarse").addEventListener("input", slid);
  byId("z-fine").addEventListener("input", slid);
  byId("z").addEventListener("input", () => {
    if (byId("z").value !== "") showZ(byId("z").valueAsNumber);
  });
  byId("smoothing").addEventListener("input", () => {
    set({ smoothing: byId("smoothing").valueAsNumber });
  });
  byId("lines").addEventListener("change", () => set({ lines: byId("lines").value }));
  byId("frame").addEventListener("change", () => set({ frame: byId("frame").value }));

  on(["spectrum"], drawCandidates);
  on(["shownZ"], drawRedshift);
  on(["smoothing", "lines", "frame"], drawChoices);
  drawChoices();
}
