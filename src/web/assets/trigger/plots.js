// A plot of a range of the last hour, by uPlot, with a legend of its own. trigger_plots.js makes them. Colours come
// from the style sheet: a plot is made again where light and dark change.

/** @import { Outage, Span } from "../types.js" */

import { el, setText } from "../base/dom.js";
import { compact, UNKNOWN, zone } from "../base/format.js";

const HEIGHT = 200;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function clocks(ticks) {
  const second = ticks.at(-1) - ticks[0] < 240 ? { second: "2-digit" } : {};
  const parts = { hour: "2-digit", minute: "2-digit", ...second };
  return ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString("en-GB", parts));
}

// The indexes of values without a value beside them: they are drawn as points, as a line needs two.
const lonely = (values) => values.flatMap((value, index) =>
  (value != null && values[index - 1] == null && values[index + 1] == null ? [index] : []));

function axis(overrides) {
  const font = "12px system-ui, sans-serif";
  return {
    stroke: colour("--text-soft"), font, labelFont: font, labelSize: 18, labelGap: 0,
    grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...overrides,
  };
}

const orUnknown = (value) => compact(value).replace(UNKNOWN, "unknown");

const seriesOf = ({ label, colour: name, isDashed, isFilled, isStep }) => ({
  label, stroke: colour(`--${name}`), width: isDashed ? 1.25 : 1.75, dash: isDashed ? [6, 4] : undefined,
  spanGaps: false, points: { size: 5, filter: (self, at) => lonely(self.data[at]) },
  fill: isFilled ? colour(`--${name}-soft`) : undefined,
  paths: isStep ? window.uPlot.paths.stepped({ align: 1 }) : undefined,
});

// Options of uPlot. span(): [from, to], asked for whenever uPlot draws.
function optionsOf({ series, isWhole, unit, span }) {
  const amount = (tick) => (isWhole && !Number.isInteger(tick) ? "" : compact(tick));
  return {
    padding: [8, 26, 0, 0], // right: half of the last time below the axis
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: true, y: false, setScale: false }, sync: { key: "history" } },
    scales: {
      x: { time: true, range: span },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.08)] },
    },
    axes: [
      axis({ values: (_, ticks) => clocks(ticks), space: 80, size: 28, label: `time, ${zone(span()[1])}` }),
      axis({ values: (_, ticks) => ticks.map(amount), size: 48, label: unit }),
    ],
    series: [{}, ...series.map(seriesOf)],
  };
}

// Called before the curves are drawn, which stay visible.
function shade(self, outages) {
  const { left, top, width, height } = self.bbox;
  const xOf = (time) => Math.min(left + width, Math.max(left, self.valToPos(time, "x", true)));
  for (const { from, to } of outages) {
    const x = xOf(from);
    self.ctx.fillStyle = colour("--held-bg");
    self.ctx.fillRect(x, top, Math.max(xOf(to) - x, 1), height);
  }
}

/*
 * series: [{label, colour (of the style sheet), isStep, isFilled, isDashed}]. unit: of all values. summary: what a
 * screen reader calls the first series. onChoose(from, to): the reader has drawn a span with the pointer.
 *
 * draw(): columns has the values of each series. title, unit and labels replace what makePlot() was given; labels may
 * have only that of the first series.
 */
export function makePlot({ title, unit, summary, series, isWhole, onChoose }) {
  const holder = el("div", { class: "plot-area", role: "img" });
  const values = series.map(() => el("span", { class: "legend-value" }));
  const labels = series.map((one) => el("span", {}, one.label));
  const items = series.map((one, index) => el("span", { class: "legend-item" },
    el("i", { class: `swatch ${one.colour}${one.isDashed ? " dashed" : ""}` }), labels[index], " ", values[index]));
  const legend = el("p", { class: "legend", "aria-hidden": "true" }, items);
  const caption = el("figcaption", {});
  const element = el("figure", { class: "plot" }, caption, legend, holder);
  let plot = null;
  let shown = { times: [], columns: series.map(() => []), span: [0, 1], outages: [], title, unit };
  const data = () => [shown.times, ...shown.columns];
  const size = () => ({ width: Math.max(200, holder.clientWidth), height: HEIGHT });

  function show(index) {
    values.forEach((value, at) => setText(value, compact(shown.columns[at][index])));
    items.forEach((item, at) => (item.hidden = shown.columns[at].every((value) => value == null)));
  }

  const lastIndex = () => shown.times.findLastIndex((time) => time <= shown.span[1]);

  // The first series in the span that is shown, for screen readers.
  function describe() {
    const [first] = shown.columns;
    const [from] = shown.span;
    const last = lastIndex();
    const isSeen = (at) => at === last || (at < last && shown.times[at] >= from);
    const known = first.filter((value, at) => value != null && isSeen(at));
    const peak = known.length > 0 ? Math.max(...known) : null;
    return `${orUnknown(first[last])} at the end, at most ${orUnknown(peak)}`;
  }

  // A drag selects in all plots, as they share a cursor. The plot under the pointer chooses: the others have no event.
  function select(self) {
    const { left, width } = self.select;
    self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (!self.cursor.event || width < 8) return;
    onChoose(self.posToVal(left, "x"), self.posToVal(left + width, "x"));
  }

  function make() {
    plot?.destroy();
    plot = null;
    if (!window.uPlot) { // it could not be loaded: the legend has the values all the same
      show(lastIndex());
      return;
    }
    const hooks = {
      drawClear: [(self) => shade(self, shown.outages)], setSelect: [select],
      setCursor: [(self) => show(self.cursor.idx ?? lastIndex())],
    };
    const options = { ...optionsOf({ series, isWhole, unit: shown.unit, span: () => shown.span }), ...size(), hooks };
    plot = new window.uPlot(options, data(), holder);
    show(lastIndex());
  }

  const resized = new ResizeObserver(() => plot?.setSize(size()));
  resized.observe(holder);
  document.addEventListener("themechange", make);
  return {
    element,
    /**
     * @param {{times: number[], columns: (number | null)[][], span: Span, outages: Outage[], title?: string,
     *   unit?: string, labels?: string[]}} next
     */
    draw(next) {
      const isSame = plot && (next.unit ?? unit) === shown.unit;
      shown = { title, unit, ...next };
      setText(caption, shown.title);
      labels.forEach((label, at) => setText(label, shown.labels?.[at] ?? series[at].label));
      holder.setAttribute("aria-label", `${shown.title}, ${shown.labels?.[0] ?? summary}: ${describe()}`);
      if (isSame) plot.setData(data());
      else make();
      show(lastIndex());
    },
    close() {
      resized.disconnect();
      document.removeEventListener("themechange", make);
      plot?.destroy();
    },
  };
}
