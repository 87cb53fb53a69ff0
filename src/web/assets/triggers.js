// The first page: cards, and the table of all triggers.

import { makeCards } from "./cards.js";
import { el, setClass, setText } from "./dom.js";
import { age, compact, number, plural, rate, UNKNOWN } from "./format.js";
import { serverNow, store } from "./store.js";
import { drawChip, drawLink, drawText, Table } from "./table.js";

export const triggerHref = ({ namespace, name }) => `#/trigger/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;

export const states = {
  ok: (row) => (row.active ? ["ok", "active"] : ["idle", "idle"]),
  held: () => ["held", "held"],
  error: () => ["error", "error"],
  waiting: () => ["none", "no reading"],
};

export const stateOf = (row) => (states[row.state] ?? (() => ["none", row.state ?? UNKNOWN]))(row);
export const connectionOf = (row) => row.connectionName ?? row.connection ?? null;
const bound = (row) => (row.ratesAreBounds ? "At least: what the waiting count grew and fell by in the last minute. The source reports no rate." : "As the source reports it.");

// A rehearsal has the server's explanations and history only where it knows the server's address.
const hasPages = () => store.hello.mode === "serve" || store.hello.hasServer;
const isRehearsal = () => store.hello.mode === "rehearse";

const objectOf = (row) => `${row.namespace}/${row.name}`;
let triggersOf = new Map(); // how many there are of each ScaledObject

// Of several triggers each says what it measures, also where it fails: their metrics may have the same name.
function detailOf(row) {
  if (!(triggersOf.get(objectOf(row)) > 1)) return row.error ?? row.metric;
  const what = [row.metric, row.query].filter(Boolean).join(": ");
  return row.error ? `${what}; ${row.error}` : what;
}

function countTriggers() {
  triggersOf = new Map();
  for (const row of store.tables.triggers.values()) triggersOf.set(objectOf(row), (triggersOf.get(objectOf(row)) ?? 0) + 1);
}

const columns = [
  { key: "name", label: "Trigger", value: objectOf, draw: (cell, row) => (hasPages() ? drawLink(cell, triggerHref(row), objectOf(row), detailOf(row)) : drawText(cell, objectOf(row), detailOf(row))) },
  { key: "scaler", label: "Scaler", hide: "medium", value: (row) => row.scaler ?? null, text: (row) => row.scaler ?? UNKNOWN },
  { key: "connection", label: "Connection", isShown: () => !isRehearsal(), isWide: true, hide: "large", value: connectionOf, text: (row) => connectionOf(row) ?? UNKNOWN },
  { key: "waiting", label: "Waiting", isNumber: true, value: (row) => row.waiting ?? null, text: (row) => compact(row.waiting) },
  { key: "inFlight", label: "In flight", isNumber: true, hide: "medium", title: "Delivered and not acknowledged", value: (row) => row.inFlight ?? null, text: (row) => compact(row.inFlight) },
  { key: "arrivals", label: "Arrivals/s", isNumber: true, hide: "wide", value: (row) => row.arrivals ?? null, draw: (cell, row) => drawRate(cell, row, row.arrivals) },
  { key: "consumption", label: "Consumed/s", isNumber: true, isWide: true, hide: "wide", value: (row) => row.consumption ?? null, draw: (cell, row) => drawRate(cell, row, row.consumption) },
  { key: "value", label: "Value", isShown: isRehearsal, isNumber: true, hide: "medium", title: "What KEDA gets: work, or replicas where an option chooses them", value: (row) => row.value ?? null, text: (row) => compact(row.value) },
  { key: "target", label: "Target", isNumber: true, hide: "medium", title: "Per replica", value: (row) => row.target ?? null, text: (row) => compact(row.target) },
  { key: "replicas", label: "Wanted", isNumber: true, title: "Replicas wanted: value / target, rounded up; the server does not know minimum and maximum", value: (row) => row.replicas ?? null, text: (row) => number(row.replicas) },
  { key: "current", label: "Replicas", isShown: isRehearsal, isNumber: true, title: "Replicas that the ScaledObject has now", value: (row) => row.current ?? null, text: (row) => number(row.current) },
  { key: "policy", label: "Consumers", isWide: true, hide: "medium", title: "Where a policy chooses the replicas: what the consumers do, and what bound the number", value: (row) => row.status ?? null, draw: (cell, row) => drawPolicy(cell, row) },
  { key: "age", label: "Age", isNumber: true, hide: "narrow", title: "Of the reading", value: (row) => (row.time == null ? null : -row.time), text: (row) => (row.time == null ? UNKNOWN : age(Math.max(0, serverNow() - row.time))) },
  { key: "state", label: "State", isWide: true, value: (row) => ["error", "held", "waiting", "ok"].indexOf(row.state) * 2 + (row.active ? 0 : 1), draw: (cell, row) => drawChip(cell, ...stateOf(row), row.error ?? "") },
];

// Of the statuses, those that more replicas do not help.
const stuck = ["STALL", "STOP", "REWIND", "SKEW"];

function drawPolicy(cell, row) {
  const isKnown = row.status != null;
  drawText(cell, isKnown ? row.status : UNKNOWN, isKnown ? `bound by ${row.boundBy}` : "");
  setClass(cell.firstChild, !isKnown ? "" : stuck.includes(row.status) ? "chip error" : row.status === "WARN" ? "chip held" : "");
}

function drawRate(cell, row, value) {
  setText(cell, rate(value, row.ratesAreBounds));
  const title = value == null ? "" : bound(row);
  if (cell.title !== title) cell.title = title;
}

const filters = [
  ["all", "All", () => true],
  ["active", "Active", (row) => row.active === true],
  ["held", "Held", (row) => row.state === "held"],
  ["error", "Error", (row) => row.state === "error"],
];

// What was set stays while other pages are looked at.
const chosen = { text: "", filter: "all", sort: { key: "name", isDown: false } };

function matches(row, words) {
  const text = `${row.namespace}/${row.name} ${row.scaler ?? ""} ${row.connection ?? ""} ${row.connectionName ?? ""} ${row.metric ?? ""} ${row.query ?? ""} ${row.status ?? ""} ${row.boundBy ?? ""} ${row.error ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function selected() {
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  countTriggers();
  const passes = filters.find(([key]) => key === chosen.filter)[2];
  return [...store.tables.triggers.values()].filter((row) => passes(row) && matches(row, words));
}

function empty() {
  if (!store.isReady) return "Loading the triggers …";
  if (store.tables.triggers.size > 0) return "No trigger matches the filter.";
  return [
    "No triggers yet. A trigger appears here as soon as KEDA calls for it: apply a ScaledObject whose trigger has ",
    el("code", {}, "type: external"),
    " and this server as its ",
    el("code", {}, "scalerAddress"),
    ".",
  ];
}

export function filterButtons(list, get, set) {
  const buttons = list.map(([key, label]) => el("button", { type: "button", "aria-pressed": String(get() === key), onclick: () => set(key) }, label));
  return {
    element: el("div", { class: "segments", role: "group", "aria-label": "Show" }, buttons),
    draw: () => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(list[index][0] === get()))),
  };
}

export function triggersPage() {
  const cards = makeCards();
  const table = new Table({ label: "Triggers", columns: columns.filter(({ isShown }) => isShown?.() ?? true), rows: selected, empty, sort: chosen.sort });
  const count = el("p", { class: "count", "aria-live": "polite" });
  const search = el("input", {
    type: "search", id: "search", placeholder: "Name, scaler, connection, error", value: chosen.text, autocomplete: "off", spellcheck: "false",
    oninput: (event) => {
      chosen.text = event.target.value;
      draw(true);
    },
  });
  const buttons = filterButtons(filters, () => chosen.filter, (key) => {
    chosen.filter = key;
    draw(true);
  });
  let seen = -1;

  function draw(isForced = false) {
    cards.draw();
    buttons.draw();
    if (isForced || seen !== store.version.triggers || table.order.length === 0) table.refresh(isForced);
    else table.draw(); // the ages
    seen = store.version.triggers;
    chosen.sort = table.sort;
    const total = store.tables.triggers.size;
    setText(count, table.order.length === total ? plural(total, "trigger") : `${number(table.order.length)} of ${plural(total, "trigger")}`);
  }

  table.byId = () => store.tables.triggers;
  const timer = setInterval(draw, 1000);
  return {
    title: "Triggers",
    element: el("div", { class: "page" }, el("h1", { class: "hidden" }, "Triggers"), cards.element,
      el("div", { class: "bar" }, el("label", { class: "search", for: "search" }, el("span", { class: "hidden" }, "Filter the triggers"), search), buttons.element, count),
      table.element),
    draw,
    close() {
      clearInterval(timer);
      table.destroy();
    },
  };
}
