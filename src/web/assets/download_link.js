// A link that saves a file of the server. The file is requested as all else is, so that it is of the pod that the page
// shows: the link alone would save what another pod has by the same number.

import { el, setText } from "./dom.js";
import { getText } from "./requests.js";

const KEEP_MS = 60000; // of what is saved: some browsers begin to read it long after the click

async function save(path, name) {
  const { text, type } = await getText(path);
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP_MS);
}

// `link` and, where saving fails, `message`.
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
