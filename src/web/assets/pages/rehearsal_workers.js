// The page #/jobs: the workers of a rehearsal, with the log of each.

/** @import { Column, ProcessRow } from "../types.js" */

import { el, setText } from "../base/dom.js";
import { bytes, clock, compact, number, percent, plural, UNKNOWN, zone } from "../base/format.js";
import { makeCards } from "../parts/cards.js";
import { openLog } from "../parts/log_dialog.js";
import { drawButton, drawChip, drawText, Table } from "../parts/table.js";
import { store } from "../state/store.js";

const kinds = { running: "ok", starting: "idle", stopping: "held", restarting: "error", ended: "none" };

/** @returns {Column<ProcessRow>[]} */
const columnsWith = (open) => [
  { key: "worker", label: "Worker", value: (row) => `${row.object} ${row.number}`,
    draw: (cell, row) => drawText(cell, `worker ${row.number}`,
      [row.object, row.pid && `process ${row.pid}`].filter(Boolean).join(", ")) },
  { key: "state", label: "State", isWide: true, value: (row) => Object.keys(kinds).indexOf(row.state),
    draw: (cell, row) => drawChip(cell, kinds[row.state] ?? "none", row.state) },
  { key: "started", label: `Started (${zone()})`, hide: "narrow", value: (row) => row.started ?? null,
    text: (row) => (row.started ? clock(row.started) : UNKNOWN) },
  { key: "done", label: "Jobs done", isNumber: true, title: "Lines \"backlog: done N\" that the worker wrote",
    value: (row) => row.done ?? null, text: (row) => compact(row.done) },
  { key: "cpu", label: "CPU", isNumber: true, hide: "narrow", value: (row) => row.cpu ?? null,
    text: (row) => percent(row.cpu) },
  { key: "memory", label: "Memory", isNumber: true, hide: "narrow", value: (row) => row.memory ?? null,
    text: (row) => bytes(row.memory) },
  { key: "log", label: "Log", isWide: true,
    draw: (cell, row) => drawButton(cell, row, "Log", `Show log of worker ${row.number} of ${row.object}`, open) },
];

export function rehearsalWorkersPage() {
  const cards = makeCards();
  let log = null; // the dialog
  function open({ object, number: of, id }) {
    log = openLog(`${object}, worker ${of}`, `/api/workers/${id}/log`);
  }
  const count = el("p", { class: "count" });
  const table = new Table({
    name: "rehearsal-workers", label: "Workers", columns: columnsWith(open), byId: () => store.tables.workers,
    sort: { key: "state", isDown: false },
    empty: () => (store.isReady
      ? "No worker runs now. One is started when the model of KEDA and the HPA wants replicas."
      : "Loading the workers …"),
  });
  return {
    title: "Workers",
    element: el("div", { class: "page" },
      el("div", { class: "bar" }, el("h1", {}, "Workers"), count), cards.element, table.element),
    draw() {
      cards.draw();
      const running = [...store.tables.workers.values()].filter(({ state }) => state !== "ended").length;
      const ended = store.tables.workers.size - running;
      const text = plural(running, "worker") + (ended > 0 ? `, ${number(ended)} ended` : "");
      setText(count, store.isReady ? text : "");
      table.refresh();
    },
    close() {
      log?.close();
      table.destroy();
    },
  };
}
