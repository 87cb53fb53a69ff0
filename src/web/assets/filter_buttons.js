// A row of buttons, of which one is pressed: which rows or lines are shown.

import { el, setText } from "./dom.js";
import { number } from "./format.js";

// list: [[key, label]]. counts: a number for each, beside its label.
export function filterButtons(list, get, set) {
  const numbers = list.map(() => el("span", { class: "number-of" }));
  const buttons = list.map(([key, label], index) =>
    el("button", { type: "button", class: `show-${key}`, onclick: () => set(key) }, label, numbers[index]));
  return {
    element: el("div", { class: "segments", role: "group", "aria-label": "Show" }, buttons),
    draw: (counts = []) => buttons.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(list[index][0] === get()));
      button.classList.toggle("some", counts[index] > 0);
      setText(numbers[index], counts[index] == null ? "" : ` ${number(counts[index])}`);
    }),
    focus: () => buttons.find((button) => button.getAttribute("aria-pressed") === "true")?.focus(),
  };
}
