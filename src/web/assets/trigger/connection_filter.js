// The filter of the page of triggers for one connection, to which the page of connections links: which triggers have
// it, how the connection is, and the button that ends the filter.

/** @import { ConnectionRow, TriggerRow } from "../types.js" */

import { el, setText } from "../base/dom.js";
import { choiceButton } from "../parts/filter_buttons.js";
import { store } from "../state/store.js";
import { connectionOf } from "./trigger_state.js";

/**
 * The options of a connection that are set, and not hidden.
 * @param {ConnectionRow} row
 */
export const settingsOf = (row) => Object.entries(row.settings ?? {})
  .filter(([, value]) => value !== "(hidden)" && value !== "" && value !== "false")
  .map(([key, value]) => `${key}: ${value}`).join(", ");

// The rows of the chosen id; those of the name where there are none, or the id is of another process.
function find(rows, isExact, isNamed) {
  const exact = rows.filter(isExact);
  return exact.length > 0 ? exact : rows.filter(isNamed);
}

// name, id: of the connection; name "": none is chosen. A name changes with the connection's users, and several can
// have it. An id is valid in one process of the server, `instance`: in another one it may be another connection's.
// ended(): the reader ended the filter.
export function connectionFilter({ name, id, instance, ended }) {
  let isChosen = name !== "";
  const button = choiceButton("show all connections", () => {
    isChosen = false;
    draw();
    ended();
  });
  const note = el("p", { class: "note" });
  const error = el("p", { class: "problem" });
  const about = el("div", { class: "about" }, note, error);
  let label = name; // what the triggers call the connection

  const isOfId = (one) => one === id && instance === (store.hello.instance ?? "");

  function rowOfChosen() {
    if (!isChosen) return null;
    const rows = find([...store.tables.connections.values()], (row) => isOfId(row.id), (row) => row.name === name);
    return rows.length === 1 ? rows[0] : null; // of several it is not known which one
  }

  function draw() {
    const row = rowOfChosen();
    button.draw(isChosen ? `Connection: ${label}` : "");
    about.hidden = !row;
    error.hidden = !row?.error;
    if (row) setText(note, [`${row.name}: ${row.state}`, settingsOf(row)].filter(Boolean).join(", "));
    setText(error, row?.error ?? "");
  }

  return {
    button: button.element,
    about,
    draw,
    parameters: () => (isChosen ? { connection: name, id, instance } : { connection: "", id: "", instance: "" }),
    /** @param {TriggerRow[]} rows */
    select(rows) {
      if (!isChosen) return rows;
      const found = find(rows, ({ connectionId }) => isOfId(connectionId), ({ connection }) => connection === name);
      label = found.length > 0 ? connectionOf(found[0]) : name;
      return found;
    },
  };
}
