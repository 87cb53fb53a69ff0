// The page #/connections: of each connection to a source its state, queries, round trip, utilization, delay, and why it
// failed.

/** @import { Column, ConnectionRow } from "../types.js" */

import { parameters, setParameters } from "../base/address.js";
import { el, setText } from "../base/dom.js";
import { duration, number, percent, plural } from "../base/format.js";
import { drawChip, drawLink, parseSort, sortText, Table } from "../parts/table.js";
import { store } from "../state/store.js";
import { settingsOf } from "../trigger/connection_filter.js";

const kinds = { connected: "ok", failed: "error", "not connected": "idle" };

// Id of a connection -> what its triggers call it. Connections of two users at one host have the same name.
function names() {
  const found = new Map();
  for (const { connectionId, connectionName } of store.tables.triggers.values())
    if (connectionId && connectionName) found.set(connectionId, connectionName);
  return found;
}

// The page of its triggers shows errors and settings whole; here they are cut off.
function triggersHref({ id, name }) {
  const { instance = "" } = store.hello; // of which process the id is
  return `#/?${new URLSearchParams({ connection: name, id, ...(instance && { instance }) })}`;
}

/** @returns {Column<ConnectionRow>[]} */
const columnsWith = (labelOf) => [
  { key: "name", label: "Connection", value: labelOf,
    draw: (cell, row) => drawLink(cell, triggersHref(row), labelOf(row), row.error ?? settingsOf(row)) },
  { key: "state", label: "State", isWide: true,
    value: (row) => ["failed", "not connected", "connected"].indexOf(row.state),
    draw: (cell, row) => drawChip(cell, kinds[row.state] ?? "none", row.state) },
  { key: "queries", label: "Queries", isNumber: true, value: (row) => row.queries, text: (row) => number(row.queries) },
  { key: "failing", label: "Failing", isNumber: true, hide: "narrow", value: (row) => row.failing,
    text: (row) => number(row.failing) },
  { key: "roundTrip", label: "Round trip", isNumber: true, hide: "narrow",
    title: "Of a query, averaged over the last ones", value: (row) => row.roundTrip ?? null,
    text: (row) => duration(row.roundTrip) },
  { key: "utilization", label: "Utilization", isNumber: true, hide: "medium",
    title: "Queries in flight, as a share of the maximum", value: (row) => row.utilization ?? null,
    text: (row) => percent(row.utilization) },
  { key: "delay", label: "Delay", isNumber: true, hide: "wide", title: "How long queries waited for their turn",
    value: (row) => row.delay ?? null, text: (row) => duration(row.delay) },
];

export function connectionsPage() {
  const count = el("p", { class: "count" });
  let labels = new Map();
  const table = new Table({
    name: "connections", label: "Connections", columns: columnsWith(({ id, name }) => labels.get(id) ?? name),
    byId: () => store.tables.connections,
    sort: parseSort(parameters().get("sort") ?? "state"),
    sorted: () => setParameters({ sort: sortText(table.sort) }),
    empty: () => (store.isReady
      ? "No connections yet. The first trigger that KEDA calls for opens one."
      : "Loading the connections …"),
  });
  return {
    title: "Connections",
    element: el("div", { class: "page" },
      el("div", { class: "bar" }, el("h1", {}, "Connections"), count), table.element),
    draw() {
      labels = names();
      const { connections, failedConnections } = store.server;
      const failed = failedConnections ? `, ${number(failedConnections)} failed` : "";
      setText(count, connections == null ? "" : plural(connections, "connection") + failed);
      table.refresh();
    },
    close: () => table.destroy(),
  };
}
