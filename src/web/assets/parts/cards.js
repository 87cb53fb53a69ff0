// Cards with the figures of the server, each with a curve of the last hour. The page of triggers and that of a
// rehearsal's workers have them. All that they show is in the store.

/** @import { Figures } from "../types.js" */

import { el, setText, svg } from "../base/dom.js";
import { bytes, clock, compact, duration, number, percent, plural, rate, UNKNOWN, zone } from "../base/format.js";
import { hasServer, isRehearsal, store } from "../state/store.js";

const WIDTH = 120;
const HEIGHT = 28;
const MAX_WORKERS_AGE_SECONDS = 30; // the card says the age of an older count of pods

const hasPods = () => store.hello.hasWorkers === true; // the server counts pods of a cluster (--workers)

// How many triggers have no value. No sum includes them.
const unknown = (s) => (s.failing ?? 0) + (s.unmeasured ?? 0);

// The note of a figure that some sources do not report, such as messages in flight.
const reported = (s, figure, note) => (figure == null && s.triggers > 0 && !unknown(s) ? "not reported" : note);

// Which triggers make a sum doubtful: it does not include unknown ones, and includes the last reading of held ones.
const doubts = (s) => [[unknown(s), "unknown"], [s.held, "held"]]
  .filter(([count]) => count > 0)
  .map(([count, word]) => `${number(count)} ${word}`);

const noteOfSum = (s, note) => (doubts(s).length > 0 ? `triggers: ${doubts(s).join(", ")}` : note);

const noteOfQueries = (s) => (s.queries == null ? "" : reported(s, s.waiting, plural(s.queries, "query", "queries")));

function noteOfPods({ pods, objects, unread, oldestSecondsAgo } = {}) {
  const notes = [];
  if (pods != null) notes.push(`of ${plural(pods, "pod")}`);
  if (unread > 0) notes.push(`${number(unread)} of ${plural(objects, "object")} not read`);
  if (oldestSecondsAgo > MAX_WORKERS_AGE_SECONDS) notes.push(`as of up to ${duration(oldestSecondsAgo)} ago`);
  return notes.join(", ");
}

function noteOfWorkers(s) {
  if (!isRehearsal()) return noteOfPods(s.workers);
  if (s.current == null) return "";
  const stopping = [...store.tables.workers.values()].filter(({ state }) => state === "stopping").length;
  const replicas = plural(s.current, "replica");
  return stopping === 0 ? `of ${replicas}` : `${replicas}, ${number(stopping)} stopping`;
}

// Processes of a rehearsal, or pods of a cluster. With areBounds not all pods were counted.
const runningWorkers = (s) => (isRehearsal() ? s.runningWorkers : s.workers?.running) ?? null;
const textOfWorkers = (running, { workers }) =>
  (running != null && workers?.areBounds ? "≥ " : "") + compact(running);

// null: a worker has not written how many jobs it has done. Without a worker no job is done.
const textOfJobs = (done) => compact(done ?? (store.tables.workers.size === 0 ? 0 : null));

/**
 * figure(): the number on the card, of the server's figures now, and in its curve, of former ones. text(): how the
 * number is written. note(): what is below it.
 * @type {{label: string, isShown?: () => boolean, figure: (s: Figures) => number | null | undefined,
 *   text: (number: number, s: Figures) => string, note: (s: Figures) => string}[]}
 */
const cards = [
  { label: "Waiting", isShown: hasServer, figure: (s) => s.waiting, text: compact,
    note: (s) => noteOfSum(s, noteOfQueries(s)) },
  { label: "In flight", isShown: hasServer, figure: (s) => s.inFlight, text: compact,
    note: (s) => noteOfSum(s, reported(s, s.inFlight, "unacknowledged")) },
  { label: "Active jobs", isShown: () => isRehearsal() || hasPods(), figure: runningWorkers, text: textOfWorkers,
    note: noteOfWorkers },
  { label: "Done by workers", isShown: isRehearsal, figure: (s) => s.jobsDone, text: textOfJobs,
    note: () => "as they write" },
  { label: "Active triggers", figure: (s) => s.active, text: number,
    note: (s) => [`of ${number(s.triggers)}`, ...doubts(s)].join(", ") },
  { label: "Replicas wanted", isShown: hasServer, figure: (s) => s.replicas, text: compact,
    note: (s) => noteOfSum(s, "without min and max") },
  { label: "Consumed per second", isShown: hasServer, figure: (s) => s.consumption, text: (consumed) => rate(consumed),
    note: (s) => reported(s, s.consumption, "at least") },
  { label: "Calls per second", isShown: hasServer, figure: (s) => s.callsPerSecond, text: (calls) => rate(calls),
    note: () => "of KEDA" },
  { label: "CPU", isShown: hasServer, figure: (s) => s.cpu, text: percent,
    note: () => isRehearsal() ? "of one core, the server's" : "of one core" },
  { label: "Memory", isShown: hasServer, figure: (s) => s.memory, text: bytes, note: () => "" },
];

// points: [time, value or null]. Returns the paths of the line, which has a gap where the value was unknown, and of a
// dot for each value between two gaps; and the largest value. The scale begins at 0: else a figure that stays the same
// would be drawn like one that is 0.
function curve(points) {
  const known = points.filter(([, value]) => value != null);
  const [[begin]] = points;
  const span = Math.max(points.at(-1)[0] - begin, 1);
  const peak = known.reduce((most, [, value]) => Math.max(most, value), 0);
  const isKnown = (index) => points[index]?.[1] != null;
  let line = "";
  let dots = "";
  points.forEach(([time, value], index) => {
    if (value == null) return;
    const x = (((time - begin) / span) * WIDTH).toFixed(1);
    const y = (HEIGHT - 1.5 - (peak > 0 ? value / peak : 0) * (HEIGHT - 4)).toFixed(1);
    if (isKnown(index - 1)) line += `L${x} ${y}`;
    else if (isKnown(index + 1)) line += `M${x} ${y}`;
    else dots += `M${x} ${y}h0`;
  });
  return { line, dots, peak: known.length > 0 ? peak : null };
}

function setPath(path, text) {
  if (path.getAttribute("d") !== text) path.setAttribute("d", text);
}

export function makeCards() {
  const made = cards.filter(({ isShown }) => isShown?.() ?? true).map((card) => {
    const value = el("dd", { class: "value" }, UNKNOWN);
    const note = el("dd", { class: "note" });
    const [line, dots] = [svg("path", { class: "curve" }), svg("path", { class: "curve dots" })];
    const [peak, from, now] = [el("span", {}), el("span", {}), el("span", {})];
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const trend = el("dd", { class: "trend", "aria-hidden": "true" },
      el("span", { class: "peak" }, peak), svg("svg", box, line, dots),
      el("span", { class: "times" }, from, now));
    const element = el("div", { class: "card" }, el("dt", {}, card.label), value, note, trend);
    return { card, value, note, line, dots, peak, from, now, element };
  });
  const element = el("dl", { class: `cards of-${made.length}`, "aria-label": "Figures of the server" },
    made.map(({ element: one }) => one));
  return {
    element,
    draw() {
      const { trend, server } = store;
      const isDrawn = trend.length > 1;
      for (const { card, value, note, line, dots, peak, from, now } of made) {
        setText(value, card.text(card.figure(server), server));
        setText(note, card.note(server));
        const drawn = isDrawn
          ? curve(trend.map((figures) => [figures.time, card.figure(figures) ?? null]))
          : { line: "", dots: "", peak: null };
        setPath(line, drawn.line);
        setPath(dots, drawn.dots);
        setText(peak, drawn.peak == null ? "" : `max ${card.text(drawn.peak, {})}`);
        setText(from, isDrawn ? `${clock(trend[0].time).slice(0, 5)} ${zone()}` : "");
        setText(now, isDrawn ? "now" : "");
      }
    },
  };
}
