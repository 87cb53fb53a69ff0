// What each event of the server (dashboard.h, live_tables.h) changes in the store.

import { forgetClock, takeClock } from "./clock.js";
import { plural } from "./format.js";
import { takeInstance } from "./instance.js";
import { hasServer, noTables, store } from "./store.js";
import { addPoint, beginTrend } from "./trend.js";

const MAX_LOG_LINES = 2000;

// What the stream fills. After another connection those of before are shown until all rows have come again: a table
// that lost them would lose its place. Those of another process are not: its rows have other ids.
let incoming = store.tables;

function forgetAll() {
  store.servers++;
  Object.assign(store, { isReady: false, connection: "connecting", renewedAt: null, server: {}, log: [] });
}

function takeHello(hello) {
  const isOther = takeInstance(hello.instance);
  if (isOther) forgetAll();
  store.hello = hello;
  store.ownVersion ??= hello.version ?? null;
  store.workerCounts = {};
  store.isComplete = false;
  incoming = noTables();
  if (!store.isReady) store.tables = incoming;
  forgetClock();
  beginTrend(hasServer());
}

function takeRows({ table, rows, gone }) {
  const map = incoming[table];
  if (!map) return;
  for (const { id, fixed, live } of rows) {
    const before = map.get(id);
    const kept = fixed ?? before?.fixed ?? {};
    map.set(id, { ...kept, ...live, id, fixed: kept });
  }
  for (const id of gone) map.delete(id);
  store.version[table]++;
}

// The figures close an update: all its rows have come, and none is older than they.
function takeServer(server) {
  store.server = { ...server, ...store.workerCounts };
  if (typeof server.sent === "number") takeClock(server.sent);
  addPoint();
}

// The lines of the log come after the rows.
function takeReady() {
  store.tables = incoming;
  store.isComplete = true;
  store.log = [];
  store.isReady = true;
  for (const name of Object.keys(store.version)) store.version[name]++;
}

// The server keeps the last lines: of a burst it may have dropped some before this page was sent them.
function takeLog(lines) {
  for (const line of lines) {
    const missing = line.number - 1 - (store.log.at(-1)?.number ?? line.number - 1);
    const text = `${plural(missing, "line")} missing: they came faster than this page could be sent them`;
    if (missing > 0) store.log.push({ ...line, number: line.number - 1, level: "warning", text });
    store.log.push(line);
  }
  if (store.log.length > MAX_LOG_LINES) store.log.splice(0, store.log.length - MAX_LOG_LINES);
  store.version.log++;
}

// By the name of the event. `alive` says only that the connection is there.
export const updates = {
  hello: takeHello, rows: takeRows, server: takeServer, ready: takeReady, log: takeLog, alive: () => {},
};
