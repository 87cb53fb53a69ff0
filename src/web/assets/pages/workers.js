// The pages #/workers and #/workers/NAMESPACE/NAME: the pods of all ScaledObjects and ScaledJobs, or of one, where the
// server lists them (--workers).

/** @import { Column, PodRow } from "../types.js" */

import { objectPath, objectQuery, parameters, setParameters } from "../base/address.js";
import { el, setChildren, setText } from "../base/dom.js";
import { bytes, compact, duration, number, percent, plural } from "../base/format.js";
import { openLog } from "../parts/log_dialog.js";
import { drawButton, drawChip, drawText, parseSort, sortText, Table } from "../parts/table.js";
import { serverNow } from "../state/clock.js";
import { poll } from "../state/poll.js";
import { getJson } from "../state/requests.js";

const EVERY_MS = 2000;
const LOADING = "Loading the workers …";
const kinds = { Running: "ok", Pending: "held", Succeeded: "none", Terminating: "idle", Failed: "error" };

function kindOf({ state, reason, ready }) {
  if (state === "Running" && reason && !ready) return "error";
  return kinds[state] ?? "error";
}

// ["Unschedulable", "0/3 nodes are available"] of "Unschedulable: 0/3 nodes are available".
function wordsOf({ reason }) {
  const [, word, message] = /^([^:]*):? ?(.*)$/s.exec(reason ?? "");
  return [word, message];
}

// In a narrow window the reason has no column: it is below the state.
function drawState(cell, row) {
  drawChip(cell, kindOf(row), row.state, row.reason ?? "");
  if (cell.children.length === 1) cell.append(el("small", {}));
  setText(cell.lastChild, row.reason ?? "");
}

const ageOf = ({ created }) => (created == null ? null : Math.max(0, serverNow() - created));

/** @returns {Column<PodRow>[]} */
const columnsWith = (open) => [
  { key: "pod", label: "Worker", value: (row) => `${row.object} ${row.pod}`,
    draw: (cell, row) =>
      drawText(cell, row.pod, [row.object, row.job && `Job ${row.job}`].filter(Boolean).join(", ")) },
  { key: "state", label: "State", isWide: true, value: (row) => row.state, draw: drawState },
  { key: "reason", label: "Reason", isLong: true, hide: "narrow", value: (row) => row.reason,
    draw: (cell, row) => drawText(cell, ...wordsOf(row)) },
  { key: "restarts", label: "Restarts", isNumber: true, hide: "narrow", value: (row) => row.restarts,
    text: (row) => number(row.restarts) },
  { key: "age", label: "Age", isNumber: true, hide: "narrow", value: ageOf, text: (row) => duration(ageOf(row)) },
  { key: "done", label: "Jobs done", isNumber: true, title: "worker_jobs_total of the pod's /metrics",
    value: (row) => row.done, text: (row) => compact(row.done) },
  { key: "cpu", label: "CPU", isNumber: true, hide: "narrow", title: "Of one core", value: (row) => row.cpu,
    text: (row) => percent(row.cpu) },
  { key: "memory", label: "Memory", isNumber: true, hide: "narrow", value: (row) => row.memory,
    text: (row) => bytes(row.memory) },
  { key: "log", label: "Log", isWide: true,
    draw: (cell, row) => drawButton(cell, row, "Log", `Show log of ${row.pod}`, open) },
];

const OLD_SECONDS = 15; // the server reads one object after another: usually they are younger

// The problems of an object, as [problem, age of what is shown].
function problemsOf({ error, usageError, secondsAgo, hasMore }) {
  const found = [];
  if (error) found.push([error, secondsAgo]);
  else if (usageError) found.push([`CPU and memory are not known: ${usageError}`, null]);
  else if (secondsAgo > OLD_SECONDS) found.push(["read some time ago", secondsAgo]);
  if (hasMore) found.push(["more pods than are shown", null]);
  return found;
}

// One line for all objects with the same problem: a right that is missing is often that of a whole namespace.
function notesOf(objects, hasMore) {
  const lines = new Map(); // problem -> {names, age of the oldest}
  for (const object of objects)
    for (const [problem, secondsAgo] of problemsOf(object)) {
      const line = lines.get(problem) ?? { names: [], oldest: null };
      line.names.push(`${object.namespace}/${object.name}`);
      if (secondsAgo != null) line.oldest = Math.max(line.oldest, secondsAgo);
      lines.set(problem, line);
    }
  const notes = [...lines].map(([problem, { names: [first, ...others], oldest }]) => {
    const which = others.length > 0 ? `${first} and ${number(others.length)} more` : first;
    const upTo = others.length > 0 ? "up to " : "";
    return `${which}: ${problem}${oldest == null ? "" : ` (shown as of ${upTo}${duration(oldest)} ago)`}`;
  });
  if (hasMore) notes.push("More objects than are shown: open the page of one of them");
  return notes;
}

export function workersPage(namespace, name) {
  const isOne = name !== undefined;
  const title = isOne ? `Workers of ${namespace}/${name}` : "Workers";
  const path = isOne ? `/api/workers?${objectQuery(namespace, name)}` : "/api/workers";
  const count = el("p", { class: "count" });
  const notes = el("ul", { class: "notes" });
  let rows = new Map();
  let empty = LOADING;
  let log = null; // the dialog
  function open({ object, namespace: of, pod, state, reason }) {
    log = openLog(`${object}, ${pod}`, `/api/workers/${objectPath(of, pod)}/log`, reason && `${state}: ${reason}`);
  }
  const table = new Table({
    name: "workers", label: "Workers", columns: columnsWith(open), byId: () => rows,
    sort: parseSort(parameters().get("sort") ?? "pod"),
    sorted: () => setParameters({ sort: sortText(table.sort) }),
    empty: () => empty,
  });

  function take({ objects, hasMore }) {
    rows = new Map();
    for (const { namespace: of, name: object, workers } of objects)
      for (const worker of workers) rows.set(worker.id, { ...worker, namespace: of, object: `${of}/${object}` });
    const isRead = objects.every(({ secondsAgo, error }) => secondsAgo != null || error);
    if (objects.length === 0)
      empty = "KEDA has called for no ScaledObject or ScaledJob of the namespaces in --workers.";
    else empty = isRead ? "There is no worker now." : LOADING;
    const waiting = [...rows.values()].filter(({ state }) => state === "Pending").length;
    setText(count, plural(rows.size, "worker") + (waiting > 0 ? `, ${number(waiting)} pending` : ""));
    setChildren(notes, notesOf(objects, hasMore), (texts) => texts.map((text) => el("li", {}, text)));
    table.refresh();
  }

  // The message of the poll says why. Rows that were read stay.
  function failed() {
    empty = "The workers are not known.";
    table.refresh();
  }

  const reading = poll({
    what: title, load: async (signal) => take(await getJson(path, signal)), everyMs: EVERY_MS, failed,
  });
  reading.start();
  return {
    title,
    element: el("div", { class: "page" },
      isOne && el("p", { class: "back" }, el("a", { href: "#/workers" }, "← All workers")),
      el("div", { class: "bar" }, el("h1", {}, title), count), reading.message, notes, table.element),
    draw: () => table.draw(), // for the ages; take() brings the rows
    close() {
      log?.close();
      reading.close();
      table.destroy();
    },
  };
}
