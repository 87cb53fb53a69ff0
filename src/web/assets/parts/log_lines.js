// Lines of the server's log, for the page of the log and that of an object, which has only lines about the object.

/** @import { LogLine } from "../types.js" */

import { arrange, el } from "../base/dom.js";
import { moment } from "../base/format.js";
import { store } from "../state/store.js";

// "shop/orders" is not in a line about shop/orders-archive.
function expressionOf(name) {
  const escaped = name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`(^|[^\\p{L}\\p{N}_./-])${escaped}(?![\\p{L}\\p{N}_/-]|\\.[\\p{L}\\p{N}])`, "u");
}

/** @param {string[]} names @returns {LogLine[]} */
export function linesAbout(names) {
  const expressions = names.map(expressionOf);
  return store.log.filter(({ text }) => expressions.some((expression) => expression.test(text)));
}

function drawLine({ time, level, text }) {
  const when = el("time", { datetime: new Date(time * 1000).toISOString() }, moment(time));
  return el("li", { class: level }, when, el("b", {}, level), el("span", {}, text));
}

const drawn = new WeakMap(); // element of the list -> its items, by keyOf()

// moment() writes lines of other days with their day: all lines are drawn again when the day changes.
export const today = () => new Date().toDateString();

// Items of lines that stay are not made again: a selection and the reader's place stay when lines come. The key of a
// line has its time, as a server that is started again numbers its lines from 1. It also has the day on which the line
// is drawn (today()). none: the text if there are no lines.
export function drawLines(list, lines, none) {
  const day = today();
  const before = drawn.get(list) ?? new Map();
  const keyOf = ({ time, number }) => `${day} ${time} ${number}`;
  const items = new Map(lines.map((line) => [keyOf(line), before.get(keyOf(line)) ?? drawLine(line)]));
  if (items.size === 0) items.set(none, before.get(none) ?? el("li", { class: "empty" }, none));
  drawn.set(list, items);
  arrange(list, [...items.values()]);
}
