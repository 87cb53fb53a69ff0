// The three plots of one trigger: work, replicas, rates. trigger_panel.js makes them.

/** @import { Columns, Sample, State } from "../types.js" */

import { el } from "../base/dom.js";
import { chosenRange, limitsOf } from "../parts/range.js";
import { SAMPLE_HOLDS_SECONDS } from "./object_replicas.js";
import { makePlot } from "./plots.js";
import { outagesOf, stepsAt } from "./trigger_history.js";

/**
 * @param {Sample[]} samples
 * @param {(from: number, to: number) => void} onChoose the reader has drawn a span in a plot
 */
export function makeTriggerPlots(samples, onChoose) {
  const waiting = makePlot({
    title: "Work", unit: "messages", summary: "waiting", onChoose,
    series: [
      { label: "waiting", colour: "plot-1", isFilled: true },
      { label: "in flight", colour: "plot-2" },
      { label: "target of a replica", colour: "plot-target", isDashed: true },
    ],
  });
  const replicas = makePlot({
    title: "Replicas", unit: "replicas", summary: "wanted", isWhole: true, onChoose,
    series: [
      { label: "wanted", colour: "plot-3", isStep: true, isFilled: true },
      { label: "actual", colour: "plot-2", isStep: true },
    ],
  });
  const rates = makePlot({
    title: "Rates", unit: "messages per second", summary: "arrivals", onChoose,
    series: [{ label: "arrivals", colour: "plot-1" }, { label: "consumed", colour: "plot-2" }],
  });
  const shades = el("p", { class: "note", hidden: true }, el("i", { class: "shade held" }), "measuring failed");
  const element = el("div", { class: "plots" }, waiting.element, replicas.element, rates.element);

  /**
   * stateNow: the state since the last measurement. wanted: with a policy, the replicas that it wanted since the page
   * is open, as the server keeps none of its decisions. Without a measurement there are no plots.
   * @param {{data: Columns, target: number, stateNow?: State, wanted?: Sample[]}} what
   */
  function draw({ data, target, stateNow, wanted }) {
    const span = limitsOf(data.times[0], chosenRange());
    const isInRange = ({ from, to }) => from < span[1] && to > span[0];
    const outages = outagesOf(data, stateNow).filter(isInRange);
    const common = { times: data.times, span, outages };
    element.hidden = data.times.length === 0;
    shades.hidden = outages.length === 0;
    if (element.hidden) return;
    waiting.draw({
      ...common, columns: [data.waiting, data.inFlight, data.times.map(() => (wanted ? null : target))],
      ...(data.hasWaiting ? {} : { title: "Value", unit: "as the source counts", labels: ["value"] }),
    });
    const stepsOf = (taken) => stepsAt(data.times, taken, SAMPLE_HOLDS_SECONDS);
    replicas.draw({ ...common, columns: [wanted ? stepsOf(wanted) : data.replicas, stepsOf(samples)] });
    // A rate is from one reading to the next: the last reading has none.
    const toNext = (values) => values.slice(0, -1);
    rates.element.hidden = [...data.arrivals, ...data.consumption].every((rate) => rate == null);
    if (rates.element.hidden) return;
    rates.draw({
      ...common, times: toNext(data.times), columns: [toNext(data.arrivals), toNext(data.consumption)],
      labels: [data.isGrowth ? "growth of waiting" : "arrivals", data.isFall ? "fall of waiting" : "consumed"],
    });
  }

  return { element, shades, draw, close: () => [waiting, replicas, rates].forEach((plot) => plot.close()) };
}
