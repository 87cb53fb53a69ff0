// Buttons that choose what is shown, such as rows or a range of time. Pages make a row of buttons of which one is
// pressed, and a button that ends another choice.

import { el, setText } from "../base/dom.js";
import { number } from "../base/format.js";

// name: of the group, for screen readers. list: [[key, label]]. get() and set(key): the key whose button is pressed.
// draw(counts): with a number beside each label, if there are counts.
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

// A button that names a choice, and ends it; draw(""): nothing is chosen. `ending`: what the button does, for readers
// who do not see the cross. It comes last in the button's name: speech input finds a button by the text that is seen.
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
