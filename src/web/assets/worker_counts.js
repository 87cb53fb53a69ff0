// How many workers a cluster has. The server counts them while cards show them (cards.js).

import { poll } from "./poll.js";
import { getJson } from "./requests.js";
import { changed } from "./store.js";

const EVERY_MS = 5000;
const MAX_AGE_MS = 15000; // of a count: until the next one, though the server responds after 10 s
let counted = {}; // {running, pods, objects, unread, areBounds, oldestSecondsAgo}; nothing: it is not known
let countedAt = 0;

// What was counted last is unknown when the next count has not come.
export const workerCounts = () => (Math.abs(Date.now() - countedAt) < MAX_AGE_MS ? counted : {});

export function forgetWorkerCounts() {
  counted = {};
}

// Starts to count; the caller closes what this returns.
export function countWorkers() {
  const counting = poll({
    load: async (signal) => {
      counted = await getJson("/api/workers?summary", signal);
      countedAt = Date.now();
      changed();
    },
    everyMs: EVERY_MS,
    failed: () => {
      forgetWorkerCounts();
      changed();
    },
  });
  counting.start();
  return counting;
}
