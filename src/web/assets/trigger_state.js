// What the row of a trigger says: its state (as "now" of its explanation has it, too), as the class and the text of a
// chip, and its connection.

import { UNKNOWN } from "./format.js";

// As the server names them.
export const REFUSED = "refused";
export const HELD = "held";
const WAITING = "waiting";
export const ANSWERED = "answered";
const order = [REFUSED, HELD, WAITING, ANSWERED]; // those that need somebody first

const chips = {
  [REFUSED]: () => ["error", "refused"],
  [HELD]: () => ["held", "held"],
  [WAITING]: () => ["none", "waiting"],
  [ANSWERED]: (row) => (row.active ? ["ok", "active"] : ["idle", "idle"]),
};

export const isFailing = (state) => state === REFUSED || state === HELD;
export const rankOf = (row) => order.indexOf(row.state) * 2 + (row.active ? 0 : 1);
export const stateOf = (row) => (chips[row.state] ?? (() => ["none", row.state ?? UNKNOWN]))(row);
export const connectionOf = (row) => row.connectionName ?? row.connection ?? null;
