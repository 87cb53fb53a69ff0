// Buttons for what is shown, such as which rows, or which range of time: a row of which one is pressed, and one that
// ends another choice.

import { el, setText } from "./dom.js";
import { number } from "./format.js";

// name: of the group, for screen readers. list: [[key, label]]. counts: a number for each, beside its label.
export function filterButtons(name, list, get, set) {
  const numbers = list.map(() => el("span", { class: "number-of" }));
  const buttons = list.map(([key, label], index) =>
    el("button", { type: "button", class: `show-${key}`, onclick: () => set(key) }, label, numbers[index]));
  return {
    element: el("div", { class: "segments", role: "group", "aria-label": name }, buttons),
    draw: (counts = []) => buttons.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(list[index][0] === get()));
      button.classList.toggle("some", counts[index] > 0);
      setText(numbers[index], counts[index] == null ? "" : ` ${number(counts[index])}`);
    }),
    focus: () => buttons.find((button) => button.getAttribute("aria-pressed") === "true")?.focus(),
  };
}

// Names what else is chosen ("": nothing), and ends that. `ending`: what it does, for whoever does not see the cross.
// The name of the button begins with what is seen, by which speech input finds it.
export function choiceButton(ending, onclick) {
  const name = el("span", {});
  const element = el("button", { type: "button", class: "quiet", hidden: true, onclick },
    name, el("span", { "aria-hidden": "true" }, " ✕"), el("span", { class: "hidden" }, `, ${ending}`));
  return {
    element,
    draw(text) {
      element.hidden = text === "";
      setText(name, text);
    },
  };
}
