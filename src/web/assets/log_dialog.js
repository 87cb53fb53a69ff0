// The log of one worker, in a dialog.

import { el, setText } from "./dom.js";
import { poll } from "./poll.js";
import { getText } from "./requests.js";

const EVERY_MS = 1000;

// `path` is where the log is, as text; 202: it is being read. The caller, a page, calls close() of what this returns
// when it ends.
export function openLog(title, path) {
  const text = el("pre", { tabindex: "0" }, "Loading …");
  // What was read stays: of a pod that is gone it is all there is.
  const reading = poll({ what: "Log", load, everyMs: EVERY_MS, failed: () => shown === "" && setText(text, "") });
  const dialog = el("dialog", { "aria-label": `Log of ${title}` },
    el("header", {}, el("h2", {}, title),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    reading.message, text);
  let shown = "";
  // What grows is appended to: a selection in it stays.
  function show(body) {
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
    if (shown === "" || !body.startsWith(shown)) setText(text, body || "This worker has written nothing yet.");
    else if (body !== shown) text.append(body.slice(shown.length));
    shown = body;
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
  async function load(signal) {
    const { status, text: body } = await getText(path, signal);
    return status !== 202 && show(body);
  }
  dialog.addEventListener("close", () => {
    reading.close();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  reading.start();
  return dialog;
}
