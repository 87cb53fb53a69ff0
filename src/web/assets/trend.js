// The last hour of some figures of the server, for the curves of the cards.

import { serverNow } from "./clock.js";
import { poll } from "./poll.js";
import { getJson } from "./requests.js";
import { changed, store } from "./store.js";

const SECONDS = 3600;
const POINTS = 240; // at most about so many: the longer the trend, the farther apart
const RETRY_MS = 15000;
let asking = null;

export function addPoint() {
  const { trend } = store;
  const apart = trend.length > 1 ? Math.max(1, (serverNow() - trend[0].time) / POINTS) : 0;
  if (trend.length > 1 && trend.at(-1).time - trend.at(-2).time < apart) trend.pop();
  trend.push({ ...store.server, time: serverNow() });
  while (trend[0].time < serverNow() - SECONDS) trend.shift();
}

// Adds points of the server, {columns, rows}: those of before the page had any, and those between its `last` one and
// the next. The page's own points stay: the server's have no workers.
function addMissing({ columns, rows }, last) {
  const { trend } = store;
  const first = trend[0]?.time ?? Infinity;
  const next = trend.find(({ time }) => time > last)?.time ?? Infinity;
  const points = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  const missing = points.filter(({ time }) => time < first || (time > last && time < next));
  store.trend = [...trend, ...missing].sort((one, other) => one.time - other.time);
}

// After another connection: the server knows what was before, also while there was none. One that is busy refuses, and
// may not be busy later: until then what the page knew is shown.
export function beginTrend(hasBefore) {
  asking?.close();
  if (!hasBefore) return;
  const last = store.trend.at(-1)?.time ?? Infinity;
  const own = poll({ load, everyMs: RETRY_MS });
  async function load(signal) {
    addMissing(await getJson("/api/trend", signal), last);
    own.close();
    changed();
  }
  asking = own;
  asking.start();
}
