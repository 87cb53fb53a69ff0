// The page #/log: recent lines of the server's log.

import { parameters, setParameters } from "../base/address.js";
import { announceOnly, el, setText } from "../base/dom.js";
import { number, plural, zone } from "../base/format.js";
import { filterButtons } from "../parts/filter_buttons.js";
import { drawLines, today } from "../parts/log_lines.js";
import { searchBox, wordsOf } from "../parts/search_box.js";
import { store } from "../state/store.js";

const MAX_SHOWN = 500;

const levels = [
  ["debug", "All"],
  ["warning", "Warnings"],
  ["error", "Errors"],
];
const rank = { debug: 0, info: 1, warning: 2, error: 3 };

export function logPage() {
  const given = parameters();
  const chosen = {
    text: given.get("q") ?? "",
    level: levels.some(([key]) => key === given.get("level")) ? given.get("level") : "debug",
  };
  const list = el("ol", { class: "lines", tabindex: "0", "aria-label": "Lines of the log" });
  const count = el("p", { class: "count" });
  const search = searchBox({
    label: "Filter the lines", placeholder: "Words that a line must have", value: chosen.text,
    changed: (text) => {
      chosen.text = text;
      change();
    },
  });
  let seen = null; // the version of the log that is drawn, and on which day
  const buttons = filterButtons("Show", levels, () => chosen.level, (key) => {
    chosen.level = key;
    change();
  });

  function change() {
    setParameters({ q: chosen.text, level: chosen.level === "debug" ? "" : chosen.level });
    draw(true);
  }

  // Most changes of the store are not of the log.
  function draw(isForced = false) {
    const version = `${store.version.log} ${today()}`;
    if (!isForced && seen === version) return;
    seen = version;
    const words = wordsOf(chosen.text);
    const lines = store.log.filter(({ level, text }) =>
      rank[level] >= rank[chosen.level] && words.every((word) => text.toLowerCase().includes(word)));
    buttons.draw();
    const cut = lines.length > MAX_SHOWN ? `the last ${number(MAX_SHOWN)} of ` : "";
    announceOnly(count, isForced);
    setText(count, store.isReady ? `${cut}${plural(lines.length, "line")}, times in ${zone()}` : "");
    drawLines(list, lines.slice(-MAX_SHOWN).reverse(), empty());
  }

  function empty() {
    if (!store.isReady) return "Loading the log …";
    return store.log.length > 0 ? "No line matches the filter." : "The log is empty.";
  }

  return {
    title: "Log",
    element: el("div", { class: "page" }, el("h1", {}, "Log"),
      el("div", { class: "bar" }, search.element, buttons.element, count), list),
    draw,
    close() {},
  };
}
