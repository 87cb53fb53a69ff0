// The table of triggers in groups, and which of them are folded.

import { number, plural } from "./format.js";
import { isFailing } from "./trigger_state.js";

// What else than keys of namespaces is in the address: two more keys, and the mark of a key that is not folded where
// every other one is, as "-shop".
const FAILING = "!";
const EVERY = "*";
const EXCEPT = "-";

// The namespace, as it is usual. But names may have any character, as they come with calls: no key has a comma, which
// is between keys, and none is empty, or begins as what is above.
const keyOf = (namespace) => encodeURIComponent(namespace).replace(/^([-!*]|$)/, "%$1");

// "48 triggers and 2 failing above"
function noteOf(rows, failing) {
  return plural(rows.length, "trigger") + (failing > 0 ? ` and ${number(failing)} failing above` : "");
}

// By namespace, in the order of their first rows; in the usual order those that fail come before all.
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

// Which groups are folded: the keys of those; or EVERY, and of those that are not. text: what text() returned, for the
// address.
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
