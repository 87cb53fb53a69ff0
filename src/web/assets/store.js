// What is known of the server, and what is called when that changes. stream.js and updates.js fill it.

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

let listener = () => {};
let isScheduled = false;

// app.js is the only one: it draws the page that is shown.
export function listen(draw) {
  listener = draw;
}

// The listener is called once per frame, however much has come. A tab in the background has no frames: it draws
// nothing, and is up to date when it is shown.
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
