// One trigger of a ScaledObject: its figures, why it has them, plots, last changes and metadata.

import { addressOf } from "./address.js";
import { el, setText } from "./dom.js";
import { age, clock, compact, duration, number, rate, zone } from "./format.js";
import { changesOf, columnsOf } from "./trigger_history.js";
import { makeTriggerPlots } from "./trigger_plots.js";
import { stateOf } from "./trigger_state.js";

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function pairs(entries) {
  return el("dl", { class: "pairs" }, entries.map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
}

function figure([key, text]) {
  return el("div", {}, el("dt", {}, key), el("dd", {}, text));
}

function figuresOf(trigger, row, looks) {
  const reading = trigger.reading ?? {};
  const value = row?.value ?? trigger.now?.value;
  const isCounted = reading.waiting != null || reading.value == null; // else it is a value, and no number of messages
  const entries = [
    ...(isCounted ? [["Waiting", compact(reading.waiting)], ["In flight", compact(reading.inFlight)]] : []),
    trigger.policy
      ? ["Value (replicas)", compact(value)]
      : ["Value / target", `${compact(value)} / ${number(trigger.target)}`],
    ["Replicas wanted", number(row?.replicas ?? trigger.now?.replicas)],
    ...(looks.length > 0 ? [["Replicas", number(looks.at(-1)[1])]] : []),
    ...(isCounted ? [
      ["Arrivals", rate(row?.arrivals, row?.ratesAreBounds) + " /s"],
      ["Consumed", rate(row?.consumption, row?.ratesAreBounds) + " /s"],
    ] : []),
    ["Age of the reading", age(reading.ageSeconds)],
    ["Last call", trigger.lastCallSecondsAgo == null ? "–" : `${duration(trigger.lastCallSecondsAgo)} ago`],
  ];
  if (trigger.policy) entries.push(["Bound by", trigger.policy.boundBy], ["Consumers", trigger.policy.status]);
  const { shadow } = trigger;
  if (shadow) entries.push(["In shadow", `${number(shadow.replicas)} replicas, ${shadow.boundBy}`]);
  return entries;
}

function metadataOf(trigger) {
  const { connection, query, target } = trigger.metadata ?? {};
  const entries = Object.entries({ ...connection, ...query, ...target });
  const { connectionName, source } = trigger;
  if (connectionName) entries.unshift(["connectionName", connectionName]);
  if (source) {
    const link = el("a", { href: addressOf("/connections") }, source.name);
    entries.push(["(connection)", [link, `, ${source.state}`]]);
  }
  entries.push(["(hold)", duration(trigger.holdSeconds)], ["(open streams)", number(trigger.streams)]);
  return entries;
}

function changeItem([at, text]) {
  const time = el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
  return el("li", {}, time, el("span", {}, text));
}

// looks: the actual replicas, as [time, number or null].
export function makePanel(path, looks, chosen) {
  const figures = el("dl", { class: "figures" });
  const why = el("p", { class: "why" });
  const error = el("p", { class: "problem", role: "alert", hidden: true });
  const changes = el("ol", { class: "changes", tabindex: "0", "aria-label": "Last changes" });
  const understood = el("div", {});
  const title = el("h2", {});
  const chip = el("span", {});
  const query = el("code", { class: "soft" });
  const plots = makeTriggerPlots(looks, chosen);
  const csv = el("a", {}, "Download as CSV");
  const element = el("article", { class: "panel" },
    el("header", {}, title, chip, query), figures, error,
    section("Why", why),
    plots.element, plots.shades,
    el("p", { class: "note" }, csv, " (a trace for ", el("code", {}, "backlog simulate"), ")"),
    el("div", { class: "columns" },
      section(`Last changes (${zone()})`, changes), section("Metadata, as understood", understood)));
  let last = null; // what was drawn: the data, and the state that goes on

  function redraw() {
    if (last && !plots.element.hidden) plots.draw(last);
  }

  return {
    element,
    explain(trigger, row) {
      setText(title, `${trigger.scaler ?? "unknown scaler"}: ${trigger.metricName}`);
      const [kind, text] = row ? stateOf(row) : ["none", "–"];
      chip.className = `chip ${kind}`;
      setText(chip, text);
      setText(query, trigger.metadata?.query?.query ?? "");
      figures.replaceChildren(...figuresOf(trigger, row, looks).map(figure));
      setText(why, trigger.why ?? "");
      const problem = row?.error ?? trigger.now?.error ?? trigger.failing?.error;
      error.hidden = !problem;
      if (problem) setText(error, problem);
      understood.replaceChildren(pairs(metadataOf(trigger)));
    },
    history(trigger, stateNow) {
      csv.setAttribute("href", `/api/history/${path}?format=csv&trigger=${trigger.id}`);
      csv.setAttribute("download", `${path.replace("/", "-")}-${trigger.id}.csv`);
      last = { data: columnsOf(trigger), target: trigger.target, stateNow };
      plots.element.hidden = last.data.times.length === 0;
      redraw();
      const items = changesOf(last.data).map(changeItem);
      const none = el("li", { class: "none" }, "Nothing changed in the last hour.");
      changes.replaceChildren(...(items.length > 0 ? items : [none]));
    },
    redraw,
    close: plots.close,
  };
}
