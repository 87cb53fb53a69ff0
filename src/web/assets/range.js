// The range of time that the plots show: "15m", or "FROM-TO" in seconds since 1970.

import { parameters } from "./address.js";
import { serverNow } from "./store.js";

export const ranges = [
  ["5m", "5 min", 300],
  ["15m", "15 min", 900],
  ["1h", "1 hour", 3600],
];
export const USUAL_RANGE = "1h";

export const chosenRange = () => parameters().get("range") ?? USUAL_RANGE;

// A curve begins with the history, and ends now.
export function limitsOf(first, range) {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range)?.map(Number) ?? [];
  if (to > from) return [from, to];
  const now = serverNow();
  const [, , span] = ranges.find(([key]) => key === range) ?? ranges.at(-1);
  return [Math.min(Math.max(now - span, first), now - 10), now];
}
