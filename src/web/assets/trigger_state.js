// What the row of a trigger says: its state (as "now" of its explanation has it, too), as the class and the text of a
// chip, and its connection.

import { UNKNOWN } from "./format.js";

const states = {
  answered: (row) => (row.active ? ["ok", "active"] : ["idle", "idle"]),
  held: () => ["held", "held"],
  refused: () => ["error", "refused"],
  waiting: () => ["none", "waiting"],
};

export const stateOf = (row) => (states[row.state] ?? (() => ["none", row.state ?? UNKNOWN]))(row);
export const connectionOf = (row) => row.connectionName ?? row.connection ?? null;
