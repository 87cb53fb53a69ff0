// The range of time that all plots of a page show. The address has it: "15m", or "FROM-TO" in seconds since 1970, which
// the reader has drawn.

/** @import { Span } from "../types.js" */

import { parameters } from "../base/address.js";
import { serverNow } from "../state/clock.js";

export const ranges = [
  ["5m", "5 min", 300],
  ["15m", "15 min", 900],
  ["1h", "1 hour", 3600],
];
export const USUAL_RANGE = "1h";

/** null: `range` is not "FROM-TO". @returns {Span | null} */
export function spanOf(range) {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range)?.map(Number) ?? [];
  return to > from ? [from, to] : null;
}

// The address may have any text: somebody can have written it.
export function chosenRange() {
  const range = parameters().get("range");
  return ranges.some(([key]) => key === range) || spanOf(range) ? range : USUAL_RANGE;
}

/**
 * What plots show. A range such as "15m" ends now, and begins at the `first` point of the history if that is later; but
 * it has 10 s at least.
 * @returns {Span}
 */
export function limitsOf(first, range) {
  const own = spanOf(range);
  if (own) return own;
  const now = serverNow();
  const [, , seconds] = ranges.find(([key]) => key === range);
  return [Math.min(Math.max(now - seconds, first), now - 10), now];
}
