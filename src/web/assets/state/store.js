// What is known of the server, and who is called when that changes. updates.js fills it with what the stream brings,
// trend.js its `trend`, and stream.js its `connection`; all others read it.

/** @import { ConnectionRow, Figures, Hello, LogLine, ProcessRow, TriggerRow } from "../types.js" */

/**
 * Rows by id.
 * @returns {{triggers: Map<number, TriggerRow>, connections: Map<number, ConnectionRow>,
 *   workers: Map<number, ProcessRow>}}
 */
export const noTables = () => ({ triggers: new Map(), connections: new Map(), workers: new Map() });

export const store = {
  /** @type {Hello} */
  hello: { mode: "serve" },
  tables: noTables(),
  /** @type {Partial<Figures>} */
  server: {}, // {}: none have come
  /** @type {Figures[]} */
  trend: [], // figures of the last hour, the oldest first
  /** @type {LogLine[]} */
  log: [],
  isReady: false, // the tables have been complete once
  isComplete: false, // ... since the stream was connected, too
  connection: "connecting", // "live"; "late": what is shown is old; "lost"
  isSignedOut: false, // a proxy in front of the server wants a login
  renewedAt: null, // when the server took the figures that are shown, by our clock, in ms; null: none have come
  version: { triggers: 0, connections: 0, workers: 0, log: 0 }, // one more with each change
};

// `backlog rehearse` has the pages and figures of a server only if it was given the address of one.
export const isRehearsal = () => store.hello.mode === "rehearse";
export const hasServer = () => !isRehearsal() || store.hello.hasServer === true;

let listener = () => {};
let isScheduled = false;

// app.js is the only listener: it draws the page that is shown.
export function listen(draw) {
  listener = draw;
}

// The listener is called once per frame, however much has changed. A tab in the background has no frames: nothing is
// drawn until it is shown.
export function changed() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    listener();
  });
}

export function setSignedOut(isSignedOut) {
  if (store.isSignedOut === isSignedOut) return;
  store.isSignedOut = isSignedOut;
  changed();
}
