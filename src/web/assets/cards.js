// Cards: the figures of the server, each with a small curve of the last minutes.

import { el, setText, svg } from "./dom.js";
import { bytes, compact, cores, number, plural, rate } from "./format.js";
import { store } from "./store.js";

const WIDTH = 120;
const HEIGHT = 28;

const isRehearsal = () => store.hello.mode === "rehearse";
const hasServer = () => !isRehearsal() || store.hello.hasServer === true; // what only the server knows

// What is unknown is in no sum.
const unknown = (s) => (s.failing ?? 0) + (s.unmeasured ?? 0);

function noteOfWaiting(s) {
  if (unknown(s)) return `${plural(unknown(s), "trigger")} without a value`;
  return s.queries == null ? "" : plural(s.queries, "query", "queries");
}

const cards = [
  { key: "waiting", isShown: hasServer, label: "Waiting", text: (s) => compact(s.waiting), note: noteOfWaiting },
  { key: "inFlight", isShown: hasServer, label: "In flight", text: (s) => compact(s.inFlight), note: () => "unacknowledged" },
  { key: "jobs", label: "Active jobs", isShown: isRehearsal, text: (s) => compact(s.jobs), note: (s) => `of ${plural(s.current ?? 0, "replica")}` },
  { key: "jobsDone", label: "Done by workers", isShown: isRehearsal, text: (s) => compact(s.jobsDone), note: () => "as they write" },
  { key: "active", label: "Active triggers", text: (s) => number(s.active), note: (s) => `of ${number(s.triggers)}${unknown(s) ? `, ${number(unknown(s))} unknown` : ""}` },
  { key: "replicas", isShown: hasServer, label: "Replicas wanted", text: (s) => compact(s.replicas), note: () => "without min and max" },
  { key: "consumed", isShown: hasServer, label: "Consumed", text: (s) => compact(s.consumed), note: () => "since start, at least" },
  { key: "callsPerSecond", isShown: hasServer, label: "Calls per second", text: (s) => rate(s.callsPerSecond), note: () => "of KEDA" },
  { key: "cpu", isShown: hasServer, label: "CPU", text: (s) => cores(s.cpu), note: () => isRehearsal() ? "of one core, the server's" : "of one core" },
  { key: "memory", isShown: hasServer, label: "Memory", text: (s) => bytes(s.memory), note: (s) => s.historyBytes == null ? "" : `history ${bytes(s.historyBytes)}` },
];

function curve(points) {
  const known = points.filter((value) => value != null);
  if (known.length < 2) return "";
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  const step = WIDTH / Math.max(1, points.length - 1);
  let path = "";
  points.forEach((value, index) => {
    if (value == null) return;
    const y = span === 0 ? HEIGHT - 3 : HEIGHT - 3 - ((value - low) / span) * (HEIGHT - 6);
    path += `${path ? "L" : "M"}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  return path;
}

export function makeCards() {
  const made = cards.filter(({ isShown }) => isShown?.() ?? true).map((card) => {
    const value = el("dd", { class: "value" }, "–");
    const note = el("dd", { class: "note" });
    const path = svg("path", { class: "curve" });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, path);
    return { card, value, note, path, element: el("div", { class: "card" }, el("dt", {}, card.label), value, note, el("dd", { class: "trend", "aria-hidden": "true" }, picture)) };
  });
  const element = el("dl", { class: `cards of-${made.length}`, "aria-label": "Figures of the server" }, made.map(({ element: one }) => one));
  return {
    element,
    draw() {
      for (const { card, value, note, path } of made) {
        setText(value, card.text(store.server));
        setText(note, card.note(store.server));
        path.setAttribute("d", curve(store.trend[card.key] ?? []));
      }
    },
  };
}
