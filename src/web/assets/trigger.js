// The page of one ScaledObject: each of its triggers with history, explanation, last changes, error and log lines.

import { el, setText } from "./dom.js";
import { age, clock, compact, duration, number, rate } from "./format.js";
import { drawLines, linesAbout } from "./log.js";
import { makePlot } from "./plots.js";
import { listen, store } from "./store.js";
import { connectionOf, stateOf } from "./triggers.js";

const EXPLAIN_EVERY_MS = 2000;
const HISTORY_EVERY_MS = 5000;
const MAX_CHANGES = 30;

async function getJson(path) {
  const answer = await fetch(path);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error ?? `the server answered ${answer.status}`);
  return body;
}

const last = (values) => values.findLast((value) => value != null);
const largest = (values) => values.reduce((most, value) => (value > most ? value : most), 0);

function makePlots() {
  const waiting = makePlot({
    title: "Work",
    series: [{ label: "waiting", colour: "plot-1", isFilled: true }, { label: "in flight", colour: "plot-2" }],
    summary: ([values]) => `Waiting in the last hour: now ${compact(last(values))}, at most ${compact(largest(values))}`,
  });
  const replicas = makePlot({
    title: "Replicas wanted", isWhole: true,
    series: [{ label: "replicas", colour: "plot-3", isStep: true, isFilled: true }],
    summary: ([values], title) => `${title} in the last hour: now ${number(last(values))}, at most ${number(largest(values))}`,
  });
  const rates = makePlot({
    title: "Rates per second",
    series: [{ label: "arrivals", colour: "plot-1" }, { label: "consumed", colour: "plot-4" }],
    summary: ([values]) => `Arrivals per second in the last hour: now ${rate(last(values))}, at most ${rate(largest(values))}`,
  });
  return { waiting, replicas, rates };
}

// Between two readings; "value" stands in where the source has no count of waiting work.
function columnsOf({ columns, rows }) {
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const column = (name) => rows.map((row) => row[at[name]]);
  const waiting = column("waiting").some((value) => value != null) ? column("waiting") : column("value");
  return { times: column("time"), waiting, inFlight: column("inFlight"), replicas: column("replicas"), arrivals: column("arrivals"), consumption: column("consumptionRate"), active: column("active"), state: column("state"), status: column("status"), boundBy: column("boundBy") };
}

// A policy chooses the replicas by more than the reading, so the history does not know them.
const hasPolicy = ({ boundBy }) => boundBy.some((value) => value != null);

function changesOf({ times, replicas, active, state, status, boundBy }) {
  const changes = [];
  const isByThreshold = !hasPolicy({ boundBy });
  for (let i = 1; i < times.length; i++) {
    const what = [];
    if (state[i] !== state[i - 1]) what.push(state[i] === "ok" ? "measured again" : state[i] === "held" ? "measuring failed: the last value is held" : "measuring failed");
    if (active[i] != null && active[i - 1] != null && active[i] !== active[i - 1]) what.push(active[i] ? "became active" : "became inactive");
    if (status[i] != null && status[i - 1] != null && status[i] !== status[i - 1]) what.push(`consumers ${status[i - 1]} → ${status[i]}`);
    if (boundBy[i] != null && boundBy[i - 1] != null && boundBy[i] !== boundBy[i - 1]) what.push(`bound by ${boundBy[i]}`);
    if (isByThreshold && replicas[i] != null && replicas[i - 1] != null && replicas[i] !== replicas[i - 1]) what.push(`${number(replicas[i - 1])} → ${number(replicas[i])} replicas`);
    if (what.length > 0) changes.push([times[i], what.join(", ")]);
  }
  return changes.slice(-MAX_CHANGES).reverse();
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function pairs(entries) {
  return el("dl", { class: "pairs" }, entries.map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
}

// One trigger of the ScaledObject.
function makePanel(path) {
  const figures = el("dl", { class: "figures" });
  const why = el("p", { class: "why" });
  const error = el("p", { class: "problem", role: "alert", hidden: true });
  const changes = el("ol", { class: "changes", tabindex: "0", "aria-label": "Last changes" });
  const understood = el("div", {});
  const title = el("h2", {});
  const chip = el("span", {});
  const plots = makePlots();
  const shown = el("div", { class: "plots" }, plots.waiting.element, plots.replicas.element, plots.rates.element);
  const csv = el("a", {}, "Download as CSV");
  const element = el("article", { class: "panel" },
    el("header", {}, title, chip), figures, error,
    section("Why", why),
    shown,
    el("p", { class: "note" }, "The last hour. ", csv, " (a trace for ", el("code", {}, "backlog simulate"), ")"),
    el("div", { class: "columns" }, section("Last changes", changes), section("Metadata, as understood", understood)));

  function drawFigures(trigger, row) {
    const reading = trigger.reading ?? {};
    const value = row?.value ?? trigger.now?.value;
    const entries = [
      ["Waiting", compact(reading.waiting ?? reading.value)],
      ["In flight", compact(reading.inFlight)],
      ["Value / target", `${compact(value)} / ${number(trigger.target)}`],
      ["Replicas wanted", number(row?.replicas ?? trigger.now?.replicas)],
      ["Arrivals", rate(row?.arrivals, row?.ratesAreBounds) + " /s"],
      ["Consumed", rate(row?.consumption, row?.ratesAreBounds) + " /s"],
      ["Age of the reading", age(reading.ageSeconds)],
      ["Last call", trigger.lastCallSecondsAgo == null ? "–" : `${duration(trigger.lastCallSecondsAgo)} ago`],
    ];
    if (trigger.policy) entries.push(["Bound by", trigger.policy.boundBy], ["Consumers", trigger.policy.status]);
    if (trigger.shadow) entries.push(["In shadow", `${number(trigger.shadow.replicas)} replicas, ${trigger.shadow.boundBy}`]);
    figures.replaceChildren(...entries.map(([key, text]) => el("div", {}, el("dt", {}, key), el("dd", {}, text))));
  }

  return {
    element,
    explain(trigger, row) {
      setText(title, `${trigger.scaler ?? "unknown scaler"}: ${trigger.metricName}`);
      const [kind, text] = row ? stateOf(row) : ["none", "–"];
      chip.className = `chip ${kind}`;
      setText(chip, text);
      drawFigures(trigger, row);
      setText(why, trigger.why ?? "");
      const problem = row?.error ?? trigger.now?.error ?? trigger.failing?.error;
      error.hidden = !problem;
      if (problem) setText(error, problem);
      const source = trigger.source;
      const entries = Object.entries({ ...trigger.metadata?.connection, ...trigger.metadata?.query, ...trigger.metadata?.target });
      if (trigger.connectionName) entries.unshift(["connectionName", trigger.connectionName]);
      if (source) entries.push(["(connection)", `${source.name}, ${source.state}`]);
      entries.push(["(hold)", duration(trigger.holdSeconds)], ["(open streams)", number(trigger.streams)]);
      understood.replaceChildren(pairs(entries));
    },
    history(trigger, index) {
      csv.setAttribute("href", `/api/history/${path}?format=csv&trigger=${index}`);
      csv.setAttribute("download", `${path.replace("/", "-")}-${index}.csv`);
      const data = columnsOf(trigger);
      shown.hidden = data.times.length === 0;
      plots.waiting.draw(data.times, [data.waiting, data.inFlight]);
      plots.replicas.draw(data.times, [data.replicas], hasPolicy(data) ? "Replicas by the threshold alone" : undefined);
      plots.rates.draw(data.times, [data.arrivals, data.consumption]);
      const found = changesOf(data);
      changes.replaceChildren(...(found.length > 0
        ? found.map(([at, text]) => el("li", {}, el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at)), el("span", {}, text)))
        : [el("li", { class: "none" }, "Nothing changed in the last hour.")]));
    },
    close: () => Object.values(plots).forEach((plot) => plot.close()),
  };
}

export function triggerPage(namespace, name) {
  const path = `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  const panels = el("div", {});
  const message = el("p", { class: "none" }, "Loading …");
  const lines = el("ol", { class: "lines", tabindex: "0", "aria-label": "Log lines" });
  const made = new Map(); // by the trigger's id: the pages of the server have them in different orders
  let triggers = [];
  let isClosed = false;

  const rowsOf = () => [...store.tables.triggers.values()].filter((row) => row.namespace === namespace && row.name === name);

  function drawLog() {
    const words = [`${namespace}/${name}`, name, ...rowsOf().flatMap((row) => [row.connection, connectionOf(row)])].filter(Boolean);
    drawLines(lines, linesAbout([...new Set(words)]).slice(-100), "No recent line of the log concerns this trigger.");
  }

  function fail(error) {
    message.hidden = false;
    setText(message, `${namespace}/${name}: ${error.message}`);
  }

  async function explain() {
    try {
      triggers = await getJson(`/api/triggers/${path}`);
      message.hidden = true;
      triggers.sort((one, other) => one.superseded - other.superseded || one.id - other.id);
      for (const { id } of triggers) if (!made.has(id)) made.set(id, makePanel(path));
      for (const [id, panel] of made) {
        if (triggers.some((trigger) => trigger.id === id)) continue;
        panel.close();
        panel.element.remove();
        made.delete(id);
      }
      triggers.forEach((trigger, index) => {
        const { element, explain: draw } = made.get(trigger.id);
        if (panels.children[index] !== element) panels.insertBefore(element, panels.children[index] ?? null);
        draw(trigger, store.tables.triggers.get(trigger.id));
      });
    } catch (error) {
      fail(error);
    }
  }

  async function history() {
    try {
      const page = await getJson(`/api/history/${path}`);
      page.triggers.forEach((trigger, index) => made.get(trigger.id)?.history(trigger, index));
    } catch (error) {
      if (triggers.length > 0) fail(error);
    }
  }

  // The next request is made when the last one was answered.
  async function repeat(work, everyMs) {
    while (!isClosed) {
      if (!document.hidden) await work();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  explain().then(() => {
    repeat(history, HISTORY_EVERY_MS);
    setTimeout(() => repeat(explain, EXPLAIN_EVERY_MS), EXPLAIN_EVERY_MS);
  });
  const stop = listen(drawLog);
  drawLog();
  return {
    title: `${namespace}/${name}`,
    element: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: "#/" }, "← All triggers")),
      el("h1", {}, el("span", { class: "soft" }, `${namespace}/`), name),
      store.hello.hasWorkers && el("p", {}, el("a", { href: `#/workers/${path}` }, "Workers")),
      message, panels, el("section", { class: "panel" }, el("h2", {}, "Log lines"), lines)),
    draw() {},
    close() {
      isClosed = true;
      stop();
      made.forEach((panel) => panel.close());
    },
  };
}
