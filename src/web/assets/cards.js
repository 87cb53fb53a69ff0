// Cards: the figures of the server, each with a small curve of the last minutes.

import { el, setText, svg } from "./dom.js";
import { bytes, compact, cores, number, plural, rate } from "./format.js";
import { store } from "./store.js";

const WIDTH = 120;
const HEIGHT = 28;

// A rehearsal has no queries, and does not know the sum while a trigger has no value.
function noteOfWaiting(s) {
  if (s.unread) return `${plural(s.unread, "trigger", "triggers")} without a value`;
  return s.queries == null ? "" : plural(s.queries, "query", "queries");
}

const cards = [
  { key: "waiting", label: "Waiting", text: (s) => compact(s.waiting), note: noteOfWaiting },
  { key: "inFlight", label: "In flight", text: (s) => compact(s.inFlight), note: () => "unacknowledged" },
  { key: "active", label: "Active triggers", text: (s) => number(s.active), note: (s) => `of ${number(s.triggers)}` },
  { key: "replicas", label: "Replicas wanted", text: (s) => compact(s.replicas), note: () => "without min and max" },
  { key: "consumed", label: "Consumed", text: (s) => compact(s.consumed), note: () => "since start, at least" },
  { key: "callsPerSecond", label: "Calls per second", text: (s) => rate(s.callsPerSecond), note: () => "of KEDA" },
  { key: "cpu", label: "CPU", text: (s) => cores(s.cpu), note: () => "of one core" },
  { key: "memory", label: "Memory", text: (s) => bytes(s.memory), note: (s) => (s.historyBytes == null ? "" : `history ${bytes(s.historyBytes)}`) },
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
  const made = cards.map((card) => {
    const value = el("dd", { class: "value" }, "–");
    const note = el("dd", { class: "note" });
    const path = svg("path", { class: "curve" });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, path);
    return { card, value, note, path, element: el("div", { class: "card" }, el("dt", {}, card.label), value, note, el("dd", { class: "trend", "aria-hidden": "true" }, picture)) };
  });
  const element = el("dl", { class: "cards", "aria-label": "Figures of the server" }, made.map(({ element: one }) => one));
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
