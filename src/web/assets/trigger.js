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

const EXPLAIN_EVERY_MS = 2000;
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
  let rowsSeen = -1;
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

  // A state of the table may come before or after what explains it.
  function drawPanels() {
    rowsSeen = store.version.triggers;
    for (const trigger of triggers) made.get(trigger.id).explain(trigger, store.tables.triggers.get(trigger.id));
  }

  // With each change of anything: whether it is one of the log is found out first.
  function drawLog() {
    const connections = triggers.flatMap(({ source, connectionName }) => [source?.name, connectionName]);
    const words = [...new Set([`${namespace}/${name}`, name, ...connections].filter(Boolean))];
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
    try {
      triggers = await getJson(`/api/triggers/${path}`);
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
    }
  }

  async function history() {
    try {
      const page = await getJson(`/api/history/${path}`);
      for (const part of page.triggers) {
        // One that KEDA calls for no more may be gone by now: the others are drawn all the same.
        const whole = part.hasMore ? await getJson(`/api/history/${path}?trigger=${part.id}`).catch(() => null) : null;
        const trigger = whole?.triggers[0] ?? part;
        made.get(trigger.id)?.history(trigger, store.tables.triggers.get(trigger.id)?.state);
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
    setTimeout(() => repeat(explain, EXPLAIN_EVERY_MS), EXPLAIN_EVERY_MS);
    if (store.hello.hasWorkers || store.hello.hasHpas) repeat(replicas.look, LOOK_EVERY_MS);
  });
  const stop = listen(() => {
    if (store.version.triggers !== rowsSeen) drawPanels();
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
      stop();
      made.forEach((panel) => panel.close());
    },
  };
}
