// What is known of the server, and who wants to know of changes. stream.js and updates.js fill it.

export const noTables = () => ({ triggers: new Map(), connections: new Map(), workers: new Map() });

export const store = {
  hello: { mode: "serve" },
  tables: noTables(),
  server: {},
  trend: [], // the last hour of some figures of the server: what is in `server`, and now
  log: [],
  isReady: false, // the tables have been complete once
  isComplete: false, // all of this connection has come, and is shown
  connection: "connecting", // live; late: what is shown is old; lost
  isSignedOut: false, // at a proxy in front of the server
  renewedAt: null, // when what is shown was so, by our clock; null: not yet
  version: { triggers: 0, connections: 0, workers: 0, log: 0 },
};

// A rehearsal has a server's pages and figures only where it knows the server's address.
export const isRehearsal = () => store.hello.mode === "rehearse";
export const hasServer = () => !isRehearsal() || store.hello.hasServer === true;

const listeners = new Set();
let isScheduled = false;

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Once per frame, however much has come; a page in the background draws nothing.
export function changed() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    for (const listener of [...listeners]) listener();
  });
}

export function setSignedOut(isSignedOut) {
  if (store.isSignedOut === isSignedOut) return;
  store.isSignedOut = isSignedOut;
  changed();
}
