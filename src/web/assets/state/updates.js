// What each event of the server (dashboard.h, live_tables.h) changes in the store. stream.js calls updates[name](data).
//
//   hello, rows ..., server, ready, log ...   a full copy, after each connection
//   rows ..., server, log ...                 then only changes; `server` closes an update

/** @import { Figures, Hello, LogLine } from "../types.js" */

import { plural } from "../base/format.js";
import { forgetClock, takeClock } from "./clock.js";
import { takeInstance } from "./instance.js";
import { hasServer, noTables, store } from "./store.js";
import { addPoint, beginTrend } from "./trend.js";

const MAX_LOG_LINES = 2000;

// The tables that the stream fills. After a lost connection the rows from before are shown until all have come again,
// and `incoming` differs from store.tables: a table that lost its rows would lose its place. The rows of another
// process are forgotten, as its ids mean other triggers. The lines of the log stay, or go, with the rows.
let incoming = store.tables;

function forgetAll() {
  Object.assign(store, { isReady: false, connection: "connecting", renewedAt: null, server: {}, trend: [], log: [] });
}

/** @param {Hello} hello */
function takeHello(hello) {
  const isOther = takeInstance(hello.instance);
  if (isOther) forgetAll();
  store.hello = hello;
  store.isSignedOut = false;
  store.isComplete = false;
  incoming = noTables();
  if (!store.isReady) store.tables = incoming;
  forgetClock();
  beginTrend(hasServer());
}

/**
 * Of each row what is `live`; `fixed` comes once, and again where it has changed.
 * @param {{table: string, rows: {id: number, fixed?: object, live: object}[], gone: number[]}} changes
 */
function takeRows({ table, rows, gone }) {
  const map = incoming[table];
  if (!map) return;
  for (const { id, fixed, live } of rows) {
    const before = map.get(id);
    const kept = fixed ?? before?.fixed ?? {};
    map.set(id, { ...kept, ...live, id, fixed: kept });
  }
  for (const id of gone) map.delete(id);
  if (incoming === store.tables) store.version[table]++;
}

/**
 * The figures close an update: all its rows have come, and none is older than the figures.
 * @param {Figures} server
 */
function takeServer(server) {
  store.server = server;
  if (typeof server.sent === "number") takeClock(server.sent);
  addPoint();
}

// All rows of the full copy have come. Lines of the log may come later.
function takeReady() {
  store.tables = incoming;
  store.isComplete = true;
  store.isReady = true;
  for (const name of Object.keys(store.version)) store.version[name]++;
}

/**
 * The server keeps the last 500 lines, and sends them all after each connection. Lines that it dropped before this page
 * was sent them, as in a burst, leave a gap in the numbers: a line says how many are missing.
 * @param {LogLine[]} lines
 */
function takeLog(lines) {
  const last = store.log.at(-1)?.number ?? 0;
  for (const line of lines.filter(({ number }) => number > last)) {
    const missing = line.number - 1 - (store.log.at(-1)?.number ?? line.number - 1);
    const text = `${plural(missing, "line")} missing: the server had dropped them before this page could be sent them`;
    if (missing > 0) store.log.push({ ...line, number: line.number - 1, level: "warning", text });
    store.log.push(line);
  }
  if (store.log.length > MAX_LOG_LINES) store.log.splice(0, store.log.length - MAX_LOG_LINES);
  store.version.log++;
}

// `alive` has nothing new: the stream has noted that something came.
export const updates = {
  hello: takeHello, rows: takeRows, server: takeServer, ready: takeReady, log: takeLog, alive: () => {},
};
