// Lines of the server's log, and those that are about something.

import { arrange, el } from "./dom.js";
import { moment } from "./format.js";
import { store } from "./store.js";

// "shop/orders" is not in a line about shop/orders-archive.
function expressionOf(name) {
  const escaped = name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`(^|[^\\p{L}\\p{N}_./-])${escaped}(?![\\p{L}\\p{N}_/-]|\\.[\\p{L}\\p{N}])`, "u");
}

export function linesAbout(names) {
  const expressions = names.map(expressionOf);
  return store.log.filter(({ text }) => expressions.some((expression) => expression.test(text)));
}

function drawLine({ time, level, text }) {
  const when = el("time", { datetime: new Date(time * 1000).toISOString() }, moment(time));
  return el("li", { class: level }, when, el("b", {}, level), el("span", {}, text));
}

const drawn = new WeakMap(); // element -> its lines, by key

// What stays is not drawn again: a reader's selection and place stay where lines come. Lines are told apart by number
// and time, as a server that is started again numbers its lines from 1; and on another day each has its day.
export function drawLines(list, lines, none) {
  const today = new Date().toDateString();
  const before = drawn.get(list) ?? new Map();
  const keyOf = ({ time, number }) => `${today} ${time} ${number}`;
  const items = new Map(lines.map((line) => [keyOf(line), before.get(keyOf(line)) ?? drawLine(line)]));
  if (items.size === 0) items.set(none, before.get(none) ?? el("li", { class: "empty" }, none));
  drawn.set(list, items);
  arrange(list, [...items.values()]);
}
