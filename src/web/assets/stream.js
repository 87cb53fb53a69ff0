// The stream of the server's events: when it is connected, lost or given back, and how old what it brought is. One
// EventSource for the whole page.

import { clockOffset } from "./clock.js";
import { getText } from "./requests.js";
import { changed, store } from "./store.js";
import { updates } from "./updates.js";

// A browser has six connections to a server, for all its tabs: one that nobody sees gives its own back.
const HIDDEN_MS = 5000;
const RETRY_MS = 5000;
// Of a connection that is lost the browser may learn nothing, and of a server whose loop is busy. The server sends
// something at least every 10 s (web_stream.h).
const MAX_SILENCE_MS = 30000;
// Of what is shown as live. With many triggers a server updates more rarely, and says so: maxSilenceMs of its hello.
const MAX_AGE_MS = 10000;

let source = null;
let hiding = null;
let retry = null;
let beganAt = 0; // the connection
let heardAt = 0; // the last event of it

// By the date, which goes on while a computer sleeps, and may jump.
const isLongAgo = (time, limit) => Math.abs(Date.now() - time) > limit;
const maxAgeMs = () => Math.max(MAX_AGE_MS, store.hello.maxSilenceMs ?? 0);
const isSilent = () => isLongAgo(heardAt, MAX_SILENCE_MS);
const isOld = () => isLongAgo(beganAt, maxAgeMs()) && isLongAgo(store.renewedAt ?? 0, maxAgeMs());
const isClosed = () => source === null || source.readyState === EventSource.CLOSED;

// The figures are of when the update that they close began, and what comes may be old: the server's loop was busy
// since, or it was long under way (clock.js).
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

// EventSource reports no silence, and nobody that what came last is old.
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

// EventSource does not say why it failed: another request finds out that somebody has to sign in (requests.js). It
// tries again by itself, unless it was refused: by the server (too many readers), or by a proxy.
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
      // It may have waited here while the computer slept: what it says of the time is wrong.
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
