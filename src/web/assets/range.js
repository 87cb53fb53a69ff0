// The range of time that the plots show: "15m", or "FROM-TO" in seconds since 1970.

import { parameters } from "./address.js";
import { serverNow } from "./clock.js";

export const ranges = [
  ["5m", "5 min", 300],
  ["15m", "15 min", 900],
  ["1h", "1 hour", 3600],
];
export const USUAL_RANGE = "1h";

// [from, to] of "FROM-TO"; null: `range` is none.
export function spanOf(range) {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range)?.map(Number) ?? [];
  return to > from ? [from, to] : null;
}

// What the address has may be no range: somebody can have written it.
export function chosenRange() {
  const range = parameters().get("range");
  return ranges.some(([key]) => key === range) || spanOf(range) ? range : USUAL_RANGE;
}

// [from, to] that plots show: not before the `first` point of the history, and until now.
export function limitsOf(first, range) {
  const own = spanOf(range);
  if (own) return own;
  const now = serverNow();
  const [, , seconds] = ranges.find(([key]) => key === range);
  return [Math.min(Math.max(now - seconds, first), now - 10), now];
}
