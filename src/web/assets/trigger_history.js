// What the history of a trigger, as the server sends it, says: columns, outages, changes.

import { serverNow } from "./clock.js";
import { number } from "./format.js";
import { ANSWERED, HELD, isFailing, REFUSED } from "./trigger_state.js";

const MAX_CHANGES = 30;

// From the first measurement that failed to the next good one, or to now while the state says so. A connection that
// failed is not measured: no sample says when a hold ends then, after which KEDA gets errors.
export function outagesOf({ times, state }, stateNow, holdSeconds) {
  const outages = [];
  state.forEach((one, index) => {
    const before = outages.at(-1);
    if (before && before.to == null && one !== before.kind) before.to = times[index];
    if (isFailing(one) && (!before || before.to != null)) outages.push({ kind: one, from: times[index] });
  });
  const last = outages.at(-1);
  const isHeldNow = last?.to == null && last?.kind === HELD && stateNow === HELD;
  if (last && last.to == null) last.to = isFailing(stateNow) ? serverNow() : times.at(-1);
  return outages.flatMap((one) => {
    const end = one.from + holdSeconds; // NaN where it is not known
    if (one.kind !== HELD || !(one.to > end) || (one === last && isHeldNow)) return [one];
    return [{ ...one, to: end }, { kind: REFUSED, from: end, to: one.to }];
  });
}

// What was seen last at each of these times; nothing before the first sample, nor where the last one is older: nobody
// looked, as while the page was in the background.
export function stepsAt(times, samples, maxAgeSeconds) {
  let next = 0;
  return times.map((time) => {
    while (next < samples.length && samples[next][0] <= time) next++;
    const [at, value] = samples[next - 1] ?? [-Infinity, null];
    return time - at <= maxAgeSeconds ? value : null;
  });
}

export const hasPolicy = ({ boundBy }) => boundBy.some((value) => value != null);

// Where the source reports no rate: what waiting fell by until the next reading, per second. New work hides some of it.
function fallOf(times, waiting) {
  return waiting.map((value, i) => {
    if (value == null || waiting[i + 1] == null) return null;
    return Math.max(0, value - waiting[i + 1]) / (times[i + 1] - times[i]);
  });
}

// What a history has and no page shows, on purpose. A policy's value is its replicas; arrivals are of these rates, too.
export const UNSHOWN_COLUMNS = ["value", "arrivalRate"];

// Between two readings; the source's value stands in where it has no count of waiting work. ("value" may be a policy's
// replicas.)
export function columnsOf({ columns, rows }) {
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const column = (name) => rows.map((row) => row[at[name]]);
  const hasWaiting = column("waiting").some((value) => value != null);
  const waiting = hasWaiting ? column("waiting") : column("sourceValue");
  const times = column("time");
  const reported = column("consumptionRate");
  const boundBy = column("boundBy");
  const isFall = hasWaiting && reported.every((rate) => rate == null);
  const consumption = isFall ? fallOf(times, waiting) : reported;
  // A policy chooses the replicas by more than the reading: they are known where its decision is.
  const replicas = hasPolicy({ boundBy })
    ? column("replicas").map((value, i) => (boundBy[i] == null ? null : value))
    : column("replicas");
  return {
    hasWaiting, isFall, times, waiting, inFlight: column("inFlight"), replicas, arrivals: column("arrivals"),
    consumption, active: column("active"), state: column("state"), status: column("status"), boundBy,
  };
}

// From one failing state to the other no outage begins: a hold is over, or begins late.
function stateChange(before, now) {
  if (now === ANSWERED) return "measured again";
  if (isFailing(before)) return now === HELD ? "the last value is held" : "the hold is over: KEDA gets errors";
  return now === HELD ? "measuring failed: the last value is held" : "measuring failed";
}

export function changesOf({ times, replicas, active, state, status, boundBy }) {
  const changes = [];
  for (let i = 1; i < times.length; i++) {
    const what = [];
    const hasChanged = (column) => column[i] != null && column[i - 1] != null && column[i] !== column[i - 1];
    if (state[i] !== state[i - 1]) what.push(stateChange(state[i - 1], state[i]));
    if (hasChanged(active)) what.push(active[i] ? "became active" : "became inactive");
    if (hasChanged(status)) what.push(`consumers ${status[i - 1]} → ${status[i]}`);
    if (hasChanged(boundBy)) what.push(`bound by ${boundBy[i]}`);
    if (hasChanged(replicas)) what.push(`${number(replicas[i - 1])} → ${number(replicas[i])} replicas`);
    if (what.length > 0) changes.push([times[i], what.join(", ")]);
  }
  return changes.slice(-MAX_CHANGES).reverse();
}
