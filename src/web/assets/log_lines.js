// Lines of the server's log, and those that are about something.

import { el } from "./dom.js";
import { clock } from "./format.js";
import { store } from "./store.js";

export function linesAbout(words) {
  return store.log.filter(({ text }) => words.some((word) => text.includes(word)));
}

function drawLine({ time, level, text }) {
  const when = el("time", { datetime: new Date(time * 1000).toISOString() }, clock(time));
  return el("li", { class: level }, when, el("b", {}, level), el("span", {}, text));
}

// Draws again only what has changed: a reader's selection and scroll position stay. A server that is
// started again numbers its lines from 1.
export function drawLines(list, lines, none) {
  const key = lines.length === 0 ? "none" : [lines[0].time, ...lines.map(({ number }) => number)].join();
  if (list.dataset.shown === key) return;
  list.dataset.shown = key;
  list.replaceChildren(...(lines.length > 0 ? lines.map(drawLine) : [el("li", { class: "none" }, none)]));
}
