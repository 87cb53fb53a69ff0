// Cards: the figures of the server, each with a small curve: from 0 to its maximum, since the server began or in the
// last hour.

import { el, setText, svg } from "./dom.js";
import { bytes, clock, compact, duration, number, percent, plural, rate, UNKNOWN, zone } from "./format.js";
import { hasServer, isRehearsal, store } from "./store.js";
import { figuresNow } from "./trend.js";
import { countWorkers } from "./worker_counts.js";

const WIDTH = 120;
const HEIGHT = 28;
const MAX_WORKERS_AGE_SECONDS = 30; // of a count of what runs now: older ones are said to be

const hasPods = () => store.hello.hasWorkers === true; // a cluster's workers, read while this page is open

// What is unknown is in no sum.
const unknown = (s) => (s.failing ?? 0) + (s.unmeasured ?? 0);

// A source may count no messages, or none in flight.
const reported = (s, figure, note) => (figure == null && s.triggers > 0 && !unknown(s) ? "not reported" : note);

// What sums over triggers lack, and what in them is of before an outage: a held trigger counts with its last reading.
const doubts = (s) => [[unknown(s), "unknown"], [s.held, "held"]]
  .filter(([count]) => count > 0)
  .map(([count, word]) => `${number(count)} ${word}`);

const noteOfSum = (s, note) => (doubts(s).length > 0 ? `triggers: ${doubts(s).join(", ")}` : note);

const noteOfQueries = (s) => (s.queries == null ? "" : reported(s, s.waiting, plural(s.queries, "query", "queries")));

// What is not known is in no count.
function noteOfPods({ pods, objects, unread, oldestSecondsAgo }) {
  const notes = [];
  if (pods != null) notes.push(`of ${plural(pods, "pod")}`);
  if (unread > 0) notes.push(`${number(unread)} of ${plural(objects, "object")} not read`);
  if (oldestSecondsAgo > MAX_WORKERS_AGE_SECONDS) notes.push(`as of up to ${duration(oldestSecondsAgo)} ago`);
  return notes.join(", ");
}

function noteOfWorkers(s) {
  if (!isRehearsal()) return noteOfPods(s);
  if (s.current == null) return "";
  const stopping = [...store.tables.workers.values()].filter(({ state }) => state === "stopping").length;
  const replicas = plural(s.current, "replica");
  return stopping === 0 ? `of ${replicas}` : `${replicas}, ${number(stopping)} stopping`;
}

// Before the first worker none has done a job. One that has not written how many it has done may have done some.
const jobsDone = (s) => s.jobsDone ?? (store.tables.workers.size === 0 ? 0 : null);

const cards = [
  { key: "waiting", isShown: hasServer, label: "Waiting", text: (s) => compact(s.waiting),
    note: (s) => noteOfSum(s, noteOfQueries(s)) },
  { key: "inFlight", isShown: hasServer, label: "In flight", text: (s) => compact(s.inFlight),
    note: (s) => noteOfSum(s, reported(s, s.inFlight, "unacknowledged")) },
  { key: "runningWorkers", isShown: () => isRehearsal() || hasPods(), label: "Running workers",
    text: (s) => (s.areBounds && s.runningWorkers != null ? "≥ " : "") + compact(s.runningWorkers),
    note: noteOfWorkers },
  { key: "jobsDone", label: "Done by workers", isShown: isRehearsal, text: (s) => compact(jobsDone(s)),
    note: () => "as they write" },
  { key: "active", label: "Active triggers", text: (s) => number(s.active),
    note: (s) => [`of ${number(s.triggers)}`, ...doubts(s)].join(", ") },
  { key: "replicas", isShown: hasServer, label: "Replicas wanted", text: (s) => compact(s.replicas),
    note: (s) => noteOfSum(s, "without min and max") },
  { key: "consumed", isShown: hasServer, label: "Consumed", text: (s) => compact(s.consumed),
    note: (s) => reported(s, s.consumed, "since start, at least") },
  { key: "callsPerSecond", isShown: hasServer, label: "Calls per second", text: (s) => rate(s.callsPerSecond),
    note: () => "of KEDA" },
  { key: "cpu", isShown: hasServer, label: "CPU", text: (s) => percent(s.cpu),
    note: () => isRehearsal() ? "of one core, the server's" : "of one core" },
  { key: "memory", isShown: hasServer, label: "Memory", text: (s) => bytes(s.memory),
    note: (s) => s.historyBytes == null ? "" : `history ${bytes(s.historyBytes)}` },
];

// From 0, so that what stays the same is not drawn like nothing; a gap where it was unknown.
function curve(points) {
  const known = points.filter(([, value]) => value != null);
  const [[begin]] = points;
  const span = Math.max(points.at(-1)[0] - begin, 1);
  const peak = known.reduce((most, [, value]) => Math.max(most, value), 0);
  let isDown = false;
  let path = "";
  for (const [time, value] of points) {
    const x = ((time - begin) / span) * WIDTH;
    const y = HEIGHT - 1.5 - (peak > 0 ? value / peak : 0) * (HEIGHT - 4);
    if (value != null) path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDown = value != null;
  }
  return { path, peak: known.length > 0 ? peak : null };
}

export function makeCards() {
  const made = cards.filter(({ isShown }) => isShown?.() ?? true).map((card) => {
    const value = el("dd", { class: "value" }, UNKNOWN);
    const note = el("dd", { class: "note" });
    const path = svg("path", { class: "curve" });
    const [peak, from] = [el("span", {}), el("span", {})];
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const trend = el("dd", { class: "trend", "aria-hidden": "true" },
      el("span", { class: "peak" }, peak), svg("svg", box, path),
      el("span", { class: "times" }, from, el("span", {}, "now")));
    const element = el("div", { class: "card" }, el("dt", {}, card.label), value, note, trend);
    return { card, value, note, path, peak, from, element };
  });
  const element = el("dl", { class: `cards of-${made.length}`, "aria-label": "Figures of the server" },
    made.map(({ element: one }) => one));
  const counting = hasPods() ? countWorkers() : null;
  return {
    element,
    close: () => counting?.close(),
    draw() {
      const { trend } = store;
      const figures = figuresNow();
      const isDrawn = trend.length > 1;
      for (const { card, value, note, path, peak, from } of made) {
        setText(value, card.text(figures));
        setText(note, card.note(figures));
        const drawn = isDrawn
          ? curve(trend.map((point) => [point.time, point[card.key] ?? null]))
          : { path: "", peak: null };
        if (path.getAttribute("d") !== drawn.path) path.setAttribute("d", drawn.path);
        setText(peak, drawn.peak == null ? "" : `max ${card.text({ [card.key]: drawn.peak })}`);
        setText(from, isDrawn ? `${clock(trend[0].time).slice(0, 5)} ${zone()}` : "");
      }
    },
  };
}
