// The stream of the server's events: one EventSource for the whole page, which app.js begins. It hands events to
// updates.js, and says in store.connection whether what is shown is live:
//
//   connecting  the full copy of the server's rows has not come yet
//   live        the last figures are at most maxAgeMs() old
//   late        they are older, or none have come for so long
//   lost        an error, or silence: the stream is connected again, and its first event leads to connecting
//
// Figures are those of the event `server`. A hidden tab closes the stream after 5 s, and opens it when it is shown.

import { clockOffset } from "./clock.js";
import { getText } from "./requests.js";
import { changed, store } from "./store.js";
import { updates } from "./updates.js";

// A browser has six connections to a server, for all its tabs: a tab that nobody sees gives its own back.
const HIDDEN_MS = 5000;
const RETRY_MS = 5000;
// A browser may never learn that the server's node died. The server sends something every 10 s, or some seconds later
// where its loop is busy (web_stream.h): a connection that has been silent for longer than this is lost.
const MAX_SILENCE_MS = 30000;
// Figures that are older are not live. With many triggers the server updates more rarely: maxAgeMs of its figures is
// twice its period, and is the limit where it is longer.
const MAX_AGE_MS = 10000;

let source = null;
let hiding = null; // the timer until a hidden tab disconnects
let retry = null; // the timer until the next attempt after a refusal
let beganAt = 0; // when the connection began
let heardAt = 0; // when its last event came

// By the date: unlike the clock of timers, it goes on while a computer sleeps. It may also jump back.
const isLongAgo = (time, limit) => Math.abs(Date.now() - time) > limit;
const maxAgeMs = () => Math.max(MAX_AGE_MS, store.server.maxAgeMs ?? 0);
const isSilent = () => isLongAgo(heardAt, MAX_SILENCE_MS);
const isOld = () => isLongAgo(beganAt, maxAgeMs()) && isLongAgo(store.renewedAt ?? 0, maxAgeMs());
const isClosed = () => source === null || source.readyState === EventSource.CLOSED;

// The time of the figures is when their update began. Figures that have just come may be old: the server was busy, or
// they were long under way (clock.js).
function renew() {
  const { time, sent } = store.server;
  const isKnown = typeof time === "number" && typeof sent === "number";
  store.renewedAt = isKnown ? (time - clockOffset()) * 1000 : Date.now();
  store.connection = isLongAgo(store.renewedAt, maxAgeMs()) ? "late" : "live";
}

function take(name, data) {
  heardAt = Date.now();
  if (store.connection === "lost") store.connection = "connecting";
  updates[name](JSON.parse(data));
  if (store.isComplete && (name === "server" || name === "ready")) renew();
  changed();
}

// Called each second: EventSource reports no silence, and no event says that the last one is old.
function watch() {
  if (isClosed()) return;
  if (isSilent()) {
    lose();
    return;
  }
  if (store.connection === "lost" || !isOld()) return;
  store.connection = "late";
  changed();
}

function lose() {
  store.connection = "lost";
  connect();
}

// EventSource does not say why it failed: another request finds out whether a login is missing (requests.js). The
// EventSource tries again by itself, unless the server (which has too many readers) or a proxy refused it: then we do.
async function findOut() {
  await getText("/api/server").catch(() => null);
  if (!isClosed()) return;
  clearTimeout(retry);
  retry = setTimeout(() => document.hidden || connect(), RETRY_MS);
}

function disconnect() {
  clearTimeout(retry);
  source?.close();
}

function connect() {
  disconnect();
  if (store.connection !== "lost") store.connection = "connecting";
  beganAt = heardAt = Date.now();
  source = new EventSource("/api/events");
  for (const name of Object.keys(updates))
    source.addEventListener(name, ({ data }) => {
      // The event may have waited here while the computer slept: then its time would set the clock wrong.
      if (isSilent()) lose();
      else take(name, data);
    });
  source.addEventListener("error", () => {
    store.connection = "lost";
    findOut();
    changed();
  });
  changed();
}

function takeVisibility() {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(disconnect, HIDDEN_MS);
  else if (isClosed()) connect();
}

// A tab may be opened in the background: it connects when it is shown.
export function connectWhenShown() {
  document.addEventListener("visibilitychange", takeVisibility);
  setInterval(watch, 1000);
  takeVisibility();
}
