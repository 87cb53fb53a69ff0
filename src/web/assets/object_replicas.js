// How many replicas a ScaledObject had, sampled by its page.

import { objectPath, objectQuery } from "./address.js";
import { serverNow } from "./clock.js";
import { getJson } from "./requests.js";
import { store } from "./store.js";

export const SAMPLE_EVERY_MS = 3000;

// For how long a sample says how many there are: until the next one, though the server read it some seconds before, and
// responds after 10 s.
export const SAMPLE_HOLDS_SECONDS = 30;

const isThere = ({ state }) => state === "Running" || state === "Pending";

// As /api/replicas: those that the HPA counts, or the pods of --workers that are not ending. null: no response came.
async function replicasOf(namespace, name, signal) {
  const path = `/api/replicas/${objectPath(namespace, name)}`;
  const ofHpa = store.hello.hasHpas ? await getJson(path, signal).catch(() => null) : null;
  if (ofHpa?.replicas != null || !store.hello.hasWorkers) return ofHpa;
  const page = await getJson(`/api/workers?${objectQuery(namespace, name)}`, signal).catch(() => null);
  const [object] = page?.objects ?? [];
  if (object && !object.hasMore) return { ...object, replicas: object.workers.filter(isThere).length };
  return ofHpa ?? (page && {});
}

// samples: [time, replicas] of the last hour, the oldest first; null: they were not known.
export function makeReplicaSamples(namespace, name) {
  const samples = [];
  return {
    samples,
    async sample(signal) {
      const seen = await replicasOf(namespace, name, signal);
      signal?.throwIfAborted();
      if (seen === null) return; // what was seen last holds for its time
      const isSeen = seen.secondsAgo != null;
      if (!isSeen && samples.length === 0) return; // they may never be known
      samples.push(isSeen
        ? [serverNow() - seen.secondsAgo, seen.error ? null : seen.replicas]
        : [serverNow(), null]);
      if (samples.length > 3600000 / SAMPLE_EVERY_MS) samples.shift();
    },
  };
}
