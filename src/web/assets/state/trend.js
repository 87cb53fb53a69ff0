// The server's figures in the last hour, store.trend, for the curves of the cards. updates.js adds a point with each
// update. The server has the points from before the page was opened, and from gaps between two connections.

/** @import { Figures } from "../types.js" */

import { serverNow } from "./clock.js";
import { poll } from "./poll.js";
import { getJson } from "./requests.js";
import { changed, store } from "./store.js";

const SECONDS = 3600;
const POINTS = 240; // about so many at most: in a trend of an hour they are 15 s apart, in one of a minute 1 s
const RETRY_MS = 15000;
let asking = null; // the poll for the server's points, until they have come

// A point has the time of its figures, which may come late; those of the last point may come again after a connection.
// Where the last two points are too close to each other, the new one replaces the last one.
export function addPoint() {
  const { trend } = store;
  const time = store.server.time ?? serverNow();
  while (trend.at(-1)?.time >= time) trend.pop();
  const apart = trend.length > 1 ? Math.max(1, (serverNow() - trend[0].time) / POINTS) : 0;
  if (trend.length > 1 && trend.at(-1).time - trend.at(-2).time < apart) trend.pop();
  trend.push({ ...store.server, time });
  while (trend[0]?.time < serverNow() - SECONDS) trend.shift();
}

/**
 * Adds the server's points where the page has none: before its first one, and in the gap after the point at `last`. The
 * page's own points stay, as they have the workers, too.
 * @param {{columns: (keyof Figures)[], rows: (number | null)[][]}} points
 * @param {number} last
 */
function addMissing({ columns, rows }, last) {
  const { trend } = store;
  const first = trend[0]?.time ?? Infinity;
  const next = trend.find(({ time }) => time > last)?.time ?? Infinity;
  const points = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  const missing = points.filter(({ time }) => time < first || (time > last && time < next));
  store.trend = [...trend, ...missing].sort((one, other) => one.time - other.time);
}

// After each hello. A busy server refuses: the points are requested again, and the page shows its own until they come.
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
