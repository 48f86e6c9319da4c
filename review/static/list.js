/** List: the rows that the filters leave, of which only those in sight are elements. */

import { byId, element } from "./elements.js";
import { fixed, small, words } from "./numbers.js";
import { move, select } from "./navigation.js";
import { on, state } from "./store.js";

const HEIGHT = 26; // of a row, as in style.css
const BEYOND = 6; // rows above and below those in sight

function makeRow(place) {
  const row = state.rows[place];
  const c = state.columns;
  const cell = (text) => element("span", { role: "gridcell" }, text);
  const label = c.label[row] < 0 ? "" : `${c.label[row]}`;

  const made = element(
    "div",
    {
      role: "row",
      class: "row",
      id: `row-${row}`,
      "aria-rowindex": `${place + 1}`,
      "aria-selected": `${row === state.row}`,
    },
    cell(small(c.p_value[row])),
    cell(c.targetid[row].toString()),
    cell(words(state.categories.cause[c.cause[row]])),
    cell(fixed(c.z[row], 3)),
    cell(label),
  );
  made.style.top = `${place * HEIGHT}px`;
  made.addEventListener("click", () => select(row));
  return made;
}

function draw() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - BEYOND);
  const last = Math.min(
    state.rows.length,
    Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + BEYOND,
  );

  const made = [];
  for (let place = first; place < last; place += 1) made.push(makeRow(place));
  byId("spacer").replaceChildren(...made);
  list.setAttribute("aria-rowcount", `${state.rows.length}`);
  if (byId(`row-${state.row}`)) list.setAttribute("aria-activedescendant", `row-${state.row}`);
  else list.removeAttribute("aria-activedescendant");
}

function showSelected() {
  const list = byId("list");
  const place = state.rows.indexOf(state.row);
  byId("spacer").style.height = `${state.rows.length * HEIGHT}px`;
  if (place >= 0) {
    const top = place * HEIGHT;
    const bottom = top + HEIGHT - list.clientHeight;
    if (list.scrollTop > top) list.scrollTop = top;
    else if (list.scrollTop < bottom) list.scrollTop = bottom + HEIGHT;
  }
  draw();
}

/** Draw the list, now and whenever it changes or is scrolled. */
export function startList() {
  const list = byId("list");
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    move(step);
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(list);
  on(["rows", "row"], showSelected);
  on(["labelled"], draw);
}
