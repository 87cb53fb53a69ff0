// The workers of a rehearsal, and what each has written.

import { makeCards } from "./cards.js";
import { el, setText } from "./dom.js";
import { bytes, clock, compact, cores, number, plural, UNKNOWN, zone } from "./format.js";
import { request, store } from "./store.js";
import { drawChip, drawText, Table } from "./table.js";

const kinds = { running: "ok", starting: "idle", stopping: "held", restarting: "error", ended: "none" };

// `path` is where the log is, as text; 202: it is being read.
export function openLog(title, path) {
  const text = el("pre", { tabindex: "0" }, "Loading …");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const dialog = el("dialog", { "aria-label": `Log of ${title}` },
    el("header", {}, el("h2", {}, title),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    problem, text);
  let isOpen = true;
  let shown = "";
  // What grows is appended to: a selection in it stays.
  function show(body) {
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
    if (shown === "" || !body.startsWith(shown)) setText(text, body || "This worker has written nothing yet.");
    else if (body !== shown) text.append(body.slice(shown.length));
    shown = body;
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
  // What was read stays below it: of a pod that is gone it is all there is.
  function report(words) {
    setText(problem, words);
    problem.hidden = words === "";
    if (words !== "" && shown === "") setText(text, "");
  }
  async function load() {
    try {
      const answer = await request(path);
      const body = await answer.text();
      if (answer.ok && answer.status !== 202) show(body);
      if (answer.status !== 202) report(answer.ok ? "" : `The log cannot be shown: ${body}`);
    } catch (error) {
      report(`The log cannot be loaded: ${error.message}`);
    }
    if (isOpen) setTimeout(load, 1000);
  }
  dialog.addEventListener("close", () => {
    isOpen = false;
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  load();
}

const columns = [
  { key: "job", label: "Worker", value: (row) => `${row.object} ${row.number}`,
    draw: (cell, row) => drawText(cell, `worker ${row.number}`,
      [row.object, row.pid && `process ${row.pid}`].filter(Boolean).join(", ")) },
  { key: "state", label: "State", isWide: true, value: (row) => Object.keys(kinds).indexOf(row.state),
    draw: (cell, row) => drawChip(cell, kinds[row.state] ?? "none", row.state) },
  { key: "started", label: `Started (${zone()})`, hide: "narrow", value: (row) => row.started ?? null,
    text: (row) => (row.started ? clock(row.started) : UNKNOWN) },
  { key: "done", label: "Jobs done", isNumber: true, title: "Lines \"backlog: done N\" that the worker wrote",
    value: (row) => row.done ?? null, text: (row) => compact(row.done) },
  { key: "cpu", label: "CPU", isNumber: true, hide: "narrow", value: (row) => row.cpu ?? null,
    text: (row) => cores(row.cpu) },
  { key: "memory", label: "Memory", isNumber: true, hide: "narrow", value: (row) => row.memory ?? null,
    text: (row) => bytes(row.memory) },
  { key: "log", label: "Log", isWide: true, value: (row) => row.number, draw: (cell, row) => {
    if (!cell.firstChild) {
      const open = () => openLog(`${cell.row.object}, worker ${cell.row.number}`, `/api/jobs/${cell.row.id}/log`);
      cell.append(el("button", { type: "button", class: "quiet", onclick: open }, "Log"));
    }
    cell.row = row;
    cell.firstChild.setAttribute("aria-label", `Show log of worker ${row.number} of ${row.object}`);
  } },
];

export function jobsPage() {
  const cards = makeCards();
  const count = el("p", { class: "count" });
  const table = new Table({
    label: "Jobs", columns, byId: () => store.tables.jobs, sort: { key: "state", isDown: false },
    empty: () => (store.isReady
      ? "No worker runs now. One is started when the model of KEDA and the HPA wants replicas."
      : "Loading the jobs …"),
  });
  return {
    title: "Jobs",
    element: el("div", { class: "page" },
      el("h1", {}, "Jobs"), cards.element, el("div", { class: "bar" }, count), table.element),
    draw() {
      cards.draw();
      const running = [...store.tables.jobs.values()].filter(({ state }) => state !== "ended").length;
      const ended = store.tables.jobs.size - running;
      setText(count, plural(running, "worker") + (ended > 0 ? `, ${number(ended)} ended` : ""));
      table.refresh();
    },
    close: () => table.destroy(),
  };
}
