// How many replicas a ScaledObject had. Its page takes the samples, and its panels draw them.

/** @import { Sample } from "../types.js" */

import { objectPath, objectQuery } from "../base/address.js";
import { serverNow } from "../state/clock.js";
import { getJson } from "../state/requests.js";
import { store } from "../state/store.js";

export const SAMPLE_EVERY_MS = 3000;

// A sample holds until the next one. The server may have read it some seconds before, and take 10 s to respond.
export const SAMPLE_HOLDS_SECONDS = 30;

const isThere = ({ state }) => state === "Running" || state === "Pending";

// As /api/replicas: the replicas that the HPA counts, or else the pods of --workers that run or are to. null: no
// response came.
async function replicasOf(namespace, name, signal) {
  const path = `/api/replicas/${objectPath(namespace, name)}`;
  const ofHpa = store.hello.hasHpas ? await getJson(path, signal).catch(() => null) : null;
  if (ofHpa?.replicas != null || !store.hello.hasWorkers) return ofHpa;
  const page = await getJson(`/api/workers?${objectQuery(namespace, name)}`, signal).catch(() => null);
  const [object] = page?.objects ?? [];
  if (object && !object.hasMore) return { ...object, replicas: object.workers.filter(isThere).length };
  return ofHpa ?? (page && {});
}

// samples: those of the last hour, the oldest first.
export function makeReplicaSamples(namespace, name) {
  /** @type {Sample[]} */
  const samples = [];
  return {
    samples,
    async sample(signal) {
      const seen = await replicasOf(namespace, name, signal);
      signal?.throwIfAborted();
      if (seen === null) return; // the last sample goes on
      const isSeen = seen.secondsAgo != null;
      if (!isSeen && samples.length === 0) return; // the replicas of this object may never be known
      samples.push(isSeen
        ? [serverNow() - seen.secondsAgo, seen.error ? null : seen.replicas]
        : [serverNow(), null]);
      if (samples.length > 3600000 / SAMPLE_EVERY_MS) samples.shift();
    },
  };
}
