// What trigger_plots.js and trigger_panel.js show of a trigger's history (/api/history): its columns, outages and
// changes.

/** @import { Columns, History, Outage, Sample, State } from "../types.js" */

import { number } from "../base/format.js";
import { serverNow } from "../state/clock.js";
import { ANSWERED, HELD, isFailing, REFUSED } from "./trigger_state.js";

const MAX_CHANGES = 30;

/**
 * From the first measurement that failed to the next good one, or to now if stateNow is failing. While a connection
 * fails there are no measurements: so no row of the history says that the hold has ended, after which KEDA gets errors.
 * An outage that began held, and is not held now, is split there: of one at 100 with a hold of 60 s, held is from 100
 * to 160, and refused from 160.
 * @param {Columns} columns
 * @param {State} stateNow
 * @param {number} holdSeconds
 * @returns {Outage[]}
 */
export function outagesOf({ times, state }, stateNow, holdSeconds) {
  const outages = [];
  state.forEach((one, index) => {
    const before = outages.at(-1);
    if (before && before.to == null && one !== before.kind) before.to = times[index];
    if (isFailing(one) && (!before || before.to != null)) outages.push({ kind: one, from: times[index] });
  });
  const last = outages.at(-1);
  // Before the end of the last outage is set: it has none where it still goes on.
  const isHeldNow = last?.to == null && last?.kind === HELD && stateNow === HELD;
  if (last && last.to == null) last.to = isFailing(stateNow) ? serverNow() : times.at(-1);
  return outages.flatMap((one) => {
    const end = one.from + holdSeconds; // NaN: the hold is not known
    if (one.kind !== HELD || !(one.to > end) || (one === last && isHeldNow)) return [one];
    return [{ ...one, to: end }, { kind: REFUSED, from: end, to: one.to }];
  });
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

export const hasPolicy = ({ boundBy }) => boundBy.some((value) => value != null);

// Where the source reports no rate of consumption: by how much waiting fell until the next reading, per second. That is
// less than the rate, as new work came meanwhile. The server derives no arrivals where the next reading is of other
// partitions: their work is not consumed work.
function fallOf(times, waiting, arrivals) {
  return waiting.map((value, i) => {
    if (value == null || waiting[i + 1] == null || arrivals[i] == null) return null;
    return Math.max(0, value - waiting[i + 1]) / (times[i + 1] - times[i]);
  });
}

// Columns that no page shows, on purpose. `value` of a policy is its replicas.
export const UNSHOWN_COLUMNS = ["value"];

/**
 * Where the source does not count waiting work, `waiting` has the source's value. (`value` would not do: with a policy
 * it is the replicas.)
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
  const boundBy = column("boundBy");
  const isUnknown = (rates) => rates.every((rate) => rate == null);
  const isFall = hasWaiting && isUnknown(reported);
  const isGrowth = isUnknown(column("arrivalRate")) && isFall;
  const consumption = isFall ? fallOf(times, waiting, arrivals) : reported;
  // A policy chooses the replicas by more than the reading: they are known in rows that have its decision.
  const replicas = hasPolicy({ boundBy })
    ? column("replicas").map((value, i) => (boundBy[i] == null ? null : value))
    : column("replicas");
  return {
    hasWaiting, isFall, isGrowth, times, waiting, inFlight: column("inFlight"), replicas, arrivals, consumption,
    active: column("active"), state: column("state"), status: column("status"), boundBy,
  };
}

// From held to refused no outage begins: the hold is over. From refused to held: it begins late.
function stateChange(before, now) {
  if (now === ANSWERED) return "measured again";
  if (isFailing(before)) return now === HELD ? "the last value is held" : "the hold is over: KEDA gets errors";
  return now === HELD ? "measuring failed: the last value is held" : "measuring failed";
}

/**
 * The last changes, the newest first. A value is compared with the last one that is known: of 3 replicas, a measurement
 * that failed, and 8 replicas, "3 → 8 replicas" is a change at the last time.
 * @param {Columns} columns
 * @returns {[time: number, text: string][]}
 */
export function changesOf({ times, replicas, active, state, status, boundBy }) {
  const changes = [];
  let before = {};
  times.forEach((time, i) => {
    const now = {
      state: state[i], active: active[i] ?? before.active, status: status[i] ?? before.status,
      boundBy: boundBy[i] ?? before.boundBy, replicas: replicas[i] ?? before.replicas,
    };
    const what = [];
    const hasChanged = (key) => before[key] != null && now[key] !== before[key];
    if (hasChanged("state")) what.push(stateChange(before.state, now.state));
    if (hasChanged("active")) what.push(now.active ? "became active" : "became inactive");
    if (hasChanged("status")) what.push(`consumers ${before.status} → ${now.status}`);
    if (hasChanged("boundBy")) what.push(`bound by ${now.boundBy}`);
    if (hasChanged("replicas")) what.push(`${number(before.replicas)} → ${number(now.replicas)} replicas`);
    if (what.length > 0) changes.push([time, what.join(", ")]);
    before = now;
  });
  return changes.slice(-MAX_CHANGES).reverse();
}
