// The triggers of the table in groups, one per namespace, and which groups are folded.

/** @import { TriggerRow } from "../types.js" */

import { number, plural } from "../base/format.js";
import { isFailing } from "./trigger_state.js";

// The address has the keys of folded groups: "shop,media". These are no namespaces:
const FAILING = "!"; // the group of triggers that fail
const EVERY = "*"; // all groups of namespaces are folded
const EXCEPT = "-"; // ... but for this one: "*,-shop"

// The key of a group is its namespace, encoded, as names may have any character: so no key has a comma, is empty, or
// begins like one of the above.
const keyOf = (namespace) => encodeURIComponent(namespace).replace(/^([-!*]|$)/, "%$1");

// "48 triggers and 2 failing above"
function noteOf(rows, failing) {
  return plural(rows.length, "trigger") + (failing > 0 ? ` and ${number(failing)} failing above` : "");
}

/**
 * Groups by namespace, in the order of their first rows. hasFailingFirst: rows that fail are a group before these, and
 * the namespaces are in alphabetical order.
 * @param {TriggerRow[]} rows
 * @param {{hasFailingFirst: boolean, isFolded: (key: string) => boolean}} how
 */
export function groupsOf(rows, { hasFailingFirst, isFolded }) {
  const top = hasFailingFirst ? rows.filter(({ state }) => isFailing(state)) : [];
  const namespaces = new Map();
  for (const row of rows) {
    if (!namespaces.has(row.namespace)) namespaces.set(row.namespace, { rows: [], failing: 0 });
    const group = namespaces.get(row.namespace);
    if (hasFailingFirst && isFailing(row.state)) group.failing++;
    else group.rows.push(row);
  }
  const list = [...namespaces].filter(([, group]) => group.rows.length > 0);
  if (hasFailingFirst) list.sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
  const groupOf = (key, title, note, of) => ({ key, title, note, rows: of, isFolded: isFolded(key) });
  const groups = list.map(([namespace, group]) =>
    groupOf(keyOf(namespace), namespace, noteOf(group.rows, group.failing), group.rows));
  if (top.length > 0) groups.unshift(groupOf(FAILING, "Failing and held", plural(top.length, "trigger"), top));
  return groups;
}

// Which groups are folded. text: from the address, as text() returns it.
export function makeFolds(text) {
  let keys = new Set(text.split(",").filter(Boolean));
  const hasAll = () => keys.has(EVERY);
  const isException = (key) => key !== FAILING && hasAll();
  return {
    hasAll,
    isFolded: (key) => (isException(key) ? !keys.has(EXCEPT + key) : keys.has(key)),
    fold(key) {
      const mark = isException(key) ? EXCEPT + key : key;
      if (!keys.delete(mark)) keys.add(mark);
    },
    foldAll() {
      keys = hasAll() ? new Set() : new Set([EVERY]);
    },
    text: () => [...keys].sort().join(","),
  };
}
