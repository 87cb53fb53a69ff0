// Lines of the server's log, and those that are about something.

import { el } from "./dom.js";
import { moment } from "./format.js";
import { store } from "./store.js";

// "shop/orders" is not in a line about shop/orders-archive.
function expressionOf(name) {
  const escaped = name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`(^|[^\\p{L}\\p{N}_./-])${escaped}(?![\\p{L}\\p{N}_/-]|\\.[\\p{L}\\p{N}])`, "u");
}

// Those that have one of these names in them.
export function linesAbout(names) {
  const expressions = names.map(expressionOf);
  return store.log.filter(({ text }) => expressions.some((expression) => expression.test(text)));
}

function drawLine({ time, level, text }) {
  const when = el("time", { datetime: new Date(time * 1000).toISOString() }, moment(time));
  return el("li", { class: level }, when, el("b", {}, level), el("span", {}, text));
}

// Draws again only what has changed: a reader's selection and scroll position stay. Lines are told apart by number and
// time, as a server that is started again numbers its lines from 1; and on another day each has its day.
export function drawLines(list, lines, none) {
  const today = new Date().toDateString();
  const key = lines.length === 0 ? none : [today, lines[0].time, ...lines.map(({ number }) => number)].join();
  if (list.dataset.shown === key) return;
  list.dataset.shown = key;
  list.replaceChildren(...(lines.length > 0 ? lines.map(drawLine) : [el("li", { class: "empty" }, none)]));
}
