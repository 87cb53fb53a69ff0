// The panels of all triggers of one ScaledObject, on its page. They are asked for in two requests: explaining has what
// KEDA gets and why, following the history for the plots.

import { objectPath } from "../base/address.js";
import { arrange, el } from "../base/dom.js";
import { poll } from "../state/poll.js";
import { getJson } from "../state/requests.js";
import { store } from "../state/store.js";
import { makeTriggerPanel } from "./trigger_panel.js";

const CHANGE_MS = 2000; // triggers whose rows change are explained again so often at most
const IDLE_MS = 10000; // ... and without a change, as ages grow
const HISTORY_EVERY_MS = 5000;

// samples, onChoose: as of makeTriggerPanel(). onExplained(): called after each response; connections() may have
// changed.
export function makeObjectPanels({ namespace, name, samples, onChoose, onExplained }) {
  const object = `${namespace}/${name}`;
  const path = objectPath(namespace, name); // in addresses of the server
  const list = el("div", {});
  const loading = el("p", { class: "empty", role: "status" }, "Loading …");
  const made = new Map(); // trigger's id -> panel; the two responses have the triggers in different orders
  let triggers = [];
  let explainedRows = null; // rowsText() when the triggers were last explained; null: they were not
  const explaining = poll({
    what: object, load: explain, everyMs: IDLE_MS, soonMs: CHANGE_MS, failed: () => (loading.hidden = true),
  });
  const following = poll({ what: `Plots of ${object}`, load: history, everyMs: HISTORY_EVERY_MS });

  function draw() {
    for (const trigger of triggers) made.get(trigger.id).explain(trigger);
  }

  function makePanels() {
    for (const { id } of triggers)
      if (!made.has(id)) made.set(id, makeTriggerPanel({ namespace, name }, samples, onChoose));
    for (const [id, panel] of made) {
      if (triggers.some((trigger) => trigger.id === id)) continue;
      panel.close();
      made.delete(id);
    }
    arrange(list, triggers.map(({ id }) => made.get(id).element));
  }

  // What the table of triggers has of this object. When that is another text, the explanation is out of date.
  const rowsText = () => JSON.stringify([...store.tables.triggers.values()]
    .filter((row) => row.name === name && row.namespace === namespace));

  async function explain(signal) {
    const rows = rowsText(); // what changes while the response is under way is explained again
    triggers = await getJson(`/api/triggers/${path}`, signal);
    explainedRows = rows;
    triggers.sort((one, other) => one.superseded - other.superseded || one.id - other.id);
    loading.hidden = true;
    makePanels();
    draw();
    following.start();
    onExplained();
  }

  async function history(signal) {
    const page = await getJson(`/api/history/${path}`, signal);
    for (const part of page.triggers) {
      // A trigger that KEDA no longer calls for may be gone by now: the others are drawn all the same.
      const alone = `/api/history/${path}?trigger=${part.id}`;
      const whole = part.hasMore ? await getJson(alone, signal).catch(() => null) : null;
      signal.throwIfAborted();
      const trigger = whole?.triggers[0] ?? part;
      made.get(trigger.id)?.history(trigger, triggers.find(({ id }) => id === trigger.id));
    }
  }

  explaining.start();
  return {
    elements: [loading, explaining.message, following.message, list],
    connections: () => triggers.flatMap(({ source, connectionName }) =>
      [source?.name, connectionName && `connection "${connectionName}"`]), // as the log names connections
    draw,
    explainChanges() {
      if (explainedRows !== null && rowsText() !== explainedRows) explaining.hurry();
    },
    redraw: () => made.forEach((panel) => panel.redraw()),
    close() {
      explaining.close();
      following.close();
      made.forEach((panel) => panel.close());
    },
  };
}
