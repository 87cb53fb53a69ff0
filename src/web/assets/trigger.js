// The page of one ScaledObject: each of its triggers with history, explanation, last changes, error and log lines.

import { addressOf, setParameters } from "./address.js";
import { el, setText } from "./dom.js";
import { filterButtons } from "./filter_buttons.js";
import { clock, zone } from "./format.js";
import { drawLines, linesAbout } from "./log_lines.js";
import { makePanel } from "./panel.js";
import { chosenRange, ranges, USUAL_RANGE } from "./range.js";
import { getJson, listen, store } from "./store.js";
import { LOOK_EVERY_MS, makeLooks } from "./trigger_replicas.js";

const CHANGE_MS = 2000; // a row that changes is explained again, at most so often
const IDLE_MS = 10000; // the others: the ages grow
const HISTORY_EVERY_MS = 5000;

export function triggerPage(namespace, name) {
  const path = `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  const panels = el("div", {});
  const message = el("p", { class: "none" }, "Loading …");
  const lines = el("ol", { class: "lines", tabindex: "0", "aria-label": "Log lines" });
  const made = new Map(); // by the trigger's id: the pages of the server have them in different orders
  const replicas = makeLooks(namespace, name);
  const own = el("button", {
    type: "button", class: "quiet", hidden: true, "aria-label": "The last hour", onclick: () => choose(USUAL_RANGE),
  });
  const buttons = filterButtons(ranges, chosenRange, choose);
  let triggers = [];
  let explained = null; // the triggers' rows of the table, from before they were explained; null: that failed
  let explainedAt = 0;
  let isExplaining = false;
  let logSeen = null; // what the lines were found in, and by
  let isClosed = false;

  function choose(range) {
    setParameters({ range: range === USUAL_RANGE ? "" : range });
    drawRange();
    made.forEach((panel) => panel.redraw());
  }

  function drawRange() {
    const [, from, to] = /^(\d+)-(\d+)$/.exec(chosenRange()) ?? [];
    buttons.draw();
    own.hidden = !to;
    if (to) setText(own, `${clock(Number(from))} – ${clock(Number(to))} ${zone(Number(to))} ✕`);
  }

  function drawPanels() {
    for (const trigger of triggers) made.get(trigger.id).explain(trigger);
  }

  // With each change of anything: whether it is one of the log is found out first.
  function drawLog() {
    const connections = triggers.flatMap(({ source, connectionName }) => [source?.name, connectionName]);
    const words = [...new Set([`${namespace}/${name}`, ...connections].filter(Boolean))];
    const seen = JSON.stringify([store.version.log, words]);
    if (seen === logSeen) return;
    logSeen = seen;
    drawLines(lines, linesAbout(words).slice(-100), "No recent line of the log concerns this trigger.");
  }

  function fail(error) {
    message.hidden = false;
    setText(message, `${namespace}/${name}: ${error.message}`);
  }

  async function explain() {
    const rows = new Map(triggers.map(({ id }) => [id, store.tables.triggers.get(id)]));
    isExplaining = true;
    explained = null;
    try {
      const found = await getJson(`/api/triggers/${path}`);
      if (isClosed) return;
      triggers = found;
      explained = rows;
      message.hidden = true;
      triggers.sort((one, other) => one.superseded - other.superseded || one.id - other.id);
      const chosen = (from, to) => choose(`${Math.floor(from)}-${Math.ceil(to)}`);
      for (const { id } of triggers) if (!made.has(id)) made.set(id, makePanel(path, replicas.looks, chosen));
      for (const [id, panel] of made) {
        if (triggers.some((trigger) => trigger.id === id)) continue;
        panel.close();
        panel.element.remove();
        made.delete(id);
      }
      triggers.forEach((trigger, index) => {
        const { element } = made.get(trigger.id);
        if (panels.children[index] !== element) panels.insertBefore(element, panels.children[index] ?? null);
      });
      drawPanels();
      drawLog(); // the connections may be others
    } catch (error) {
      fail(error);
    } finally {
      isExplaining = false;
      explainedAt = performance.now();
    }
  }

  // Each row that changes is another object.
  function explainChanges() {
    if (isExplaining || document.hidden) return;
    const hasChanged = ({ id }) => explained.get(id) !== store.tables.triggers.get(id);
    const isDue = explained === null || triggers.some(hasChanged);
    if (performance.now() - explainedAt >= (isDue ? CHANGE_MS : IDLE_MS)) explain();
  }

  async function history() {
    try {
      const page = await getJson(`/api/history/${path}`);
      for (const part of page.triggers) {
        // One that KEDA calls for no more may be gone by now: the others are drawn all the same.
        const isCut = part.hasMore && page.triggers.length > 1; // or a page of it alone has no more, either
        const whole = isCut ? await getJson(`/api/history/${path}?trigger=${part.id}`).catch(() => null) : null;
        if (isClosed) return;
        const trigger = whole?.triggers[0] ?? part;
        made.get(trigger.id)?.history(trigger, triggers.find(({ id }) => id === trigger.id)?.now.state);
      }
    } catch (error) {
      if (triggers.length > 0) fail(error);
    }
  }

  // The next request is made when the last one was answered.
  async function repeat(work, everyMs) {
    while (!isClosed) {
      if (!document.hidden) await work();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  explain().then(() => {
    repeat(history, HISTORY_EVERY_MS);
    if (store.hello.hasWorkers || store.hello.hasHpas) repeat(() => replicas.look().then(drawPanels), LOOK_EVERY_MS);
  });
  const timer = setInterval(explainChanges, CHANGE_MS / 2); // and where the server sends nothing
  const stop = listen(() => {
    explainChanges();
    drawLog();
  });
  drawLog();
  drawRange();
  return {
    title: `${namespace}/${name}`,
    element: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: addressOf("/") }, "← All triggers")),
      el("h1", {}, el("span", { class: "soft" }, `${namespace}/`), name),
      store.hello.hasWorkers && el("p", {}, el("a", { href: `#/workers/${path}` }, "Workers")),
      el("div", { class: "bar" }, el("span", { class: "soft", id: "range" }, "Range"), buttons.element, own),
      message, panels, el("section", { class: "panel" }, el("h2", {}, `Log lines (${zone()})`), lines)),
    draw() {},
    close() {
      isClosed = true;
      clearInterval(timer);
      stop();
      made.forEach((panel) => panel.close());
    },
  };
}
