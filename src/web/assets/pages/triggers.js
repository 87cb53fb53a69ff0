// The page #/: cards, and the table of all triggers, failing ones first, then by namespace. The address has its
// filters, its sort, and which groups are folded.

/** @import { Column, TriggerRow } from "../types.js" */

import { objectPath, parameters, setParameters } from "../base/address.js";
import { announceOnly, el, setText, setTitle } from "../base/dom.js";
import { age, compact, knownRate, number, plural, rate, UNKNOWN } from "../base/format.js";
import { makeCards } from "../parts/cards.js";
import { filterButtons } from "../parts/filter_buttons.js";
import { searchBox, wordsOf } from "../parts/search_box.js";
import { drawChip, drawLink, drawText, parseSort, sortText, Table } from "../parts/table.js";
import { serverNow } from "../state/clock.js";
import { hasServer, isRehearsal, store } from "../state/store.js";
import { connectionFilter } from "../trigger/connection_filter.js";
import { groupsOf, makeFolds } from "../trigger/trigger_groups.js";
import { connectionOf, HELD, rankOf, REFUSED, stateOf } from "../trigger/trigger_state.js";

const triggerHref = ({ namespace, name }) => `#/trigger/${objectPath(namespace, name)}`;

const bound = (row) =>
  (row.ratesAreBounds
    ? "At least: what the waiting count grew and fell by in the last minute. The source reports no rate."
    : "As the source reports it.");

const objectOf = (row) => `${row.namespace}/${row.name}`;
// Without triggers of former metadata, from before an edit: the cards do not count them, either. The page of the object
// has them.
const current = () => [...store.tables.triggers.values()].filter(({ superseded }) => !superseded);

// The line below a trigger's name. If its ScaledObject has several, it says what this one measures, also where it
// fails: their metrics may have the same name.
function detailOf(row, isOneOfSeveral) {
  if (!isOneOfSeveral) return row.error ?? row.metricName;
  const what = [row.metricName !== row.scaler && row.metricName, row.query].filter(Boolean).join(": ");
  return row.error ? `${what}; ${row.error}` : what;
}

function countByObject(rows) {
  const counts = new Map();
  for (const row of rows) {
    const object = objectOf(row);
    counts.set(object, (counts.get(object) ?? 0) + 1);
  }
  return counts;
}

// Keys of a row that no page shows, on purpose: none. A test finds a new key that is neither shown nor here.
export const UNSHOWN_KEYS = [];

/** @returns {Column<TriggerRow>[]} */
const columnsWith = (isOneOfSeveral) => [
  { key: "name", label: "Trigger", value: objectOf,
    draw: (cell, row) => drawName(cell, row, detailOf(row, isOneOfSeveral(row))) },
  { key: "scaler", label: "Scaler", hide: "large", value: (row) => row.scaler ?? null,
    text: (row) => row.scaler ?? UNKNOWN },
  { key: "connection", label: "Connection", isShown: () => !isRehearsal(), isWide: true, hide: "large",
    value: connectionOf, text: (row) => connectionOf(row) ?? UNKNOWN },
  { key: "waiting", label: "Waiting", isNumber: true, value: (row) => row.waiting ?? null,
    text: (row) => compact(row.waiting) },
  { key: "inFlight", label: "In flight", isNumber: true, hide: "medium", title: "Delivered and not acknowledged",
    value: (row) => row.inFlight ?? null, text: (row) => compact(row.inFlight) },
  { key: "arrivals", label: "Arrivals/s", isNumber: true, hide: "wide",
    value: (row) => knownRate(row.arrivals, row.ratesAreBounds),
    draw: (cell, row) => drawRate(cell, row, row.arrivals) },
  { key: "consumption", label: "Consumed/s", isNumber: true, isWide: true, hide: "wide",
    value: (row) => knownRate(row.consumption, row.ratesAreBounds),
    draw: (cell, row) => drawRate(cell, row, row.consumption) },
  { key: "value", label: "Value", isShown: isRehearsal, isNumber: true, hide: "medium",
    title: "What KEDA gets: work, or replicas where an option chooses them", value: (row) => row.value ?? null,
    text: (row) => compact(row.value) },
  { key: "target", label: "Target", isNumber: true, hide: "medium", title: "Per replica",
    value: (row) => row.target ?? null, text: (row) => compact(row.target) },
  { key: "replicas", label: "Wanted", isNumber: true, hide: "narrow",
    title: "Replicas wanted: value / target, rounded up; the server does not know minimum and maximum",
    value: (row) => row.replicas ?? null, text: (row) => number(row.replicas) },
  { key: "current", label: "Replicas", isShown: isRehearsal, isNumber: true,
    title: "Replicas that the ScaledObject has now", value: (row) => row.current ?? null,
    text: (row) => number(row.current) },
  { key: "policy", label: "Bound by", isWide: true, hide: "medium",
    title: "Where a policy chooses the replicas: what bound the number", value: (row) => row.boundBy ?? null,
    text: (row) => row.boundBy ?? UNKNOWN },
  { key: "age", label: "Age", isNumber: true, hide: "narrow", title: "Of the reading",
    value: (row) => (row.time == null ? null : -row.time),
    text: (row) => (row.time == null ? UNKNOWN : age(Math.max(0, serverNow() - row.time))) },
  { key: "state", label: "State", isWide: true, value: rankOf,
    draw: (cell, row) => drawChip(cell, ...stateOf(row), row.error ?? "") },
];

function drawName(cell, row, detail) {
  if (hasServer()) drawLink(cell, triggerHref(row), objectOf(row), detail);
  else drawText(cell, objectOf(row), detail);
}

function drawRate(cell, row, value) {
  setText(cell, rate(value, row.ratesAreBounds));
  setTitle(cell, knownRate(value, row.ratesAreBounds) == null ? "" : bound(row));
}

const filters = [
  ["all", "All", () => true],
  [REFUSED, "Refused", (row) => row.state === REFUSED],
  [HELD, "Held", (row) => row.state === HELD],
  ["active", "Active", (row) => row.active === true],
];

const USUAL_SORT = { key: "state", isDown: false };
function matches(row, words) {
  if (words.length === 0) return true;
  const text = [objectOf(row), row.scaler, row.connection, row.connectionName, row.metricName, row.query, row.boundBy,
    row.error].map((one) => one ?? "").join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
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

export function triggersPage() {
  const given = parameters();
  const chosen = {
    text: given.get("q") ?? "",
    filter: filters.some(([key]) => key === given.get("show")) ? given.get("show") : "all",
  };
  const folds = makeFolds(given.get("folded") ?? "");
  const sort = given.has("sort") ? parseSort(given.get("sort")) : USUAL_SORT;
  const cards = makeCards();
  const count = el("p", { class: "count" });
  const search = searchBox({
    label: "Filter the triggers", placeholder: "Name, scaler, connection, error", value: chosen.text,
    changed: (text) => {
      chosen.text = text;
      change();
    },
  });
  const buttons = filterButtons("Show", filters, () => chosen.filter, (key) => {
    chosen.filter = key;
    change();
  });
  const foldAll = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => {
    folds.foldAll();
    change();
  } });
  const ofConnection = connectionFilter({
    name: given.get("connection") ?? "", id: Number(given.get("id")), instance: given.get("instance") ?? "",
    ended: () => {
      search.input.focus(); // the button that had the focus is hidden now
      change();
    },
  });
  let namespaces = new Set();
  let counts = [];
  let triggersOf = new Map(); // how many there are of each ScaledObject
  let total = 0;
  let seen = -1;

  // The rows of the table. drawBar() shows what is counted here.
  function select() {
    const words = wordsOf(chosen.text);
    const passes = filters.find(([key]) => key === chosen.filter)[2];
    const all = current();
    const found = ofConnection.select(all).filter((row) => matches(row, words));
    total = all.length;
    triggersOf = countByObject(all);
    namespaces = new Set(found.map(({ namespace }) => namespace));
    counts = filters.map(([, , isIn]) => found.filter(isIn).length);
    return found.filter(passes);
  }

  const table = new Table({
    name: "triggers", label: "Triggers",
    columns: columnsWith((row) => triggersOf.get(objectOf(row)) > 1).filter(({ isShown }) => isShown?.() ?? true),
    byId: () => store.tables.triggers, rows: select, empty, arranged: drawBar, sort,
    sorted: () => change(false),
    groups: (rows) => (namespaces.size > 1
      ? groupsOf(rows, { hasFailingFirst: sortText(table.sort) === sortText(USUAL_SORT), isFolded: folds.isFolded })
      : null),
    fold: (key) => {
      folds.fold(key);
      change();
    },
  });

  function change(isDrawn = true) {
    const order = sortText(table.sort);
    setParameters({
      q: chosen.text, ...ofConnection.parameters(), show: chosen.filter === "all" ? "" : chosen.filter,
      sort: order === sortText(USUAL_SORT) ? "" : order, folded: folds.text(),
    });
    if (isDrawn) draw(true);
  }

  function draw(isForced = false) {
    cards.draw();
    announceOnly(count, isForced);
    if (isForced || seen !== store.version.triggers) {
      seen = store.version.triggers;
      table.refresh(isForced);
    } else table.draw(); // the ages
    ofConnection.draw();
  }

  function drawBar() {
    buttons.draw(store.isReady ? counts : []);
    foldAll.hidden = namespaces.size < 2;
    setText(foldAll, folds.hasAll() ? "Unfold all" : "Fold all");
    const part = table.count === total ? "" : `${number(table.count)} of `;
    setText(count, store.isReady ? part + plural(total, "trigger") : "");
  }

  return {
    title: "Triggers",
    element: el("div", { class: "page" }, el("h1", { class: "hidden" }, "Triggers"), cards.element,
      el("div", { class: "bar" }, search.element, buttons.element, ofConnection.button, foldAll, count),
      ofConnection.about, table.element),
    draw,
    close: () => table.destroy(),
  };
}
