// Plots of the last hour, by uPlot. Colours come from the style sheet, so that they follow light and dark.

import { el, setText } from "./dom.js";
import { compact } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function clocks(ticks) {
  const second = ticks.at(-1) - ticks[0] < 240 ? { second: "2-digit" } : {};
  return ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...second }));
}

function axis(overrides) {
  return { stroke: colour("--text-soft"), font: "12px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...overrides };
}

// series: [{label, colour (of the style sheet), isStep}]; draw(times, columns, title) shows other data.
export function makePlot({ title, summary, series, isWhole }) {
  const holder = el("div", { class: "plot-area", role: "img" });
  const values = series.map(() => el("span", { class: "legend-value" }));
  const legend = el("p", { class: "legend", "aria-hidden": "true" }, series.map((one, index) => el("span", { class: "legend-item" }, el("i", { class: `swatch ${one.colour}` }), one.label, " ", values[index])));
  const caption = el("figcaption", {}, title);
  const element = el("figure", { class: "plot" }, caption, legend, holder);
  let plot = null;
  let data = [[], ...series.map(() => [])];

  function show(index) {
    values.forEach((value, at) => (value.textContent = compact(data[at + 1][index] ?? undefined)));
  }

  function options() {
    return {
      width: Math.max(200, holder.clientWidth), height: 180, padding: [8, 26, 0, 0], // right: half of the last time below the axis
      legend: { show: false },
      cursor: { points: { size: 6 }, drag: { x: true, y: false }, sync: { key: "history" } },
      hooks: { setCursor: [(self) => show(self.cursor.idx ?? data[0].length - 1)] },
      scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.08)] } },
      axes: [axis({ values: (_, ticks) => clocks(ticks), space: 80, size: 32 }), axis({ values: (_, ticks) => ticks.map((tick) => (isWhole && !Number.isInteger(tick) ? "" : compact(tick))), size: 56 })],
      series: [{}, ...series.map((one) => ({
        label: one.label, stroke: colour(`--${one.colour}`), width: 1.75, spanGaps: false, points: { show: false },
        fill: one.isFilled ? colour(`--${one.colour}-soft`) : undefined,
        paths: one.isStep ? window.uPlot.paths.stepped({ align: 1 }) : undefined,
      }))],
    };
  }

  function make() {
    plot?.destroy();
    plot = window.uPlot ? new window.uPlot(options(), data, holder) : null;
    show(data[0].length - 1);
  }

  const resized = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, holder.clientWidth), height: 180 }));
  resized.observe(holder);
  document.addEventListener("themechange", make);
  return {
    element,
    draw(times, columns, shownTitle = title) {
      data = [times, ...columns];
      setText(caption, shownTitle);
      holder.setAttribute("aria-label", summary(columns, shownTitle));
      if (plot) plot.setData(data);
      else make();
      show(data[0].length - 1);
    },
    close() {
      resized.disconnect();
      document.removeEventListener("themechange", make);
      plot?.destroy();
    },
  };
}
