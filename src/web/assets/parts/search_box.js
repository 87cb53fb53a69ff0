// The box for words that rows or lines must have, on the pages of triggers and of the log.

import { el } from "../base/dom.js";

// changed(text): called with each letter. Returns its element, and the `input` in it, which takes the focus.
export function searchBox({ label, placeholder, value, changed }) {
  const input = el("input", {
    type: "search", id: "search", placeholder, value, autocomplete: "off", spellcheck: "false",
    oninput: () => changed(input.value),
  });
  return {
    input,
    element: el("label", { class: "search", for: "search" }, el("span", { class: "hidden" }, label), input),
  };
}

export const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
