// The log of one worker, in a dialog.

import { el, setText } from "./dom.js";
import { poll } from "./poll.js";
import { getText } from "./requests.js";

const EVERY_MS = 1000;
const MAX_SHOWN = 1 << 20; // characters: somebody may read a log for hours
const GAP = "\n[Lines are missing here, or the worker was started again.]\n\n";
const PROBE = 256; // characters, of a line without an end
const CUT = 4; // bytes of a character of which the beginning may be lost

// The server has the end of a log. What of `body` comes after `last`, what the server had before; null: the two have
// nothing in common.
export function partAfter(last, body) {
  if (body.startsWith(last)) return body.slice(last.length);
  const begin = body.indexOf("\n") + 1 || CUT; // what is before it may have lost its beginning
  const lastLine = last.slice(Math.max(last.lastIndexOf("\n", last.length - 2) + 1, last.length - PROBE));
  // The last place first: of lines that repeat, as few as possible are new.
  for (let at = body.lastIndexOf(lastLine); at >= begin; at = body.lastIndexOf(lastLine, at - 1)) {
    const end = at + lastLine.length;
    if (last.endsWith(body.slice(begin, end))) return body.slice(end);
  }
  return null;
}

// `path` is where the log is, as text; 202: it is being read. `note`: what is known of the worker, above its log. The
// caller, a page, calls close() of what this returns when it ends.
export function openLog(title, path, note) {
  const text = el("pre", { tabindex: "0" }, "Loading …");
  // What was read stays: of a pod that is gone it is all there is.
  const reading = poll({ what: "Log", load, everyMs: EVERY_MS, failed: () => shownLength === 0 && setText(text, "") });
  const dialog = el("dialog", { "aria-label": `Log of ${title}` },
    el("header", {}, el("h2", {}, title),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    note && el("p", { class: "note" }, note), reading.message, text);
  let shownLength = 0; // of what the element has, in pieces as they came
  let last = ""; // what the server had

  // The pieces below stay where they are.
  function dropOldest() {
    const below = text.scrollHeight - text.scrollTop;
    while (shownLength > MAX_SHOWN && text.childNodes.length > 1) {
      shownLength -= text.firstChild.length;
      text.firstChild.remove();
    }
    text.scrollTop = text.scrollHeight - below;
  }

  // Only what is new is added: a selection and the place of whoever reads stay.
  function show(body) {
    const whole = body.replace(/\uFFFD$/, ""); // a character of which a part has come
    if (shownLength === 0) setText(text, whole === "" ? "This worker has written nothing yet." : "");
    const added = partAfter(last, whole) ?? GAP + whole;
    last = whole;
    if (added === "") return;
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
    text.append(added);
    shownLength += added.length;
    if (shownLength > MAX_SHOWN) dropOldest();
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
