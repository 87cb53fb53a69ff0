// A link that saves a file of the server. The script requests the file, so that requests.js refuses that of another
// pod: the link alone would save the history of another trigger, which has the same number there.

import { el, setText } from "../base/dom.js";
import { getText } from "../state/requests.js";

const KEEP_MS = 60000; // some browsers begin to read the file long after the click

async function save(path, name) {
  const { text, type } = await getText(path);
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP_MS);
}

// Returns the element `link`, and `message`, which says why saving failed. set(path, name): the file, and its name when
// it is saved.
export function downloadLink(label) {
  const message = el("span", { class: "problem", role: "alert", hidden: true });
  const say = (text) => {
    message.hidden = text === "";
    setText(message, text);
  };
  const link = el("a", {
    onclick: (event) => {
      event.preventDefault();
      if (!link.hasAttribute("href")) return; // not set yet
      save(link.href, link.download).then(() => say(""), (error) => say(`${label}: ${error.message}`));
    },
  }, label);
  return {
    link,
    message,
    set(path, name) {
      link.setAttribute("href", path);
      link.setAttribute("download", name);
    },
  };
}
