// The state of a trigger, as [class, text] of a chip, and its connection. The state is in its row of the table, and in
// `now` of its explanation.

/** @import { Explanation, TriggerRow } from "../types.js" */

import { UNKNOWN } from "../base/format.js";

// The server's names of states (docs/reference.md).
export const REFUSED = "refused";
export const HELD = "held";
const WAITING = "waiting";
export const ANSWERED = "answered";
const order = [REFUSED, HELD, WAITING, ANSWERED]; // of the table: what needs somebody comes first

const chips = {
  [REFUSED]: () => ["error", "refused"],
  [HELD]: () => ["held", "held"],
  [WAITING]: () => ["none", "waiting"],
  [ANSWERED]: (row) => (row.active ? ["ok", "active"] : ["idle", "idle"]),
};

/** @typedef {TriggerRow | Explanation["now"]} OfState */

export const isFailing = (state) => state === REFUSED || state === HELD;
/** @param {TriggerRow} row */
export const rankOf = (row) => order.indexOf(row.state) * 2 + (row.active ? 0 : 1);
/** @param {OfState} row @returns {[string, string]} */
export const stateOf = (row) => (chips[row.state] ?? (() => ["none", row.state ?? UNKNOWN]))(row);
/** @param {TriggerRow} row */
export const connectionOf = (row) => row.connectionName ?? row.connection ?? null;
/**
 * What bound the replicas of a policy: while measuring fails that is of the last reading.
 * @param {Explanation} trigger @returns {[string, string][]}
 */
export function decisionsOf({ now, policy }) {
  const when = now.state === ANSWERED ? "" : ", when measured last";
  return policy ? [["Bound by" + when, policy.boundBy]] : [];
}
