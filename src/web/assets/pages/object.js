// The page of one ScaledObject, #/trigger/NAMESPACE/NAME: the range of the plots, a panel for each trigger
// (object_panels.js), and lines of the log.

import { addressOf, objectPath, setParameters } from "../base/address.js";
import { el } from "../base/dom.js";
import { clock, zone } from "../base/format.js";
import { choiceButton, filterButtons } from "../parts/filter_buttons.js";
import { drawLines, linesAbout, today } from "../parts/log_lines.js";
import { chosenRange, ranges, spanOf, USUAL_RANGE } from "../parts/range.js";
import { poll } from "../state/poll.js";
import { store } from "../state/store.js";
import { makeObjectPanels } from "../trigger/object_panels.js";
import { makeReplicaSamples, SAMPLE_EVERY_MS } from "../trigger/object_replicas.js";

const MAX_LINES = 100;

export function objectPage(namespace, name) {
  const object = `${namespace}/${name}`;
  const path = objectPath(namespace, name);
  const lines = el("ol", { class: "lines", tabindex: "0", "aria-label": "Log lines" });
  const replicas = makeReplicaSamples(namespace, name);
  const panels = makeObjectPanels({
    namespace, name, samples: replicas.samples,
    onChoose: (from, to) => choose(`${Math.floor(from)}-${Math.ceil(to)}`),
    onExplained: () => {
      drawLog();
      if (store.hello.hasWorkers || store.hello.hasHpas) sampling.start();
    },
  });
  const sampling = poll({ load: sample, everyMs: SAMPLE_EVERY_MS });
  const own = choiceButton("show the last hour", () => {
    choose(USUAL_RANGE);
    buttons.focus(); // the button that had the focus is hidden now
  });
  const buttons = filterButtons("Range", ranges, chosenRange, choose);
  let logSeen = null; // the version of the log that is drawn, for which names, and on which day

  function choose(range) {
    setParameters({ range: range === USUAL_RANGE ? "" : range });
    drawRange();
    panels.redraw();
  }

  function drawRange() {
    const [from, to] = spanOf(chosenRange()) ?? [];
    buttons.draw();
    own.draw(to ? `${clock(from)} – ${clock(to)} ${zone(to)}` : "");
  }

  // Most changes of the store are not of the log.
  function drawLog() {
    const names = [...new Set([object, ...panels.connections()].filter(Boolean))];
    const seen = JSON.stringify([store.version.log, names, today()]);
    if (seen === logSeen) return;
    logSeen = seen;
    const newest = linesAbout(names).slice(-MAX_LINES).reverse();
    drawLines(lines, newest, "No recent line of the log concerns this trigger.");
  }

  // Drawn also where no response came: the last sample holds for 30 s only.
  async function sample(signal) {
    await replicas.sample(signal);
    panels.draw();
  }

  drawRange();
  return {
    title: object,
    element: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: addressOf("/") }, "← All triggers")),
      el("h1", {}, el("span", { class: "soft" }, `${namespace}/`), name),
      store.hello.hasWorkers && el("p", {}, el("a", { href: `#/workers/${path}` }, "Workers")),
      el("div", { class: "bar" }, el("span", { class: "soft" }, "Range"), buttons.element, own.element),
      panels.elements, el("section", { class: "panel" }, el("h2", {}, `Log lines (${zone()})`), lines)),
    draw() {
      panels.explainChanges();
      drawLog();
    },
    close() {
      sampling.close();
      panels.close();
    },
  };
}
