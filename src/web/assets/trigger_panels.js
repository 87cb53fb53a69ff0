// The panels of the triggers of one ScaledObject: which there are, what explains them, and their history.

import { el, setText } from "./dom.js";
import { makePanel } from "./panel.js";
import { getJson, store } from "./store.js";

export const CHANGE_MS = 2000; // a row that changes is explained again, at most so often
const IDLE_MS = 10000; // the others: the ages grow

// path: the object's, in addresses of the server. samples, onChoose: as makePanel() has them. onExplained(): the
// triggers and their connections may be others now.
export function makeTriggerPanels({ object, path, samples, onChoose, onExplained }) {
  const list = el("div", {});
  const message = el("p", { class: "empty" }, "Loading …");
  const ofPlots = el("p", { class: "problem", hidden: true });
  const made = new Map(); // by the trigger's id: the pages of the server have them in different orders
  let triggers = [];
  let rows = null; // of the table, from before the triggers were explained; null: that failed
  let explainedAt = 0;
  let isExplaining = false;
  let isClosed = false;

  function draw() {
    for (const trigger of triggers) made.get(trigger.id).explain(trigger);
  }

  // A panel for each trigger, and in their order.
  function arrange() {
    for (const { id } of triggers) if (!made.has(id)) made.set(id, makePanel(path, samples, onChoose));
    for (const [id, panel] of made) {
      if (triggers.some((trigger) => trigger.id === id)) continue;
      panel.close();
      panel.element.remove();
      made.delete(id);
    }
    triggers.forEach((trigger, index) => {
      const { element } = made.get(trigger.id);
      if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    });
  }

  async function explain() {
    const before = new Map(triggers.map(({ id }) => [id, store.tables.triggers.get(id)]));
    isExplaining = true;
    rows = null;
    try {
      const found = await getJson(`/api/triggers/${path}`);
      if (isClosed) return;
      triggers = found;
      rows = before;
      message.hidden = true;
      triggers.sort((one, other) => one.superseded - other.superseded || one.id - other.id);
      arrange();
      draw();
      onExplained();
    } catch (error) {
      message.hidden = false;
      setText(message, `${object}: ${error.message}`);
    } finally {
      isExplaining = false;
      explainedAt = performance.now();
    }
  }

  return {
    elements: [message, ofPlots, list],
    connections: () => triggers.flatMap(({ source, connectionName }) =>
      [source?.name, connectionName && `connection "${connectionName}"`]), // as the log has it
    draw,
    explain,
    // Each row that changes is another object.
    explainChanges() {
      if (isExplaining || document.hidden) return;
      const hasChanged = ({ id }) => rows.get(id) !== store.tables.triggers.get(id);
      const isDue = rows === null || triggers.some(hasChanged);
      if (performance.now() - explainedAt >= (isDue ? CHANGE_MS : IDLE_MS)) explain();
    },
    async history() {
      try {
        const page = await getJson(`/api/history/${path}`);
        for (const part of page.triggers) {
          // One that KEDA calls for no more may be gone by now: the others are drawn all the same.
          const isCut = part.hasMore && page.triggers.length > 1; // or a page of it alone has no more, either
          const whole = isCut ? await getJson(`/api/history/${path}?trigger=${part.id}`).catch(() => null) : null;
          if (isClosed) return;
          const trigger = whole?.triggers[0] ?? part;
          made.get(trigger.id)?.history(trigger, triggers.find(({ id }) => id === trigger.id));
        }
        ofPlots.hidden = true;
      } catch (error) {
        ofPlots.hidden = triggers.length === 0;
        setText(ofPlots, `The plots of ${object}: ${error.message}`);
      }
    },
    redraw: () => made.forEach((panel) => panel.redraw()),
    close() {
      isClosed = true;
      made.forEach((panel) => panel.close());
    },
  };
}
