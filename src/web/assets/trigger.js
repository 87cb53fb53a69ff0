// The page of one ScaledObject: each of its triggers with history, explanation, last changes, error and log lines.

import { addressOf, parameters, setParameters } from "./address.js";
import { el, setText } from "./dom.js";
import { filterButtons } from "./filter_buttons.js";
import { age, clock, compact, duration, number, rate, zone } from "./format.js";
import { drawLines, linesAbout } from "./log_lines.js";
import { makePlot } from "./plots.js";
import { listen, request, serverNow, store } from "./store.js";
import { connectionOf, stateOf } from "./trigger_state.js";

const EXPLAIN_EVERY_MS = 2000;
const LOOK_EVERY_MS = 3000; // at the actual replicas
const HISTORY_EVERY_MS = 5000;
const MAX_CHANGES = 30;

async function getJson(path) {
  const answer = await request(path);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error ?? `the server answered ${answer.status}`);
  return body;
}

/* ---- the range: "15m", or "FROM-TO" in seconds since 1970 ---- */

const ranges = [
  ["5m", "5 min", 300],
  ["15m", "15 min", 900],
  ["1h", "1 hour", 3600],
];
const USUAL_RANGE = "1h";

const chosenRange = () => parameters().get("range") ?? USUAL_RANGE;

// A curve begins with the history, and ends now.
function limitsOf(first, range) {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range)?.map(Number) ?? [];
  if (to > from) return [from, to];
  const now = serverNow();
  const [, , span] = ranges.find(([key]) => key === range) ?? ranges.at(-1);
  return [Math.min(Math.max(now - span, first), now - 10), now];
}

function makePlots(chosen) {
  const waiting = makePlot({
    title: "Work", unit: "messages", summary: "waiting", chosen,
    series: [
      { label: "waiting", colour: "plot-1", isFilled: true },
      { label: "in flight", colour: "plot-2" },
      { label: "target of a replica", colour: "plot-target", isDashed: true },
    ],
  });
  const replicas = makePlot({
    title: "Replicas", unit: "replicas", summary: "wanted", isWhole: true, chosen,
    series: [
      { label: "wanted", colour: "plot-3", isStep: true, isFilled: true },
      { label: "actual", colour: "plot-2", isStep: true },
    ],
  });
  const rates = makePlot({
    title: "Rates", unit: "messages per second", summary: "arrivals", chosen,
    series: [{ label: "arrivals", colour: "plot-1" }, { label: "consumed", colour: "plot-2" }],
  });
  return { waiting, replicas, rates };
}

// From the first measurement that failed to the next good one, or to now while the state says so.
function outagesOf({ times, state }, stateNow) {
  const outages = [];
  state.forEach((one, index) => {
    const before = outages.at(-1);
    if (before && before.to == null && one !== before.kind) before.to = times[index];
    const isOutage = one === "held" || one === "refused";
    if (isOutage && (!before || before.to != null)) outages.push({ kind: one, from: times[index] });
  });
  const last = outages.at(-1);
  if (last && last.to == null) last.to = last.kind === stateNow ? serverNow() : times.at(-1);
  return outages;
}

// What was seen last at each of these times; nothing before the first look.
function stepsAt(times, looks) {
  let next = 0;
  return times.map((time) => {
    while (next < looks.length && looks[next][0] <= time) next++;
    return next > 0 ? looks[next - 1][1] : null;
  });
}

const hasPolicy = ({ boundBy }) => boundBy.some((value) => value != null);

// Where the source reports no rate: what waiting fell by until the next reading, per second. New work hides some of it.
function fallOf(times, waiting) {
  return waiting.map((value, i) => {
    if (value == null || waiting[i + 1] == null) return null;
    return Math.max(0, value - waiting[i + 1]) / (times[i + 1] - times[i]);
  });
}

// Between two readings; "value" stands in where the source has no count of waiting work.
function columnsOf({ columns, rows }) {
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const column = (name) => rows.map((row) => row[at[name]]);
  const hasWaiting = column("waiting").some((value) => value != null);
  const waiting = hasWaiting ? column("waiting") : column("value");
  const [times, reported, boundBy] = [column("time"), column("consumptionRate"), column("boundBy")];
  const isFall = hasWaiting && reported.every((rate) => rate == null);
  const consumption = isFall ? fallOf(times, waiting) : reported;
  // A policy chooses the replicas by more than the reading: they are known where its decision is.
  const replicas = hasPolicy({ boundBy })
    ? column("replicas").map((value, i) => (boundBy[i] == null ? null : value))
    : column("replicas");
  return {
    hasWaiting, isFall, times, waiting, inFlight: column("inFlight"), replicas, arrivals: column("arrivals"),
    consumption, active: column("active"), state: column("state"), status: column("status"), boundBy,
  };
}

const stateChanges = { answered: "measured again", held: "measuring failed: the last value is held" };

function changesOf({ times, replicas, active, state, status, boundBy }) {
  const changes = [];
  for (let i = 1; i < times.length; i++) {
    const what = [];
    const hasChanged = (column) => column[i] != null && column[i - 1] != null && column[i] !== column[i - 1];
    if (state[i] !== state[i - 1]) what.push(stateChanges[state[i]] ?? "measuring failed");
    if (hasChanged(active)) what.push(active[i] ? "became active" : "became inactive");
    if (hasChanged(status)) what.push(`consumers ${status[i - 1]} → ${status[i]}`);
    if (hasChanged(boundBy)) what.push(`bound by ${boundBy[i]}`);
    if (hasChanged(replicas)) what.push(`${number(replicas[i - 1])} → ${number(replicas[i])} replicas`);
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

// One trigger of the ScaledObject. looks: the actual replicas, as [time, number or null].
function makePanel(path, looks, chosen) {
  const figures = el("dl", { class: "figures" });
  const why = el("p", { class: "why" });
  const error = el("p", { class: "problem", role: "alert", hidden: true });
  const changes = el("ol", { class: "changes", tabindex: "0", "aria-label": "Last changes" });
  const understood = el("div", {});
  const title = el("h2", {});
  const chip = el("span", {});
  const query = el("code", { class: "soft" });
  const plots = makePlots(chosen);
  const shades = el("p", { class: "note", hidden: true }, "Shaded: measuring failed. ",
    el("i", { class: "shade held" }), "held: KEDA got a value from before. ",
    el("i", { class: "shade error" }), "refused: KEDA got an error.");
  let last = null; // what was drawn: the data, and the state that goes on
  const shown = el("div", { class: "plots" }, plots.waiting.element, plots.replicas.element, plots.rates.element);
  const csv = el("a", {}, "Download as CSV");
  const element = el("article", { class: "panel" },
    el("header", {}, title, chip, query), figures, error,
    section("Why", why),
    shown, shades,
    el("p", { class: "note" }, csv, " (a trace for ", el("code", {}, "backlog simulate"), ")"),
    el("div", { class: "columns" },
      section(`Last changes (${zone()})`, changes), section("Metadata, as understood", understood)));

  function drawFigures(trigger, row) {
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
    figures.replaceChildren(...entries.map(([key, text]) => el("div", {}, el("dt", {}, key), el("dd", {}, text))));
  }

  function drawPlots() {
    const { data, target, stateNow } = last;
    const range = limitsOf(data.times[0], chosenRange());
    const outages = outagesOf(data, stateNow).filter(({ from, to }) => from < range[1] && to > range[0]);
    const common = { times: data.times, range, outages };
    shades.hidden = outages.length === 0;
    plots.waiting.draw({
      ...common, columns: [data.waiting, data.inFlight, data.times.map(() => (hasPolicy(data) ? null : target))],
      ...(data.hasWaiting ? {} : { title: "Value", unit: "as the source counts", labels: ["value"] }),
    });
    plots.replicas.draw({ ...common, columns: [data.replicas, stepsAt(data.times, looks)] });
    // A rate is that until the next reading, which the last one does not have.
    const toNext = (values) => values.slice(0, -1);
    plots.rates.element.hidden = [...data.arrivals, ...data.consumption].every((rate) => rate == null);
    if (plots.rates.element.hidden) return;
    plots.rates.draw({
      ...common, times: toNext(data.times), columns: [toNext(data.arrivals), toNext(data.consumption)],
      ...(data.isFall ? { labels: ["arrivals", "fall of waiting"] } : {}),
    });
  }

  return {
    element,
    explain(trigger, row) {
      setText(title, `${trigger.scaler ?? "unknown scaler"}: ${trigger.metricName}`);
      const [kind, text] = row ? stateOf(row) : ["none", "–"];
      chip.className = `chip ${kind}`;
      setText(chip, text);
      setText(query, trigger.metadata?.query?.query ?? "");
      drawFigures(trigger, row);
      setText(why, trigger.why ?? "");
      const problem = row?.error ?? trigger.now?.error ?? trigger.failing?.error;
      error.hidden = !problem;
      if (problem) setText(error, problem);
      const source = trigger.source;
      const { connection, query: ofQuery, target } = trigger.metadata ?? {};
      const entries = Object.entries({ ...connection, ...ofQuery, ...target });
      if (trigger.connectionName) entries.unshift(["connectionName", trigger.connectionName]);
      const toConnections = source && el("a", { href: addressOf("/connections") }, source.name);
      if (source) entries.push(["(connection)", [toConnections, `, ${source.state}`]]);
      entries.push(["(hold)", duration(trigger.holdSeconds)], ["(open streams)", number(trigger.streams)]);
      understood.replaceChildren(pairs(entries));
    },
    history(trigger, stateNow) {
      csv.setAttribute("href", `/api/history/${path}?format=csv&trigger=${trigger.id}`);
      csv.setAttribute("download", `${path.replace("/", "-")}-${trigger.id}.csv`);
      last = { data: columnsOf(trigger), target: trigger.target, stateNow };
      shown.hidden = last.data.times.length === 0;
      if (!shown.hidden) drawPlots();
      const found = changesOf(last.data);
      const timeOf = (at) => el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
      changes.replaceChildren(...(found.length > 0
        ? found.map(([at, text]) => el("li", {}, timeOf(at), el("span", {}, text)))
        : [el("li", { class: "none" }, "Nothing changed in the last hour.")]));
    },
    redraw() {
      if (last && !shown.hidden) drawPlots();
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
  const looks = [];
  const own = el("button", {
    type: "button", class: "quiet", hidden: true, "aria-label": "The last hour", onclick: () => choose(USUAL_RANGE),
  });
  const buttons = filterButtons(ranges, chosenRange, choose);
  let triggers = [];
  let isClosed = false;

  function choose(range) {
    setParameters({ range: range === USUAL_RANGE ? "" : range });
    drawRange();
    made.forEach((panel) => panel.redraw());
  }

  function drawRange() {
    const [, from, to] = /^(\d+)-(\d+)$/.exec(chosenRange()) ?? [];
    buttons.draw();
    own.hidden = !to;
    if (to) setText(own, `${clock(Number(from))} – ${clock(Number(to))} ${zone(Number(to))} ✕`);
  }

  const rowsOf = () => [...store.tables.triggers.values()]
    .filter((row) => row.namespace === namespace && row.name === name);

  function drawLog() {
    const connections = rowsOf().flatMap((row) => [row.connection, connectionOf(row)]);
    const words = [`${namespace}/${name}`, name, ...connections].filter(Boolean);
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
      const chosen = (from, to) => choose(`${Math.floor(from)}-${Math.ceil(to)}`);
      for (const { id } of triggers) if (!made.has(id)) made.set(id, makePanel(path, looks, chosen));
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
      for (const part of page.triggers) {
        // One that KEDA calls for no more may be gone by now: the others are drawn all the same.
        const whole = part.hasMore ? await getJson(`/api/history/${path}?trigger=${part.id}`).catch(() => null) : null;
        const trigger = whole?.triggers[0] ?? part;
        made.get(trigger.id)?.history(trigger, store.tables.triggers.get(trigger.id)?.state);
      }
    } catch (error) {
      if (triggers.length > 0) fail(error);
    }
  }

  // The replicas that the HPA counts, or the pods of --workers that are not ending.
  async function look() {
    let seen = {};
    if (store.hello.hasHpas) seen = await getJson(`/api/replicas/${path}`).catch(() => ({}));
    if (seen.replicas == null && store.hello.hasWorkers) {
      const query = `namespace=${encodeURIComponent(namespace)}&name=${encodeURIComponent(name)}`;
      const page = await getJson(`/api/workers?${query}`).catch(() => ({}));
      const [object] = page.objects ?? [];
      const isThere = ({ state }) => state === "Running" || state === "Pending";
      if (object && !object.hasMore) seen = { ...object, replicas: object.workers.filter(isThere).length };
    }
    if (seen.secondsAgo == null) return;
    looks.push([serverNow() - seen.secondsAgo, seen.error ? null : seen.replicas]);
    if (looks.length > 3600000 / LOOK_EVERY_MS) looks.shift();
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
    if (store.hello.hasWorkers || store.hello.hasHpas) repeat(look, LOOK_EVERY_MS);
  });
  const stop = listen(drawLog);
  drawLog();
  drawRange();
  return {
    title: `${namespace}/${name}`,
    element: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: addressOf("/") }, "← All triggers")),
      el("h1", {}, el("span", { class: "soft" }, `${namespace}/`), name),
      store.hello.hasWorkers && el("p", {}, el("a", { href: `#/workers/${path}` }, "Workers")),
      el("div", { class: "bar" }, el("span", { class: "soft", id: "range" }, "Range"), buttons.element, own),
      message, panels, el("section", { class: "panel" }, el("h2", {}, `Log lines (${zone()})`), lines)),
    draw() {},
    close() {
      isClosed = true;
      stop();
      made.forEach((panel) => panel.close());
    },
  };
}
