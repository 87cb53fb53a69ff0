// What trigger_plots.js and trigger_panel.js show of a trigger's history (/api/history): its columns, outages and
// changes.

/** @import { Columns, Explanation, History, Outage, Sample, State } from "../types.js" */

import { number } from "../base/format.js";
import { serverNow } from "../state/clock.js";
import { ANSWERED, HELD, isFailing } from "./trigger_state.js";

const MAX_CHANGES = 30;

/**
 * From the first measurement that failed to the next good one, or to now if it still fails.
 * @param {Columns} columns
 * @param {State} stateNow
 * @returns {Outage[]}
 */
export function outagesOf({ times, state }, stateNow) {
  const outages = [];
  state.forEach((one, index) => {
    const before = outages.at(-1);
    const goesOn = before && before.to == null;
    if (goesOn && one === ANSWERED) before.to = times[index];
    if (!goesOn && one !== ANSWERED) outages.push({ from: times[index] });
  });
  const last = outages.at(-1);
  if (last && last.to == null) last.to = isFailing(stateNow) ? serverNow() : times.at(-1);
  return outages;
}

/**
 * The last sample at each of these times. null: before the first one, or where the last one is older than
 * maxAgeSeconds, as the page took none in the background.
 * @param {number[]} times
 * @param {Sample[]} samples
 * @param {number} maxAgeSeconds
 */
export function stepsAt(times, samples, maxAgeSeconds) {
  let next = 0;
  return times.map((time) => {
    while (next < samples.length && samples[next][0] <= time) next++;
    const [at, value] = samples[next - 1] ?? [-Infinity, null];
    return time - at <= maxAgeSeconds ? value : null;
  });
}

// Where the source reports no rate of consumption: by how much waiting fell until the next reading, per second. That is
// less than the rate, as new work came meanwhile. The server derives no arrivals where the next reading is of other
// partitions: their work is not consumed work.
function fallOf(times, waiting, arrivals) {
  return waiting.map((value, i) => {
    if (value == null || waiting[i + 1] == null || arrivals[i] == null) return null;
    return Math.max(0, value - waiting[i + 1]) / (times[i + 1] - times[i]);
  });
}

// Columns that no page shows, on purpose.
export const UNSHOWN_COLUMNS = ["value"];

/**
 * Where the source does not count waiting work, `waiting` has the source's value.
 * @param {History} history
 * @returns {Columns}
 */
export function columnsOf({ columns, rows }) {
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const column = (name) => rows.map((row) => row[at[name]]);
  const hasWaiting = column("waiting").some((value) => value != null);
  const waiting = hasWaiting ? column("waiting") : column("sourceValue");
  const times = column("time");
  const arrivals = column("arrivals");
  const reported = column("consumptionRate");
  const isUnknown = (rates) => rates.every((rate) => rate == null);
  const isFall = hasWaiting && isUnknown(reported);
  const isGrowth = isUnknown(column("arrivalRate")) && isFall;
  const consumption = isFall ? fallOf(times, waiting, arrivals) : reported;
  return {
    hasWaiting, isFall, isGrowth, times, waiting, inFlight: column("inFlight"), replicas: column("replicas"), arrivals,
    consumption, active: column("active"), state: column("state"),
  };
}

/**
 * While it is held, what it wants since measuring failed is what is held now.
 * @param {Columns} columns
 * @param {Explanation["now"]} [now]
 * @returns {Columns}
 */
export function withHeld(columns, now) {
  const since = columns.state.lastIndexOf(ANSWERED) + 1;
  if (now?.state !== HELD) return columns;
  return { ...columns, replicas: columns.replicas.map((one, index) => (index < since ? one : now.replicas ?? null)) };
}

/**
 * The last changes, the newest first. A value is compared with the last one that is known: of 3 replicas, a measurement
 * that failed, and 8 replicas, "3 → 8 replicas" is a change at the last time.
 * @param {Columns} columns
 * @returns {[time: number, text: string][]}
 */
export function changesOf({ times, replicas, active, state }) {
  const changes = [];
  let before = {};
  times.forEach((time, i) => {
    const now = {
      state: state[i], active: active[i] ?? before.active, replicas: replicas[i] ?? before.replicas,
    };
    const what = [];
    const hasChanged = (key) => before[key] != null && now[key] !== before[key];
    if (hasChanged("state")) what.push(now.state === ANSWERED ? "measured again" : "measuring failed");
    if (hasChanged("active")) what.push(now.active ? "became active" : "became inactive");
    if (hasChanged("replicas")) what.push(`${number(before.replicas)} → ${number(now.replicas)} replicas`);
    if (what.length > 0) changes.push([time, what.join(", ")]);
    before = now;
  });
  return changes.slice(-MAX_CHANGES).reverse();
}
