// What the server sends, and who wants to know of changes. One EventSource for the whole page.

import { plural } from "./format.js";

const MAX_LOG_LINES = 2000;
const TREND_SECONDS = 3600; // of the curves on the cards
const TREND_POINTS = 240; // at most about so many points: the longer the trend, the farther apart

const noTables = () => ({ triggers: new Map(), connections: new Map(), workers: new Map() });

export const store = {
  hello: { mode: "serve" },
  tables: noTables(),
  server: {},
  workerCounts: {}, // of the pods of a cluster, beside what is in `server`: runningWorkers, and all workers
  trend: [], // the last hour of some figures of the server: what is in `server`, and now
  log: [],
  isReady: false,
  connection: "connecting", // live; late: what is shown is old; lost
  renewedAt: null, // when what is shown was so, by our clock; null: not yet
  clockOffset: 0, // seconds that the server's clock is ahead of ours
  version: { triggers: 0, connections: 0, workers: 0, log: 0 },
};

// A rehearsal has a server's pages and figures only where it knows the server's address.
export const isRehearsal = () => store.hello.mode === "rehearse";
export const hasServer = () => !isRehearsal() || store.hello.hasServer === true;

// What the stream fills. After another connection those of before are shown until all rows have come again: a table
// that lost them would lose its place.
let incoming = store.tables;
let isComplete = false; // and it is what is shown

const listeners = new Set();
let isScheduled = false;

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Once per frame, however much has come; a page in the background draws nothing.
function changed() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    for (const listener of [...listeners]) listener();
  });
}

export const serverNow = () => Date.now() / 1000 + store.clockOffset;

const MAX_DRIFT = 0.0001; // of two clocks that nobody sets, per second
let timed = null; // the last event of this connection that has a time: {sent, date, steady (a clock that nobody sets)}

// By the event that was under way for the shortest time: of the others less is seen, by what they waited for in buffers
// on the way. Anew where a clock was set.
function takeClock(sent) {
  const now = { sent, date: Date.now() / 1000, steady: performance.now() / 1000 };
  const elapsed = now.steady - timed?.steady;
  const isSame = timed !== null && sent >= timed.sent && Math.abs(now.date - timed.date - elapsed) < 1;
  const seen = sent - now.date;
  store.clockOffset = isSame ? Math.max(seen, store.clockOffset - elapsed * MAX_DRIFT) : seen;
  timed = now;
}

function begin(hello) {
  store.hello = hello;
  timed = null; // it may be another pod, with another clock
  store.workerCounts = {};
  store.trend = [];
  incoming = noTables();
  isComplete = false;
  if (!store.isReady) store.tables = incoming;
}

// What comes may be old: the server's loop was busy since, or it was long under way (takeClock()).
function renew() {
  const isKnown = typeof store.server.time === "number" && typeof store.server.sent === "number";
  store.renewedAt = isKnown ? (store.server.time - store.clockOffset) * 1000 : Date.now();
  store.connection = isLongAgo(store.renewedAt, MAX_AGE_MS) ? "late" : "live";
}

// The lines of the log come after the rows.
function showAll() {
  store.tables = incoming;
  isComplete = true;
  store.log = [];
  store.isReady = true;
  for (const name of Object.keys(store.version)) store.version[name]++;
  renew();
}

function takeRows({ table, rows, gone }) {
  const map = incoming[table];
  if (!map) return;
  for (const { id, fixed, live } of rows) {
    const before = map.get(id);
    const kept = fixed ?? before?.fixed ?? {};
    map.set(id, { ...kept, ...live, id, fixed: kept });
  }
  for (const id of gone) map.delete(id);
  store.version[table]++;
}

// The figures close an update: all its rows have come, and none is older than they.
function takeServer(server) {
  store.server = { ...server, ...store.workerCounts };
  if (typeof server.sent === "number") takeClock(server.sent);
  if (isComplete) renew();
  const { trend } = store;
  const apart = trend.length > 1 ? Math.max(1, (serverNow() - trend[0].time) / TREND_POINTS) : 0;
  if (trend.length > 1 && trend.at(-1).time - trend.at(-2).time < apart) trend.pop();
  trend.push({ ...store.server, time: serverNow() });
  while (trend[0].time < serverNow() - TREND_SECONDS) trend.shift();
}

export function takeWorkerCounts(counts) {
  store.workerCounts = counts;
  Object.assign(store.server, counts);
  changed();
}

const TREND_RETRY_MS = 15000;

// A server that is busy refuses it, and may not be busy later.
async function takeTrend() {
  const { hello } = store;
  while (store.hello === hello) {
    const isDone = await takeTrendOf(hello).then(() => true, () => false);
    if (isDone) return changed();
    await new Promise((resolve) => setTimeout(resolve, TREND_RETRY_MS));
  }
}

// What the server knows from before this page was opened.
async function takeTrendOf(hello) {
  const { columns, rows } = await (await request("/api/trend")).json();
  if (store.hello !== hello) return; // of a trend that has been forgotten since
  const before = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  const [first] = store.trend;
  store.trend.unshift(...before.filter(({ time }) => !first || time < first.time));
}

// The server keeps the last lines: of a burst it may have dropped some before this page was sent them.
function takeLog(lines) {
  for (const line of lines) {
    const missing = line.number - 1 - (store.log.at(-1)?.number ?? line.number - 1);
    const text = `${plural(missing, "line")} missing: they came faster than this page could be sent them`;
    if (missing > 0) store.log.push({ ...line, number: line.number - 1, level: "warning", text });
    store.log.push(line);
  }
  if (store.log.length > MAX_LOG_LINES) store.log.splice(0, store.log.length - MAX_LOG_LINES);
  store.version.log++;
}

// A server that is gone may leave a connection that nothing ever comes of.
const RESPONSE_SECONDS = 10;

function fail(error) {
  throw error.name === "TimeoutError" ? new Error(`no response of the server within ${RESPONSE_SECONDS} s`) : error;
}

// As fetch(), but it ends, also by the signal, if there is one, and a session that has ended leads to the login.
export async function request(path, signal) {
  const timeout = AbortSignal.timeout(RESPONSE_SECONDS * 1000);
  const ends = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const response = await fetch(path, { signal: ends }).catch(fail);
  if (response.status === 401) location.assign(`/login${location.hash}`);
  return response;
}

export const textOf = (response) => response.text().catch(fail);

// The body of the response; an error with its words, where it refuses.
export async function getJson(path, signal) {
  const response = await request(path, signal);
  const text = await textOf(response);
  const body = parseJson(text);
  if (response.ok && body != null) return body;
  throw new Error(body?.error ?? refusalOf(response, text) ?? `the server answered ${response.status}, and no JSON`);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Some refusals are plain text, of one line. The page of a proxy is not.
function refusalOf(response, text) {
  const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
  const [line] = text.split("\n", 1);
  return !response.ok && isText && line !== "" ? line : null;
}

// A browser has six connections to a server, for all its tabs: one that nobody sees gives its own back.
const HIDDEN_MS = 5000;
let source = null;
let hiding = null;
let retry = null;

// Of a connection that is lost the browser may learn nothing, and of a server whose loop is busy. The server sends
// something at least every 10 s (web_stream.h).
const MAX_SILENCE_MS = 30000;
const MAX_AGE_MS = 10000; // of what is shown as live
let beganAt = 0; // the connection
let heardAt = 0; // the last event of it

// By the date, which goes on while a computer sleeps, and may jump.
const isLongAgo = (time, limit) => Math.abs(Date.now() - time) > limit;

function hear() {
  heardAt = Date.now();
  if (store.connection === "lost") store.connection = "connecting";
}

function watch() {
  if (source === null || source.readyState === EventSource.CLOSED) return;
  if (isLongAgo(heardAt, MAX_SILENCE_MS)) {
    store.connection = "lost";
    connect();
  } else if (store.connection !== "lost" && isOld()) {
    store.connection = "late";
  } else return;
  changed();
}

function isOld() {
  return isLongAgo(beganAt, MAX_AGE_MS) && isLongAgo(store.renewedAt ?? 0, MAX_AGE_MS);
}

// EventSource does not say that it needs a login: another request does.
async function connectLater() {
  const response = await request("/api/server").catch(() => null);
  if (response?.status === 401 || source.readyState !== EventSource.CLOSED) return;
  clearTimeout(retry);
  retry = setTimeout(() => document.hidden || connect(), 5000);
}

function disconnect() {
  clearTimeout(retry);
  source?.close();
}

function connect() {
  disconnect();
  if (store.connection !== "lost") store.connection = "connecting";
  changed();
  beganAt = heardAt = Date.now();
  timed = null;
  source = new EventSource("/api/events");
  const on = (name, take) =>
    source.addEventListener(name, (event) => {
      hear();
      take(JSON.parse(event.data));
      changed();
    });
  on("hello", (hello) => {
    begin(hello);
    if (hasServer()) takeTrend();
  });
  on("rows", takeRows);
  on("server", takeServer);
  on("log", takeLog);
  on("ready", showAll);
  on("alive", () => {});
  // EventSource tries again by itself, unless the server refused it (too many readers).
  source.addEventListener("error", () => {
    store.connection = "lost";
    if (source.readyState === EventSource.CLOSED) connectLater();
    changed();
  });
}

function takeVisibility() {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(disconnect, HIDDEN_MS);
  else if (source === null || source.readyState === EventSource.CLOSED) connect();
}

// A tab may be opened in the background: it connects when it is shown.
export function connectWhenShown() {
  document.addEventListener("visibilitychange", takeVisibility);
  setInterval(watch, 1000);
  takeVisibility();
}
