// The panel of one trigger on the page of its ScaledObject: its figures, why it has them, plots, last changes,
// metadata. object_panels.js makes it, and hands it the two responses of the server.

/** @import { Explanation, History, Sample } from "../types.js" */

import { addressOf, objectPath } from "../base/address.js";
import { el, setChildren, setText } from "../base/dom.js";
import { age, clock, compact, duration, number, rate, UNKNOWN, zone } from "../base/format.js";
import { downloadLink } from "../parts/download_link.js";
import { serverNow } from "../state/clock.js";
import { SAMPLE_HOLDS_SECONDS } from "./object_replicas.js";
import { changesOf, columnsOf, stepsAt, withHeld } from "./trigger_history.js";
import { makeTriggerPlots } from "./trigger_plots.js";
import { decisionsOf, stateOf } from "./trigger_state.js";

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

// Ages change each time: so the elements stay, and only texts are replaced.
function drawFigures(list, entries) {
  const figure = (key) => el("div", {}, el("dt", {}, key), el("dd", {}));
  setChildren(list, entries.map(([key]) => key), (keys) => keys.map(figure));
  entries.forEach(([, text], index) => setText(list.children[index].lastChild, text));
}

// All figures are of one response: figures of two moments would contradict each other.
function figuresOf(trigger, samples) {
  const { now, rates } = trigger;
  const reading = trigger.reading ?? {};
  const isCounted = reading.waiting != null || reading.value == null; // else the source has a value, and no messages
  const entries = [
    ...(isCounted ? [["Waiting", compact(reading.waiting)], ["In flight", compact(reading.inFlight)]] : []),
    trigger.policy
      ? ["Value (replicas)", compact(now.value)]
      : ["Value / target", `${compact(now.value)} / ${number(trigger.target)}`],
    ["Replicas wanted", number(now.replicas)],
    ...(samples.length > 0 ? [["Replicas", number(stepsAt([serverNow()], samples, SAMPLE_HOLDS_SECONDS)[0])]] : []),
    ...(isCounted ? [
      ["Arrivals/s", rate(rates.arrivals, rates.areBounds)],
      ["Consumed/s", rate(rates.consumption, rates.areBounds)],
    ] : []),
    ["Age of the reading", age(reading.ageSeconds)],
    ["Last call", trigger.lastCallSecondsAgo == null ? UNKNOWN : `${duration(trigger.lastCallSecondsAgo)} ago`],
  ];
  return [...entries, ...decisionsOf(trigger)];
}

// Entries of the metadata, as [key, text], or [key, text, the text of a link before it].
function metadataOf(trigger) {
  const { connection, query, target } = trigger.metadata ?? {};
  const entries = Object.entries({ ...connection, ...query, ...target });
  const { connectionName, source } = trigger;
  if (connectionName) entries.unshift(["connectionName", connectionName]);
  if (source) entries.push(["(connection)", `, ${source.state}`, source.name]);
  entries.push(["(hold)", duration(trigger.holdSeconds)], ["(open streams)", number(trigger.streams)]);
  return entries;
}

function metadataItem([key, text, linked]) {
  const link = linked != null && el("a", { href: addressOf("/connections") }, linked);
  return [el("dt", {}, key), el("dd", {}, link, text)];
}

function changeItem([at, text]) {
  const time = el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
  return el("li", {}, time, el("span", {}, text));
}

/**
 * @param {{namespace: string, name: string}} object
 * @param {Sample[]} samples
 * @param {(from: number, to: number) => void} onChoose the reader has drawn a span in a plot
 */
export function makeTriggerPanel({ namespace, name }, samples, onChoose) {
  const path = objectPath(namespace, name);
  const figures = el("dl", { class: "figures" });
  const why = el("p", { class: "why" });
  const former = el("p", { hidden: true },
    "Former metadata: the ScaledObject was edited, and KEDA no longer calls for this trigger.");
  const error = el("p", { class: "problem", role: "alert", hidden: true });
  const changes = el("ol", { class: "changes", tabindex: "0", "aria-label": "Last changes" });
  const understood = el("dl", { class: "pairs" });
  const title = el("h2", {});
  const chip = el("span", {});
  const query = el("code", { class: "soft" });
  const plots = makeTriggerPlots(samples, onChoose);
  const csv = downloadLink("Download as CSV");
  const element = el("article", { class: "panel" },
    el("header", {}, title, chip, query), former, figures, error,
    section("Why", why),
    plots.element, plots.shades,
    el("p", { class: "note" }, csv.link, " (a trace for ", el("code", {}, "backlog simulate"), ") ", csv.message),
    el("div", { class: "columns" },
      section(`Last changes (${zone()})`, changes), section("Metadata, as understood", understood)));
  const wanted = []; // samples of the replicas that a policy wants
  let last = null; // what the plots have drawn

  function redraw() {
    if (last) plots.draw(last);
  }

  return {
    element,
    /** @param {Explanation} trigger */
    explain(trigger) {
      setText(title, `${trigger.scaler ?? "unknown scaler"}: ${trigger.metricName}`);
      const [kind, text] = trigger.superseded ? ["none", "former"] : stateOf(trigger.now);
      chip.className = `chip ${kind}`;
      setText(chip, text);
      former.hidden = !trigger.superseded;
      setText(query, trigger.metadata?.query?.query ?? "");
      drawFigures(figures, figuresOf(trigger, samples));
      setText(why, trigger.why ?? "");
      const problem = trigger.now.error ?? trigger.failing?.error;
      error.hidden = !problem;
      if (problem) setText(error, problem);
      setChildren(understood, metadataOf(trigger), (entries) => entries.flatMap(metadataItem));
    },
    /** @param {History} trigger @param {Explanation} [explained] */
    history(trigger, explained) {
      csv.set(`/api/history/${path}?format=csv&trigger=${trigger.id}`, `${namespace}-${name}-${trigger.id}.csv`);
      const { now, policy } = explained ?? {};
      const data = withHeld(columnsOf(trigger), now);
      if (policy) wanted.push([data.times.at(-1) ?? serverNow(), now.replicas ?? null]); // as of the last reading
      last = { data, target: trigger.target, stateNow: now?.state, wanted: policy && wanted };
      redraw();
      const none = el("li", { class: "empty" }, "Nothing changed in the last hour.");
      setChildren(changes, changesOf(last.data), (items) => (items.length > 0 ? items.map(changeItem) : [none]));
    },
    redraw,
    close: plots.close,
  };
}
